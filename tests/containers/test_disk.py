"""The control host's disk: full at any moment, read-only, elsewhere. What was measured stays.

These need root, to mount, and no Pi.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pi_speedup.measure.loop import Ended
from pi_speedup.model.plan import Plan
from pi_speedup.problem import ProblemError
from pi_speedup.store import RunStore
from tests.unit.measure.test_loop import Scripted, go
from tests.unit.plan.factory import plan

MADE = plan(rounds=2, long_rounds=0)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with room for all."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def change(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)


def measure_all(made: Plan, store: RunStore) -> Ended:
    if not store.has_plan:
        store.seal(made)
    return go(made, store, Scripted(made))


@pytest.mark.fault(
    "control host's disk full, at ten sizes",
    "…/small/x/trials/r000-00-alone.json: cannot be written (No space left on device) "
    "[PS-701]. Next: make room there or give write permission; what was written before is"
    " whole",
    kept="trials; the run goes on once there is room",
    row="4 KiB",
)
@pytest.mark.fault(
    "control host's disk full, at ten sizes",
    row=["8 KiB", "12 KiB", "16 KiB", "20 KiB", "24 KiB", "28 KiB", "32 KiB", "36 KiB", "40 KiB"],
)
@pytest.mark.parametrize("pages", range(1, 11), ids=lambda pages: f"{4 * pages} KiB")
def test_on_a_full_disk_nothing_is_lost_and_the_run_goes_on(disk: Path, pages: int) -> None:
    store = RunStore(disk / "x")
    change(disk, f"size={4 * pages}k")
    with pytest.raises(
        ProblemError,
        match=r"/small/x/\S+: cannot be written \(No space left on device\) \[PS-701\]\. Next: make room",
    ):
        measure_all(MADE, store)
    kept = store.trials() if store.has_plan else ()
    assert not list(disk.rglob(".*"))
    change(disk, "size=1m")
    assert measure_all(MADE, store) == Ended("complete")
    assert set(kept) <= set(store.trials())
    assert [trial.slot for trial in store.trials()] == list(MADE.slots)


@pytest.mark.fault(
    "control host's disk read-only",
    "…/x/plan.json: cannot be written (Read-only file system) [PS-701]. Next: make room "
    "there or give write permission; what was written before is whole",
    kept="nothing begun",
)
def test_a_disk_that_is_read_only_is_one_line(disk: Path) -> None:
    change(disk, "ro")
    with pytest.raises(
        ProblemError,
        match=r"/x/plan\.json: cannot be written \(Read-only file system\) \[PS-701\]\. Next: make room",
    ):
        measure_all(MADE, RunStore(disk / "x"))


@pytest.mark.fault("runs folder behind a link", "survived", kept="all")
def test_the_runs_may_lie_behind_a_link(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").symlink_to(disk)
    assert measure_all(MADE, RunStore(tmp_path / "runs/x")) == Ended("complete")
    assert len(RunStore(disk / "x").trials()) == len(MADE.slots)
