"""Pis in containers as tests use them: the cluster's own commands, and docker for what is done to a Pi."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml

from tests.virtual import Outcome, VirtualCluster, await_that

PIS = ("pi-1", "pi-2", "pi-3")
NAMESPACE = "pi-speedup"
_OURS = "app.kubernetes.io/managed-by=pi-speedup"
_OUR_KINDS = "namespaces,configmaps,jobs,pods"
# A worker that takes this many samples ends with its test only.
ENDLESS = 10**9


def docker(*words: str) -> str:
    """Run docker, which must succeed, and return what it printed."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Cluster(VirtualCluster):
    """Running containers of `folder`, whose names begin with `prefix`."""

    prefix: str

    kind: ClassVar[tuple[str, ...]] = ("containers",)

    def container(self, pi: str) -> str:
        """Return what docker calls a Pi."""
        return f"{self.prefix}{pi}"

    def addresses(self) -> dict[str, str]:
        """Return each Pi's address."""
        inventory = yaml.safe_load((self.folder / "inventory.yml").read_text())
        pis = inventory["all"]["children"]["pis"]["hosts"]
        return {name: variables["ansible_host"] for name, variables in pis.items()}

    def on(self, pi: str, *words: str) -> str:
        """Run a command as root on a Pi, not by SSH, and return what it printed."""
        return docker("exec", self.container(pi), *words)

    def as_nobody(self, pi: str, *words: str) -> str:
        """Run a command on a Pi as a user without any right, and return what it printed."""
        return docker("exec", "--user=nobody", self.container(pi), *words)

    @contextlib.contextmanager
    def frozen(self, pi: str) -> Iterator[None]:
        """Freeze a Pi with all its pods; thaw it at the end, and await that it can take pods again."""
        docker("pause", self.container(pi))
        try:
            yield
        finally:
            docker("unpause", self.container(pi))
        await_that(lambda: self.is_ready(pi), f"{pi} is Ready again")

    @contextlib.contextmanager
    def without_sshd(self, pi: str) -> Iterator[None]:
        """End a Pi's SSH server with all its connections; start another one at the end."""
        self.on(pi, "pkill", "-KILL", "-x", "sshd")
        try:
            yield
        finally:
            self.on(pi, "/usr/sbin/sshd")

    def restart_sshd(self, pi: str) -> None:
        """End a Pi's SSH server with all its connections, and start one that reads its settings anew."""
        with self.without_sshd(pi):
            pass

    def break_connections(self, pi: str) -> None:
        """End all SSH connections of a Pi; its server stays."""
        self.on(pi, "pkill", "-KILL", "-f", "^sshd: pi")

    def is_ready(self, pi: str) -> bool:
        """Say whether the API server takes a Pi for Ready and lets it have pods."""
        node = self.get("node", pi)
        ready = [each["status"] for each in node["status"]["conditions"] if each["type"] == "Ready"]
        return ready == ["True"] and not node["spec"].get("taints")

    def objects(self, kinds: str = _OUR_KINDS, namespace: str | None = None) -> list[dict[str, Any]]:
        """Return what of ours the API server has in one namespace, or in all of them and these themselves."""
        where = f"--namespace={namespace}" if namespace else "--all-namespaces"
        kinds = kinds.removeprefix("namespaces,") if namespace else kinds
        found: list[dict[str, Any]] = self.get(kinds, where, f"--selector={_OURS}")["items"]
        return found

    def pod_runs_on(self, pi: str) -> bool:
        """Say whether a pod of ours runs on a Pi."""
        return any(
            pod["spec"].get("nodeName") == pi and pod["status"]["phase"] == "Running"
            for pod in self.objects("pods")
        )

    def containers_on(self, pi: str) -> list[str]:
        """Return the names of all containers that a Pi's Docker knows, however they ended."""
        return self.on(pi, "docker", "ps", "--all", "--format={{.Names}}").split()

    def left_behind(self) -> list[str]:
        """Return all of ours that is anywhere in the cluster."""
        containers = [f"container {name} on {pi}" for pi in PIS for name in self.containers_on(pi)]
        return [f"{each['kind']} {each['metadata']['name']}" for each in self.objects()] + containers

    def clean_up(self, **settings: object) -> None:
        """Let the product remove what it left; nothing of it may be there afterwards."""
        outcome = self.play("cleanup.yml", **settings)
        assert outcome.exit_code == 0, outcome.output
        assert self.left_behind() == []


def assert_told(outcome: Outcome, message: str, *, besides: str | None = None) -> None:
    """Hold a failed run to its one line; `besides` is what Ansible itself says of the same cause."""
    assert outcome.exit_code != 0, outcome.output
    assert "Traceback" not in outcome.output
    ours = [line for line in outcome.errors if besides is None or not re.search(besides, line)]
    assert len(ours) == 1, outcome.output
    assert re.search(message, ours[0]), ours[0]
    assert ours[0].count("Next: ") == 1, ours[0]


def read(outcome: Outcome, name: str) -> Any:
    """Return a file of a run, parsed."""
    return json.loads((outcome.run_dir / name).read_text())
