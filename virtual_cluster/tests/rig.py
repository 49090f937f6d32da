"""A virtual cluster as tests and benchmarks use it: by its commands, as a person does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from virtual_cluster.containers.cluster import Cluster

PROJECT = Path(__file__).resolve().parents[2]
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Rig:
    """A virtual cluster in `folder`, up or not."""

    folder: Path

    # What stands before the command's name.
    kind: ClassVar[tuple[str, ...]] = ()

    def command(self, name: str, *words: str) -> list[str]:
        """Return the argv of one of the cluster's commands."""
        program = [sys.executable, str(PROJECT / "virtual_cluster"), *self.kind]
        return [*program, name, "--dir", str(self.folder), *words]

    def attempt(
        self, command: str, *words: str, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the cluster and return what came of it."""
        return subprocess.run(
            self.command(command, *words),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **(environment or {})},
            # It works from anywhere.
            cwd="/",
        )

    def virtual_cluster(self, command: str, *words: str) -> str:
        """Run a command of the cluster, which must succeed, and return what it printed."""
        done = self.attempt(command, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kubectl(self, *words: str) -> str:
        """Run the unmodified kubectl and return what it printed."""
        return self.virtual_cluster("kubectl", "--", *words)

    def get(self, *words: str) -> Any:
        """Return what kubectl get answers, parsed."""
        return json.loads(self.kubectl("get", *words, "--output=json"))

    def is_ready(self, pi: str) -> bool:
        """Say whether the API server takes a Pi for Ready and lets it have pods."""
        node = self.get("node", pi)
        ready = [each["status"] for each in node["status"]["conditions"] if each["type"] == "Ready"]
        return ready == ["True"] and not node["spec"].get("taints")


@dataclass(frozen=True)
class LabRig(Rig):
    """A lab."""

    def status(self) -> dict[str, Any]:
        """Return what the lab says of itself."""
        found: dict[str, Any] = json.loads(self.attempt("status", "--json").stdout)
        return found

    def pid(self, component: str) -> int:
        """Return the process of a component of the control plane."""
        return int(self.status()["components"][component]["pid"])


@dataclass(frozen=True)
class ContainerRig(Rig):
    """Pis in containers."""

    kind: ClassVar[tuple[str, ...]] = ("containers",)

    def container(self, pi: str) -> str:
        """Return what docker calls a Pi."""
        return Cluster(self.folder).container(pi)

    def on(self, pi: str, *words: str) -> str:
        """Run a command as root on a Pi, not by SSH, and return what it printed."""
        return docker("exec", self.container(pi), *words)


def docker(*words: str) -> str:
    """Run docker, which must succeed, and return what it printed."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}"
    return done.stdout


def require_containers() -> None:
    """Skip the test where no containers can be started; where CI is set nothing is skipped, and it fails."""
    if shutil.which("docker") is None:
        missing = "there is no docker here"
    elif subprocess.run(["docker", "version"], capture_output=True, check=False).returncode != 0:
        missing = "no Docker daemon answers here"
    elif os.geteuid() != 0:
        missing = "these tests mount and look into the containers' cgroups, which needs root"
    else:
        return
    if os.environ.get("CI"):
        pytest.fail(f"{missing}; where CI is set nothing is skipped")
    pytest.skip(missing)


def await_that(condition: Callable[[], object], what: str, within_seconds: float = 60.0) -> None:
    """Wait until a condition holds, which `what` names."""
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_seconds:g} s: {what}"
        time.sleep(_POLL_SECONDS)
