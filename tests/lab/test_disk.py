"""The control host's disk is full in each phase of a run: one line, and nothing that was measured is lost."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pi_speedup.store import RunStore
from tests.lab.lab import Lab
from tests.virtual import assert_told, await_that

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("CI"), reason="only root can mount a small disk"
)
LINE = r"cannot be written \(No space left on device\).* \[PS-701\]\. Next: make room there"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with room for all."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Leave no room for another file."""
    with contextlib.suppress(OSError), (disk / "full").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


PHASES: dict[str, Callable[[Path], bool]] = {
    "before anything is written": lambda run: True,
    "once the plan is sealed": lambda run: (run / "plan.json").exists(),
    "while it measures": lambda run: any((run / "trials").glob("*.json")),
}


@pytest.mark.fault(
    "control host's disk full in each phase of a run",
    "…/small/run/trials/r001-00-alone.json: cannot be written (No space left on device) [PS-701]. Next: make "
    "room there or give write permission; what was written before is whole",
    kept="trials; the run goes on once there is room",
    row="while it measures",
)
@pytest.mark.fault(
    "control host's disk full in each phase of a run",
    row=["before anything is written", "once the plan is sealed"],
)
@pytest.mark.parametrize("is_phase", PHASES.values(), ids=PHASES)
def test_a_full_disk_is_one_line_and_the_run_goes_on(
    lab: Lab, disk: Path, is_phase: Callable[[Path], bool]
) -> None:
    given = {"benchmark_runs_dir": disk, "benchmark_run_id": "run", "benchmark_rounds": 3}
    run = disk / "run"
    if is_phase(run):
        fill(disk)
    playing = lab.start("benchmark.yml", **given)
    await_that(lambda: is_phase(run) or playing.process.poll() is not None, "the phase has come")
    fill(disk)
    ended = playing.end(120)
    assert_told(ended, LINE)
    kept = RunStore(run).trials() if (run / "plan.json").exists() else ()
    (disk / "full").unlink()
    went_on = lab.play("benchmark.yml", **given)
    assert went_on.exit_code == 0, went_on.output
    trials = RunStore(run).trials()
    assert set(kept) <= set(trials)
    assert [trial.slot for trial in trials if trial.outcome == "ok"] == list(RunStore(run).plan().slots)


@pytest.mark.fault(
    "control host's disk full when the report is made",
    "…/small/run/report.json: cannot be written (No space left on device) [PS-701]. Next: make room there or "
    "give write permission; what was written before is whole",
    kept="all",
)
def test_a_full_disk_costs_a_report_and_no_trial(lab: Lab, disk: Path) -> None:
    given = {"benchmark_runs_dir": disk, "benchmark_run_id": "run"}
    done = lab.play("benchmark.yml", **given)
    assert done.exit_code == 0, done.output
    before = RunStore(disk / "run").trials()
    for path in (disk / "run").glob("report.*"):
        path.unlink()
    fill(disk)
    assert_told(lab.play("report.yml", **given), LINE)
    assert RunStore(disk / "run").trials() == before
    (disk / "full").unlink()
    assert lab.play("report.yml", **given).exit_code == 0
