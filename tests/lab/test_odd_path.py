"""From nothing to the speedup in a clone whose path has spaces, a quote and a letter beyond ASCII."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clone import copy_work_tree, make, typed


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """A clone in which nothing is set up; its lab is ended."""
    folder = copy_work_tree(tmp_path / "a b'c" / "pi ü")
    (folder / "group_vars").mkdir()
    (folder / "group_vars/all.yml").write_text("benchmark_rounds: 1\n")
    yield folder
    make(folder, "lab-down")


def test_the_demo_runs_and_leaves_nothing(clone: Path) -> None:
    shown = make(clone, "demo", "DEMO_SAMPLES=1000")
    assert shown.returncode == 0, shown.stdout
    report = json.loads((clone / "runs/latest/report.json").read_text())
    assert report["pis"] == ["pi-1", "pi-2", "pi-3"]
    # No PYTHONPATH, and from elsewhere.
    history = subprocess.run(
        [clone / ".venv/bin/python", "-m", "pi_speedup", "history", "--json"],
        cwd="/",
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert history.returncode == 0, history.stderr
    assert [each["run_id"] for each in json.loads(history.stdout)["runs"]] == [report["run_id"]]
    # As the demo's last lines have it.
    cleaned = typed(clone, ".venv/bin/ansible-playbook", "-i", ".lab/inventory.yml", "cleanup.yml")
    assert cleaned.returncode == 0, cleaned.stdout
    ended = make(clone, "lab-down")
    assert ended.returncode == 0, ended.stdout
    assert not (clone / ".lab").exists()
