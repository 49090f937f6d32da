"""The worker as its users see it: run as a program, by its output, its exit code and its files."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pi_speedup.worker_output import parse_worker_json, parse_worker_output

WORKER = Path(__file__).parents[2] / "files" / "pi_worker.py"
BASELINE = ["--run-id", "r1", "--stream", "baseline-weak", "--samples", "20000", "--node", "pi-1"]


def work(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(WORKER), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], **environment},
    )


def test_a_whole_result_is_read_back() -> None:
    result = parse_worker_output(work(*BASELINE).stdout)
    assert (result.run_id, result.stream, result.completion_index) == ("r1", "baseline-weak", None)
    assert (result.samples, result.engine, result.node) == (20000, "seed", "pi-1")
    assert result.duration_seconds > 0
    assert result.end_epoch_ns > result.start_epoch_ns


def test_the_first_line_reads_as_in_the_seed() -> None:
    first = work(*BASELINE).stdout.splitlines()[0]
    estimate, _, seconds = first.removeprefix("Estimated Pi: ").partition(", Time: ")
    assert float(estimate) == pytest.approx(3.14, abs=0.1)
    assert seconds.endswith(" seconds")


def test_the_checksum_is_that_of_the_json_line() -> None:
    _, line, mark = work(*BASELINE).stdout.splitlines()
    assert mark == f"PI-WORKER-END sha256={hashlib.sha256(line.encode()).hexdigest()}"
    assert len(line) <= 1024


def test_a_pod_takes_its_stream_from_its_completion_index(tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    arguments = ["--run-id", "r1", "--samples", "1000", "--termination-log", str(log)]
    done = work(*arguments, JOB_COMPLETION_INDEX="2", NODE_NAME="pi-3")
    result = parse_worker_json(log.read_text())
    assert result == parse_worker_output(done.stdout)
    assert (result.completion_index, result.stream, result.node) == (2, "2", "pi-3")


@pytest.mark.parametrize(
    ("run_id", "stream", "same"),
    [("r1", "0", True), ("r1", "1", False), ("r2", "0", False)],
    ids=["the same pod repeats to the digit", "another pod draws others", "another run draws others"],
)
def test_random_streams(run_id: str, stream: str, same: bool) -> None:
    def drawn(run_id: str, stream: str) -> tuple[str, int]:
        result = parse_worker_output(
            work("--run-id", run_id, "--stream", stream, "--samples", "5000", "--node", "pi-1").stdout
        )
        return result.rng_seed, result.inside

    assert (drawn(run_id, stream) == drawn("r1", "0")) == same


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"--samples": "0"}, "'0'"),
        ({"--samples": "-1"}, "'-1'"),
        ({"--samples": "abc"}, "'abc'"),
        ({"--samples": "1e6"}, "'1e6'"),
        ({"--engine": "fast"}, "'fast'"),
        ({"--run-id": "a b"}, "'a b'"),
        ({"--node": "pi/1"}, "'pi/1'"),
        ({"--node": ""}, "--node"),
        ({"--stream": ""}, "--stream"),
        ({"--deadline-seconds": "0"}, "'0'"),
        ({"--deadline-seconds": "0.5"}, "'0.5'"),
        ({"--deadline-seconds": "1000000000"}, "'1000000000'"),
    ],
    ids=[
        "none",
        "negative",
        "no number",
        "float",
        "engine",
        "run id",
        "node",
        "no node",
        "no stream",
        "no time",
        "part of a second",
        "longer than a timer",
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(changes: dict[str, str], named: str) -> None:
    given = dict(zip(BASELINE[::2], BASELINE[1::2], strict=True)) | changes
    done = work(*[f"{name}={value}" for name, value in given.items() if value])
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert named in done.stderr


def test_a_termination_log_that_cannot_be_written_is_one_line() -> None:
    done = work(*BASELINE, "--termination-log", "/nonexistent/log")
    assert done.returncode == 1
    assert done.stderr == "pi_worker: cannot write /nonexistent/log: No such file or directory\n"


def test_sigterm_ends_it_at_once() -> None:
    arguments = [sys.executable, "-u", str(WORKER), "--run-id=r1", "--stream=0", "--node=pi-1"]
    with subprocess.Popen([*arguments, "--samples=100000000000"]) as process:
        # The handler is set before anything else is done; a process that can't be told apart yet gets it too.
        status = Path(f"/proc/{process.pid}/status")
        caught = 1 << (signal.SIGTERM - 1)
        while not int(status.read_text().partition("SigCgt:")[2].split()[0], 16) & caught:
            assert process.poll() is None
        process.terminate()
        assert process.wait() == 143


def test_its_deadline_ends_it_though_nobody_else_does() -> None:
    # Many times a second's work, but not endless: without its deadline it ends well, and too late.
    done = work(*BASELINE, "--samples=100000000", "--deadline-seconds=1")
    assert (done.returncode, done.stdout) == (124, "")
    assert done.stderr == "pi_worker: not finished after 1 s, so it ended itself\n"


def test_a_deadline_that_is_not_reached_changes_nothing() -> None:
    result = parse_worker_output(work(*BASELINE, "--deadline-seconds", "999999999").stdout)
    assert result.samples == 20000


def test_it_is_valid_for_python_3_9() -> None:
    ast.parse(WORKER.read_text(), feature_version=(3, 9))


def test_json_is_compact_and_in_the_published_order() -> None:
    line = work(*BASELINE).stdout.splitlines()[1]
    assert list(json.loads(line))[:4] == ["schema_version", "run_id", "stream", "completion_index"]
    assert ": " not in line
