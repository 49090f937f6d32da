"""Pis in containers as tests use them: the cluster's own commands, and docker for what is done to a Pi."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from pi_speedup.model.trial import Trial
from pi_speedup.store import RunStore
from tests.virtual import Outcome, VirtualCluster, await_that
from virtual_cluster.tests.rig import ContainerRig, docker

PIS = ("pi-1", "pi-2", "pi-3")
NAMESPACE = "pi-speedup"
_OURS = "app.kubernetes.io/managed-by=pi-speedup"
_OUR_KINDS = "namespaces,configmaps,leases,jobs,pods"
# A worker that takes this many samples ends with its test only.
ENDLESS = 10**9


@dataclass(frozen=True)
class Cluster(VirtualCluster, ContainerRig):
    """Running containers of `folder`."""

    def addresses(self) -> dict[str, str]:
        """Return each Pi's address."""
        inventory = yaml.safe_load((self.folder / "inventory.yml").read_text())
        pis = inventory["all"]["children"]["pis"]["hosts"]
        return {name: variables["ansible_host"] for name, variables in pis.items()}

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

    @contextlib.contextmanager
    def clock_ahead(self, pi: str, seconds: float) -> Iterator[None]:
        """Let all that is started over SSH see another time: the kernel's clock is everybody's."""
        library = self.on(pi, "find", "/usr/lib", "-name", "libfaketime.so.1").strip()
        setting = f"SetEnv LD_PRELOAD={library} FAKETIME=+{seconds}s FAKETIME_DONT_FAKE_MONOTONIC=1"
        path = "/etc/ssh/sshd_config.d/clock.conf"
        self.on(pi, "sh", "-c", f"echo '{setting}' > {path}")
        self.restart_sshd(pi)
        try:
            yield
        finally:
            self.on(pi, "rm", path)
            self.restart_sshd(pi)

    def break_connections(self, pi: str) -> None:
        """End all SSH connections of a Pi; its server stays."""
        self.on(pi, "pkill", "-KILL", "-f", "^sshd: pi")

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


def trials(outcome: Outcome) -> tuple[Trial, ...]:
    """Return the trials of a run, in the order of its plan."""
    return RunStore(outcome.run_dir.resolve()).trials()
