"""compare on runs of labs: slower Pis are found each time, equal runs raise no alarm, the rest is refused.

PROOFS=1 measures as many runs as a rate needs, on a machine that has nothing else to do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.cli.output import Exit
from tests.lab.lab import Lab
from tests.virtual import PROJECT, playbook_environment

_PROOFS = bool(os.environ.get("PROOFS"))
_SLOWER_PAIRS, _EQUAL_PAIRS = (5, 20) if _PROOFS else (1, 1)
# Without a machine to itself, shares so small that the Pis get them whatever else runs.
_CPUS, _FEWER_CPUS, _SAMPLES = ("0.5", "0.4", 4_000_000) if _PROOFS else ("0.1", "0.08", 700_000)
# The least for an interval, and a second or two of computing.
SHORT = {"benchmark_rounds": 5, "benchmark_long_rounds": 0, "benchmark_samples_per_process": _SAMPLES}


def started(folder: Path, cpus: str) -> Lab:
    """Start a lab of its own."""
    folder.mkdir()
    running = Lab(folder / "lab")
    running.virtual_cluster("up", "--pis", "3", "--cpus", cpus)
    return running


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of its own."""
    running = started(tmp_path_factory.mktemp("usual") / "x", _CPUS)
    yield running
    running.virtual_cluster("down")


@pytest.fixture(scope="module")
def slower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab whose Pis have four fifths of the other's speed."""
    running = started(tmp_path_factory.mktemp("slower") / "x", _FEWER_CPUS)
    yield running
    running.virtual_cluster("down")


def measure(lab: Lab, runs: Path, run_id: str, **settings: object) -> str:
    """Measure a run; return its id."""
    words = {**SHORT, "benchmark_run_id": run_id, "benchmark_runs_dir": runs, **settings}
    outcome = lab.play("benchmark.yml", **words)
    assert outcome.exit_code == 0, outcome.output
    return run_id


def compare(runs: Path, *words: str) -> tuple[int, Any]:
    """Return the exit code and the JSON."""
    done = subprocess.run(
        [
            sys.executable,
            str(PROJECT / "src/pi_speedup"),
            "compare",
            "--json",
            *words,
            "--runs-dir",
            str(runs),
        ],
        capture_output=True,
        text=True,
        env=playbook_environment(),
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def test_slower_pis_are_found(usual: Lab, slower: Lab, tmp_path: Path) -> None:
    for number in range(_SLOWER_PAIRS):
        before = measure(usual, tmp_path, f"before-{number}")
        after = measure(slower, tmp_path, f"after-{number}")
        # The lab gives each Pi's share as the pods' limit, and other limits are another experiment.
        code, found = compare(tmp_path, before, after)
        assert code == Exit.NOT_COMPARABLE, found
        assert found["words"] == f"not comparable: cores of a pod {_CPUS} and {_FEWER_CPUS}"
        code, found = compare(tmp_path, "--despite", "limits", before, after)
        assert code == Exit.SLOWER, found
        print(found["words"])


def test_equal_runs_raise_no_alarm(usual: Lab, tmp_path: Path) -> None:
    alarms = 0
    measure(usual, tmp_path, "equal-0")
    for number in range(1, _EQUAL_PAIRS + 1):
        measure(usual, tmp_path, f"equal-{number}")
        code, found = compare(tmp_path, f"equal-{number - 1}", f"equal-{number}")
        alarms += code in (Exit.FASTER, Exit.SLOWER)
        print(code, found["words"], found["margin"])
    assert alarms <= 1


def test_other_samples_are_not_comparable(lab: Lab, tmp_path: Path) -> None:
    few = {"benchmark_rounds": 1, "benchmark_samples_per_process": 1000}
    one = measure(lab, tmp_path, "one", **few)
    other = measure(lab, tmp_path, "other", **few | {"benchmark_samples_per_process": 2000})
    code, found = compare(tmp_path, one, other)
    assert code == Exit.NOT_COMPARABLE
    assert found["words"] == "not comparable: samples of a process 1,000 and 2,000"
