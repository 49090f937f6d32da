"""The control plane is restarted or stopped under a run: it ends right each time, and the verdict says it.

The long pauses are for `make proofs`; CI takes the short ones.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.virtual import Playing, await_that


@dataclass
class ControlPlane:
    """The processes of a lab's control plane, to be stopped and restarted; the lab is lost afterwards."""

    lab: Lab
    pids: dict[str, int] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def pid(self, component: str) -> int:
        return self.pids.get(component) or self.lab.pid(component)

    def pause(self, component: str, seconds: float) -> None:
        """Stop a component for some time, as on a machine that hangs."""
        os.kill(self.pid(component), signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(self.pid(component), signal.SIGCONT)

    def restart(self, playing: Playing, *components: str) -> None:
        """Kill components; once the run has met that, start them again in the same order, as they were.

        A control plane that is back between two requests was away for nobody.
        """
        commands = {}
        for component in components:
            process = Path("/proc") / str(self.pid(component))
            commands[component] = (
                (process / "cmdline").read_bytes().split(b"\0")[:-1],
                (process / "cwd").resolve(),
            )
            os.kill(self.pid(component), signal.SIGKILL)
        told = re.compile(r"is away.*; waiting for it")
        await_that(lambda: told.search(playing.output.read_text()), "the run says who is away")
        for component, (argv, cwd) in commands.items():
            with (self.lab.folder / "logs" / f"{component}.again.log").open("ab") as log:
                child = subprocess.Popen(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self.started.append(child)
            self.pids[component] = child.pid

    def end(self) -> None:
        """End what was started anew: the lab does not know of it."""
        for child in self.started:
            child.kill()
            child.wait()


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    lab = Lab(tmp_path / "lab")
    lab.virtual_cluster("up", "--pis", "3", "--cpus", "0.5")
    found = ControlPlane(lab)
    yield found
    found.end()
    lab.virtual_cluster("down")


Cause = Callable[[ControlPlane, Playing], None]


def paused(component: str, seconds: float) -> Cause:
    return lambda plane, _: plane.pause(component, seconds)


def restarted(*components: str) -> Cause:
    return lambda plane, playing: plane.restart(playing, *components)


CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
CAUSES: dict[str, Cause] = {
    "API server stopped for 8 s": paused("kube-apiserver", 8),
    "etcd, then all the rest restarted": restarted("etcd", "kube-apiserver", *CONTROLLERS),
}
if os.environ.get("PROOFS"):
    CAUSES |= {"API server restarted": restarted("kube-apiserver", *CONTROLLERS)}
    CAUSES |= {
        f"{component} stopped for {seconds} s": paused(component, seconds)
        for component in ("kube-apiserver", "kube-controller-manager")
        for seconds in (20, 65)
    }


@pytest.mark.fault(
    "API away for 60 s",
    "API server https://127.0.0.1:6443 is away; waiting for it",
    kept="all; the outage is in the trial, and the verdict says so",
    exit_code=0,
    row="kube-apiserver stopped for 65 s",
)
@pytest.mark.fault(
    "control plane restarted under a run",
    "API server https://127.0.0.1:6443 is away; waiting for it",
    kept="all; the outage is in the trial, and the verdict says so",
    exit_code=0,
    row="etcd, then all the rest restarted",
)
@pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES.keys())
def test_a_run_survives_and_the_verdict_says_what_happened(
    plane: ControlPlane,
    cause: Cause,
    record_property: Callable[[str, object], None],
) -> None:
    lab = plane.lab
    playing = lab.start(
        "benchmark.yml", benchmark_rounds=2, benchmark_samples_per_process=8_000_000, benchmark_long_rounds=0
    )
    # In a trial that counts, not in the warm-up.
    await_that(lambda: list(playing.run_dir.glob("trials/r000-01-*.json")), "the warm-up is over")
    await_that(lambda: running_pods(lab), "a pod runs")
    cause(plane, playing)
    outcome = playing.end(within_seconds=400)
    assert "Traceback" not in outcome.output
    assert outcome.exit_code == 0, outcome.output
    report = json.loads((outcome.run_dir / "report.json").read_text())
    assert report["progress"]["rounds_complete"] == 2
    checks = {check["code"]: check for check in report["checks"]}
    assert checks["outages"]["status"] == "flag", outcome.output
    assert report["verdict"]["status"] in ("doubtful", "invalid")
    record_property("told", checks["outages"]["found"])
    record_property("failed attempts", report["progress"]["trials_failed"])


def running_pods(lab: Lab) -> list[str]:
    return [
        pod["metadata"]["name"]
        for pod in lab.get("pods", "--all-namespaces")["items"]
        if pod["status"]["phase"] == "Running"
    ]
