"""The worker as its users see it: run as a program, by its output, its exit code and its files."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.model.worker import MAX_JSON_BYTES, parse_worker_json, parse_worker_output
from pi_speedup.workload.pi import Pi, PiReport
from tests.unit.pi.local import processes_with

WORKER = Path(__file__).parents[3] / "files" / "pi_worker.py"
PROGRAM = WORKER.read_text()
STREAM = "r001-02-alone.1"
CASE = ["--run-id=r1", f"--stream={STREAM}", "--samples=20000", "--node=pi-1"]
ENDLESS = "--samples=100000000000"


def work(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the worker as a pod does."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], **environment},
    )


def report(*arguments: str, **environment: str) -> PiReport:
    done = work(*arguments, **environment)
    assert done.stderr == ""
    return read(done.stdout)


def read(output: str) -> PiReport:
    return Pi().own(Pi().read(output, "the worker"), "the worker")


def awaited(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_whole_result_is_read_back() -> None:
    found = report(*CASE)
    (process,) = found.processes
    assert (found.run_id, found.completion_index, found.engine, found.node) == ("r1", None, "seed", "pi-1")
    assert (found.streams, process.samples) == ((f"{STREAM}.0.0",), 20000)
    assert process.duration_seconds > 0
    assert process.end_epoch_ns > process.start_epoch_ns


def test_it_may_come_on_standard_input() -> None:
    words = [sys.executable, "-", *CASE, "--processes=2"]
    done = subprocess.run(words, input=PROGRAM, capture_output=True, text=True, check=True)
    assert read(done.stdout).samples == 40000


def test_the_first_line_reads_as_in_the_seed() -> None:
    first = work(*CASE).stdout.splitlines()[0]
    estimate, _, seconds = first.removeprefix("Estimated Pi: ").partition(", Time: ")
    assert float(estimate) == pytest.approx(3.14, abs=0.1)
    assert seconds.endswith(" seconds")


def test_the_checksum_is_that_of_the_json_line() -> None:
    _, line, mark = work(*CASE).stdout.splitlines()
    assert mark == f"PI-WORKER-END sha256={hashlib.sha256(line.encode()).hexdigest()}"


@pytest.mark.parametrize("how", ["environment", "argument"])
def test_a_pod_says_which_it_is(tmp_path: Path, how: str) -> None:
    log = tmp_path / "termination-log"
    arguments = ["--run-id=r1", f"--stream={STREAM}", "--samples=1000", f"--termination-log={log}"]
    if how == "argument":
        done = work(*arguments, "--completion-index=2", "--node=pi-3", JOB_COMPLETION_INDEX="7")
    else:
        done = work(*arguments, JOB_COMPLETION_INDEX="2", NODE_NAME="pi-3")
    found = parse_worker_json(log.read_text(), "the log")
    assert found == parse_worker_output(done.stdout, "the worker")
    assert (found.completion_index, found.node) == (2, "pi-3")
    assert read(done.stdout).streams == (f"{STREAM}.2.0",)


@pytest.mark.parametrize(
    ("run_id", "stream", "index", "same"),
    [
        ("r1", "a.1", 0, True),
        ("r1", "a.1", 1, False),
        ("r1", "a.2", 0, False),
        ("r2", "a.1", 0, False),
    ],
    ids=["the same repeats to the digit", "another pod's", "another attempt's", "another run's"],
)
def test_random_streams(run_id: str, stream: str, index: int, same: bool) -> None:
    def drawn(run_id: str, stream: str, index: int) -> tuple[str, int]:
        found = report(
            f"--run-id={run_id}",
            f"--stream={stream}",
            f"--completion-index={index}",
            "--samples=5000",
            "--node=pi-1",
        )
        return found.processes[0].rng_seed, found.inside

    assert (drawn(run_id, stream, index) == drawn("r1", "a.1", 0)) == same


def test_the_seed_is_the_published_one() -> None:
    (process,) = report(*CASE).processes
    assert process.rng_seed == hashlib.sha256(f"r1/{STREAM}.0.0".encode()).hexdigest()[:16]


def test_processes_draw_streams_of_their_own_at_the_same_time() -> None:
    found = report(*CASE, "--processes=4", "--samples=200000")
    assert found.streams == tuple(f"{STREAM}.0.{p}" for p in range(4))
    assert len({process.rng_seed for process in found.processes}) == 4
    assert len({process.inside for process in found.processes}) > 1
    # All were there before the first began, so each began before any had ended.
    first_end = min(process.end_epoch_ns for process in found.processes)
    assert all(process.start_epoch_ns < first_end for process in found.processes)


def test_a_process_draws_the_same_alone_and_beside_others() -> None:
    alone, beside = report(*CASE), report(*CASE, "--processes=2")
    assert alone.processes[0].inside == beside.processes[0].inside


def test_sixteen_accounts_fit_into_a_termination_message() -> None:
    arguments = ["--run-id=20261125-123456-abcd", "--stream=r123-45-together-1000.1", "--samples=123456"]
    done = work(*arguments, "--processes=16", "--completion-index=999", "--node=raspberry-pi-4-no-1000")
    line = done.stdout.splitlines()[1]
    assert len(line) <= MAX_JSON_BYTES
    assert len(parse_worker_output(done.stdout, "the worker").processes) == 16


def test_it_says_on_how_many_cores_it_may_run() -> None:
    mine = sorted(os.sched_getaffinity(0))
    arguments = ["--run-id=r-1", "--stream=s", "--samples=10", "--completion-index=0", "--node=pi-1"]
    assert parse_worker_output(work(*arguments).stdout, "the worker").usable_cores == len(mine)
    os.sched_setaffinity(0, mine[:1])
    try:
        assert parse_worker_output(work(*arguments).stdout, "the worker").usable_cores == 1
    finally:
        os.sched_setaffinity(0, mine)


def test_a_result_that_could_be_too_long_is_refused_before_it_is_measured() -> None:
    done = work("--run-id=r1", f"--stream={'s' * 80}", ENDLESS, "--processes=16", f"--node={'n' * 253}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "more than 4096" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"--samples": "0"}, "'0'"),
        ({"--samples": "-1"}, "'-1'"),
        ({"--samples": "abc"}, "'abc'"),
        ({"--samples": "1e6"}, "'1e6'"),
        ({"--processes": "0"}, "'0'"),
        ({"--processes": "17"}, "'17'"),
        ({"--engine": "fast"}, "'fast'"),
        ({"--run-id": "a b"}, "'a b'"),
        ({"--node": "pi/1"}, "'pi/1'"),
        ({"--node": ""}, "--node"),
        ({"--stream": ""}, "--stream"),
        ({"--stream": ".a"}, "'.a'"),
        ({"--completion-index": "1.5"}, "'1.5'"),
        ({"--deadline-seconds": "0"}, "'0'"),
        ({"--deadline-seconds": "0.5"}, "'0.5'"),
        ({"--deadline-seconds": "1000000000"}, "'1000000000'"),
    ],
    ids=[
        "none",
        "negative",
        "not a number",
        "float",
        "no process",
        "too many processes",
        "engine",
        "run id",
        "node",
        "no node",
        "no stream",
        "stream",
        "index",
        "no time",
        "part of a second",
        "longer than a timer",
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(changes: dict[str, str], named: str) -> None:
    given = dict(argument.split("=") for argument in CASE) | changes
    done = work(*[f"{name}={value}" for name, value in given.items() if value])
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert named in done.stderr


def test_an_index_of_the_pod_that_is_not_one_is_refused() -> None:
    done = work(*CASE, JOB_COMPLETION_INDEX="x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("pi_worker: JOB_COMPLETION_INDEX: 'x' is not a whole number")


def test_a_termination_log_that_cannot_be_written_is_one_line() -> None:
    done = work(*CASE, "--termination-log", "/nonexistent/log")
    assert done.returncode == 1
    assert done.stderr == "pi_worker: cannot write /nonexistent/log: No such file or directory\n"


def children(process: subprocess.Popen[Any]) -> list[int]:
    """The ids of what the worker has forked."""
    text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(number) for number in text.split()]


def computes(number: int) -> bool:
    """Whether a process has begun to use its CPU: more than its start takes."""
    fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) > 10


class Started:
    """A worker that computes without end, as a context manager; it is killed at its end."""

    def __init__(self, stream: str, *arguments: str, processes: int = 3) -> None:
        self.stream = stream
        words = ["--run-id=r1", f"--stream={stream}", ENDLESS, "--node=pi-1", f"--processes={processes}"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes = processes

    def __enter__(self) -> subprocess.Popen[str]:
        if self.processes == 1:
            awaited(lambda: computes(self.process.pid))
        else:
            awaited(lambda: len(children(self.process)) == self.processes)
            awaited(lambda: all(map(computes, children(self.process))))
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
        # None of it may compute on, whatever has ended it.
        awaited(lambda: not list(processes_with(f"--stream={self.stream} ")))


@pytest.mark.parametrize("processes", [1, 3])
def test_sigterm_ends_all_of_it_at_once(processes: int) -> None:
    with Started(f"term.{processes}", processes=processes) as process:
        process.terminate()
        assert (process.wait(), process.communicate()) == (143, ("", ""))


def test_sigterm_while_it_starts_leaves_nothing() -> None:
    # From the first moment that its handler is there, at different moments of its forks.
    for pause in range(5):
        words = ["--run-id=r1", "--stream=early.1", ENDLESS, "--node=pi-1", "--processes=16"]
        with subprocess.Popen([sys.executable, "-c", PROGRAM, *words]) as process:
            status = Path(f"/proc/{process.pid}/status")
            caught = 1 << (signal.SIGTERM - 1)
            while not int(status.read_text().partition("SigCgt:")[2].split()[0], 16) & caught:
                assert process.poll() is None
            awaited(lambda: len(children(process)) >= pause * 3)  # noqa: B023
            process.terminate()
            assert process.wait() == 143
        awaited(lambda: not list(processes_with("--stream=early.1 ")))


@pytest.mark.parametrize("processes", [1, 3])
def test_its_deadline_ends_it_though_nobody_else_does(processes: int) -> None:
    done = work(
        "--run-id=r1",
        "--stream=late.1",
        ENDLESS,
        "--node=pi-1",
        "--deadline-seconds=1",
        f"--processes={processes}",
    )
    assert (done.returncode, done.stdout) == (124, "")
    assert done.stderr == "pi_worker: not finished after 1 s, so it ended itself\n"
    awaited(lambda: not list(processes_with("--stream=late.1 ")))


def test_a_deadline_that_is_not_reached_changes_nothing() -> None:
    assert report(*CASE, "--deadline-seconds=999999999", "--processes=2").samples == 40000


def test_a_killed_parent_leaves_no_computing_child() -> None:
    with Started("orphan.1") as process:
        process.kill()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGKILL, "was killed by signal 9, perhaps for want of memory"),
        (signal.SIGTERM, "was killed by signal 15"),
    ],
    ids=["killed", "told to end"],
)
def test_one_process_that_dies_ends_all_with_one_line(number: signal.Signals, words: str) -> None:
    with Started(f"dies.{number}") as process:
        os.kill(children(process)[1], number)
        assert process.wait() == 1
        assert process.communicate() == ("", f"pi_worker: process dies.{number}.0.1 {words}\n")


def test_one_process_that_fails_says_why() -> None:
    failing = PROGRAM.replace("inside = count_inside(rest)", "inside = count_inside(rest) // (number - 1)")
    words = [sys.executable, "-c", failing, *CASE, "--processes=2"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "ZeroDivisionError" in done.stderr and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"pi_worker: process {STREAM}.0.1: ")


def test_one_process_that_dies_before_the_start_ends_all() -> None:
    failing = PROGRAM.replace("random.seed(rng_seed)", "random.seed(rng_seed); number == 1 and os._exit(3)")
    words = [sys.executable, "-c", failing, *CASE, "--processes=3", ENDLESS]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize(
    ("text", "celsius", "megahertz"),
    [
        ("48312\n", 48.3, 48.3),
        ("-1250", -1.2, None),
        ("1800000", None, 1800.0),
        ("9" * 30, None, None),
        ("", None, None),
        ("hot", None, None),
        (None, None, None),
    ],
    ids=["told", "frost", "a frequency", "nonsense", "empty", "not a number", "no such file"],
)
def test_heat_and_speed_are_told_where_they_can_be_read(
    tmp_path: Path, text: str | None, celsius: float | None, megahertz: float | None
) -> None:
    file = tmp_path / "temp"
    if text is not None:
        file.write_text(text)
    program = PROGRAM
    for name in (
        "/sys/class/thermal/thermal_zone0/temp",
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq",
    ):
        assert name in program
        program = program.replace(name, str(file))
    done = subprocess.run([sys.executable, "-c", program, *CASE], capture_output=True, text=True, check=True)
    found = parse_worker_output(done.stdout, "the worker")
    assert (found.celsius, found.megahertz) == ((celsius, celsius), (megahertz, megahertz))


def test_it_is_valid_for_python_3_9() -> None:
    ast.parse(PROGRAM, feature_version=(3, 9))


def test_json_is_compact_and_has_the_published_fields() -> None:
    line = work(*CASE).stdout.splitlines()[1]
    assert set(json.loads(line)) == set(PiReport.model_fields)
    assert ": " not in line
