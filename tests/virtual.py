"""The doors as tests and benchmarks open them on a virtual cluster: as a user types it."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from virtual_cluster.tests.rig import PROJECT, Rig, await_that

__all__ = [
    "PROJECT",
    "Outcome",
    "Playing",
    "VirtualCluster",
    "assert_told",
    "await_that",
    "playbook_environment",
]

# Enough for a figure, and done in a blink.
FEW = {"benchmark_samples_per_process": 1000, "benchmark_rounds": 1, "benchmark_long_rounds": 0}


@dataclass(frozen=True)
class Outcome:
    """What a playbook printed, its exit code, and the folder of its run."""

    exit_code: int
    output: str
    run_dir: Path

    @property
    def errors(self) -> list[str]:
        """Return the lines at the end that say what went wrong, each with its next step."""
        from_last = reversed(self.output.rstrip().splitlines())
        return list(itertools.takewhile(lambda line: "Next: " in line, from_last))[::-1]


def assert_told(outcome: Outcome, message: str) -> None:
    """Hold a door that failed to one line, which stands once and last on the screen, below any warning."""
    assert outcome.exit_code == 2, outcome.output
    assert "Traceback" not in outcome.output, outcome.output
    assert len(outcome.errors) == 1, outcome.output
    assert re.search(message, outcome.errors[0]), outcome.output
    assert re.search(r" \[PS-\d{3}\]", outcome.errors[0]), outcome.output
    steps = [line for line in outcome.output.splitlines() if "Next: " in line]
    assert [line for line in steps if not line.startswith("[WARNING]")] == outcome.errors, outcome.output


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


def heed_interrupts() -> None:
    """Undo what a child inherits from whoever runs the tests in the background: to ignore such signals."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@dataclass(frozen=True)
class VirtualCluster(Rig):
    """A running virtual cluster in `folder`."""

    def start(self, door: str, *words: str, **settings: object) -> Playing:
        """Start a playbook as a user does, with settings as -e, in a process group of its own."""
        return self.start_in({}, door, *words, **settings)

    def start_in(self, environment: Mapping[str, str], door: str, *words: str, **settings: object) -> Playing:
        """Start a playbook with more in its environment."""
        runs = Path(str(settings.get("benchmark_runs_dir", self.folder.parent / "runs")))
        command = str(Path(sys.executable).parent / "ansible-playbook")
        argv = [command, "-i", str(self.folder / "inventory.yml"), door, *words]
        for name, value in {"benchmark_runs_dir": runs, **FEW, **settings}.items():
            argv += ["-e", f"{name}={value}"]
        output = self.folder.parent / f"output-{time.monotonic_ns()}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=PROJECT,
                env={**playbook_environment(), **environment},
                start_new_session=True,
                preexec_fn=heed_interrupts,
            )
        return Playing(process, output, runs / "latest")

    def play(self, door: str, *words: str, **settings: object) -> Outcome:
        """Run a playbook to its end."""
        return self.start(door, *words, **settings).end()
