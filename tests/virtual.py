"""A virtual cluster as tests and benchmarks use it: by its commands and the product's, as a person does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

PROJECT = Path(__file__).resolve().parents[1]
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Outcome:
    """What a playbook printed, its exit code, and the folder of its run."""

    exit_code: int
    output: str
    run_dir: Path

    @property
    def errors(self) -> list[str]:
        """Return the lines with which Ansible says what went wrong."""
        return [line for line in self.output.splitlines() if "[ERROR]" in line]


@dataclass(frozen=True)
class Playing:
    """A playbook that is running; its output goes to a file."""

    process: subprocess.Popen[bytes]
    output: Path
    run_dir: Path

    def end(self, within_seconds: float | None = None) -> Outcome:
        """Wait for its end; it is killed, and TimeoutExpired raised, if that takes too long."""
        try:
            exit_code = self.process.wait(within_seconds)
        except subprocess.TimeoutExpired as late:
            self.process.kill()
            self.process.wait()
            raise AssertionError(
                f"still running after {late.timeout} s:\n{self.output.read_text()}"
            ) from late
        return Outcome(exit_code, self.output.read_text(), self.run_dir)


def playbook_environment() -> dict[str, str]:
    """Return the environment of a playbook: plain text, and no kubeconfig but the inventory's."""
    own = {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    return {name: value for name, value in os.environ.items() if name != "KUBECONFIG"} | own


@dataclass(frozen=True)
class VirtualCluster:
    """A running virtual cluster in `folder`."""

    folder: Path

    # What stands before the command's name.
    kind: ClassVar[tuple[str, ...]] = ()

    def attempt(
        self, command: str, *words: str, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the cluster and return what came of it."""
        program = [sys.executable, str(PROJECT / "virtual_cluster"), *self.kind]
        argv = [*program, command, "--dir", str(self.folder), *words]
        return subprocess.run(
            argv, capture_output=True, text=True, check=False, env={**os.environ, **(environment or {})}
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

    def start(self, door: str, *words: str, **settings: object) -> Playing:
        """Start a playbook as a user does, with settings as -e."""
        runs = Path(str(settings.get("benchmark_runs_dir", self.folder.parent / "runs")))
        command = str(Path(sys.executable).parent / "ansible-playbook")
        argv = [command, "-i", str(self.folder / "inventory.yml"), door, *words]
        for name, value in {
            "benchmark_runs_dir": runs,
            "benchmark_samples_per_pod": 1000,
            **settings,
        }.items():
            argv += ["-e", f"{name}={value}"]
        output = self.folder.parent / f"output-{time.monotonic_ns()}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=PROJECT,
                env=playbook_environment(),
            )
        return Playing(process, output, runs / "latest")

    def play(self, door: str, *words: str, **settings: object) -> Outcome:
        """Run a playbook to its end."""
        return self.start(door, *words, **settings).end()


def await_that(condition: Callable[[], object], what: str, within_seconds: float = 60.0) -> None:
    """Wait until a condition holds, which `what` names."""
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_seconds:g} s: {what}"
        time.sleep(_POLL_SECONDS)
