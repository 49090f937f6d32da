"""A folder of runs in which somebody lives: whichever door opens, all that is not a run's stays as it was."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.look_alikes import put_look_alikes, seen, touched
from tests.virtual import PROJECT, assert_told


@pytest.mark.fault(
    "a folder of runs that is somebody's home, with names that a run's files have",
    "survived",
    kept="theirs; what a run wrote there is removed by name, and said",
)
def test_no_door_touches_what_is_not_ours(lab: Lab, tmp_path: Path) -> None:
    runs = tmp_path / "home"
    put_look_alikes(runs)
    before = seen(tmp_path)

    done = lab.play("benchmark.yml", benchmark_runs_dir=runs, benchmark_run_id="mine")
    assert done.exit_code == 0, done.output
    assert (runs / "latest").readlink() == Path("mine")
    assert touched(before, tmp_path) == {}
    done = lab.play("report.yml", benchmark_runs_dir=runs)
    assert done.exit_code == 0, done.output
    history = subprocess.run(
        [sys.executable, "-m", "pi_speedup", "history", "--runs-dir", str(runs)],
        env={**os.environ, "PYTHONPATH": str(PROJECT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"^mine +\d{4}-", history.stdout, re.MULTILINE), history.stdout
    assert "pipes/plan.json: a named pipe, not a file" in history.stdout

    # As a run leaves it that is killed.
    left = runs / "mine" / "private" / "kubeconfig"
    left.parent.mkdir()
    left.write_text("# pi-speedup fetched this for mine and removes it when it has served.\n")
    done = lab.play("cleanup.yml", benchmark_runs_dir=runs)
    assert done.exit_code == 0, done.output
    assert f"removed {left}\n" in done.output
    assert not left.parent.exists() and (runs / "mine" / "plan.json").exists()

    for state in ("present", "absent"):
        theirs = tmp_path / "kubeconfig"
        done = lab.play(
            "rbac.yml", benchmark_runs_dir=runs, rbac_kubeconfig=theirs, rbac_state=state, rbac_days=1
        )
        assert done.exit_code == 0, done.output
        assert theirs.exists() is (state == "present")
    assert touched(before, tmp_path) == {}


@pytest.mark.parametrize("kind", ["a folder", "a link to something else"])
def test_a_folder_called_latest_stays(lab: Lab, tmp_path: Path, kind: str) -> None:
    runs = tmp_path / "home"
    (runs / "thesis").mkdir(parents=True)
    latest = runs / "latest"
    if kind == "a folder":
        latest.mkdir()
        (latest / "diary.txt").write_text("dear diary")
    else:
        latest.symlink_to("thesis")
    before = seen(tmp_path)
    done = lab.play("benchmark.yml", benchmark_runs_dir=runs, benchmark_run_id="mine")
    assert_told(done, rf"^{latest}: not a link to a run \[PS-704\]\. Next: move it away")
    assert touched(before, tmp_path) == {}
