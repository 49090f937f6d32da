"""The base case, really run on this machine: what is measured, what a failure says, that nothing stays."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.codes import Code
from pi_speedup.model.plan import Plan, Slot
from pi_speedup.pi import base
from pi_speedup.pi.base import BaseDriver, Cleaned, clean, prepare, read_run
from pi_speedup.pi.runtime import Case
from pi_speedup.pi.shell import ShellOutcome
from pi_speedup.problem import Interrupted, Problem, ProblemError
from pi_speedup.workload import workload_of
from pi_speedup.workload.pi import Pi
from tests.unit.pi.local import FakeDocker, LocalShell, processes_with
from tests.unit.plan.factory import plan

FILES = Path(__file__).parents[3] / "files"
WORKER, WRAPPER = (FILES / "pi_worker.py").read_text(), (FILES / "run_command.sh").read_text()
ENDLESS = 10**12
# They look for processes on the whole machine, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("base cases")

# Of this process: another one that runs the same tests ends what is its own.
OWNER, OTHER = str(uuid.uuid4()), str(uuid.uuid4())
DAEMON_DOWN = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
)


@pytest.fixture
def docker(tmp_path: Path) -> FakeDocker:
    return FakeDocker(tmp_path / "bin")


@pytest.fixture
def shell(docker: FakeDocker) -> LocalShell:
    return LocalShell(docker.folder)


def a_plan(tmp_path: Path, runtime: str = "process", **settings: Any) -> Plan:
    """A plan whose processes are started by words that no other test uses."""
    prefix = ("env", f"TEST={tmp_path}") if runtime == "process" else ()
    given = {"base_runtime": runtime, "base_command_prefix": prefix, "base_python": sys.executable}
    return plan(**{"samples_per_process": 20_000, **given, **settings})


def slot(of: Plan, cell: str = "alone") -> Slot:
    return next(each for each in of.slots if each.cell == cell)


def driver(shell: Any, of: Plan, told: list[str] | None = None, program: str = WORKER) -> BaseDriver:
    return BaseDriver(
        shell, "pi-1", of, program, ["python@sha256:2"], OWNER, (told if told is not None else []).append
    )


def awaited(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("runtime", ["process", "docker"])
@pytest.mark.parametrize("processes", [1, 3])
def test_a_good_trial(shell: LocalShell, tmp_path: Path, runtime: str, processes: int) -> None:
    of = a_plan(tmp_path, runtime, processes_per_pi=processes)
    measured = driver(shell, of).run(slot(of), 1)
    trial = measured.trial
    assert (trial.outcome, trial.problem, len(shell.ran)) == ("ok", None, 1)
    (worker,) = trial.workers
    assert worker.report is not None and trial.wall_seconds is not None
    told = Pi().own(worker.report, "pi-1")
    assert told.streams == tuple(f"{slot(of).name}.1.0.{number}" for number in range(processes))
    assert told.samples == processes * 20_000
    marks = worker.milestones
    assert marks.created is not None and marks.started is not None and marks.finished is not None
    assert marks.created < marks.started < marks.finished < trial.wall_seconds <= trial.spent_seconds
    assert worker.name == f"pi-speedup-pi-speedup.x-{slot(of).name}.1"
    assert set(measured.logs) == {worker.name}
    assert "PI-WORKER-END" in str(measured.logs[worker.name])


@pytest.mark.parametrize(
    ("runtime", "image", "ids", "limit"),
    [("process", None, (), None), ("docker", "python:3.9", ("python@sha256:2",), 1.0)],
)
def test_what_it_ran_in(
    shell: LocalShell, tmp_path: Path, runtime: str, image: str | None, ids: tuple[str, ...], limit: Any
) -> None:
    of = a_plan(tmp_path, runtime, processes_per_pi=2, cpu_limit_cores=0.5)
    (worker,) = driver(shell, of).run(slot(of), 1).trial.workers
    assert (worker.runtime, worker.image, worker.image_ids) == (runtime, image, ids)
    assert worker.cpu_limit_cores == limit


def test_a_container_has_the_limits_of_a_pod(shell: LocalShell, docker: FakeDocker, tmp_path: Path) -> None:
    of = a_plan(tmp_path, "docker", processes_per_pi=2, cpu_limit_cores=0.75, memory_limit_mib=100)
    driver(shell, of).run(slot(of), 1)
    (words,) = docker.calls
    assert {
        "--cpus=1.5",
        "--memory=200m",
        "--memory-swap=200m",
        "--network=none",
        "--read-only",
        "--user=65534:65534",
        "--label=app.kubernetes.io/managed-by=pi-speedup",
        "--label=pi-speedup/run-id=x",
        "--label=pi-speedup/namespace=pi-speedup",
        f"--label=pi-speedup/owner={OWNER}",
        f"--name=pi-speedup-pi-speedup.x-{slot(of).name}.1",
    } <= set(words)
    assert docker.containers == set()


def test_the_same_run_in_two_namespaces_has_two_names(tmp_path: Path) -> None:
    plans = [a_plan(tmp_path, namespace=namespace) for namespace in ("a", "b", "b-x")]
    assert len({Case("pi-1", of, slot(of), 1, OWNER).name for of in plans}) == 3


def test_one_pi_alone_draws_the_samples_of_all(shell: LocalShell, tmp_path: Path) -> None:
    of = a_plan(tmp_path)
    (worker,) = driver(shell, of).run(slot(of, "alone-long"), 1).trial.workers
    assert worker.report is not None and Pi().own(worker.report, "pi-1").samples == 60_000


# What is set or said, words of the problem's line.
FAILURES: dict[str, tuple[dict[str, Any], str, str]] = {
    "no Python": ({"base_python": "python9"}, WORKER, "the Python of the base case is not there"),
    "takes too long": (
        {"samples_per_process": ENDLESS, "timeout_seconds": 1},
        WORKER,
        "pi-1: the base case took longer than 1 s and was stopped [PS-531]. Next: lower benchmark_samples",
    ),
    "another exit code": ({}, "raise SystemExit('out of order')", "exit code 1 (out of order)"),
    "killed": ({}, "import os; os.kill(os.getpid(), 9)", "most likely for want of memory"),
    "stopped": ({}, "import os; os.kill(os.getpid(), 15)", "stopped from outside"),
    "says nothing": ({}, "", "wrote nothing"),
    "nonsense": ({}, r"import os; os.write(1, b'\xff\xfe\0\n')", "the end mark PI-WORKER-END is missing"),
    "another run's result": (
        {},
        WORKER.replace('return "{}.{}".format(options', 'return "{}.x{}".format(options'),
        "is of another trial (streams: r",
    ),
    "another engine's result": (
        {},
        WORKER.replace('"engine": options.engine', '"engine": "numpy"'),
        "is of another trial (engine: numpy instead of seed) [PS-542]",
    ),
    "another Pi's result": (
        {},
        WORKER.replace('"node": options.node', '"node": "nas"'),
        "is of another trial (Pi: nas instead of pi-1) [PS-542]",
    ),
    "a flood": (
        {"samples_per_process": ENDLESS},
        "import os\nwhile True: os.write(1, b'x' * 4096)",
        "wrote more than 65536 bytes",
    ),
    "a short flood": ({}, "print('x' * 70000)", "wrote more than 65536 bytes"),
}


@pytest.mark.fault(
    "base case killed",
    "pi-1: the base case was killed, most likely for want of memory [PS-522]. Next: raise"
    " benchmark_memory_limit_mib, or see what else uses memory there",
    kept="trials",
    row="killed",
)
@pytest.mark.fault(
    "base case that does not end",
    "pi-1: the base case took longer than 1 s and was stopped [PS-531]. Next: lower "
    "benchmark_samples_per_process or raise benchmark_timeout_seconds",
    kept="trials",
    row="takes too long",
)
@pytest.mark.parametrize(("settings", "program", "words"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_one_line_and_its_log_is_kept(
    shell: LocalShell, tmp_path: Path, settings: dict[str, Any], program: str, words: str
) -> None:
    of = a_plan(tmp_path, **settings)
    measured = driver(shell, of, program=program).run(slot(of), 1)
    trial = measured.trial
    assert (trial.outcome, trial.wall_seconds, trial.passes_by_itself) == ("failed", None, False)
    assert words in str(trial.problem) and str(trial.problem).startswith("pi-1: ")
    assert ". Next: " in str(trial.problem) and str(trial.problem).isprintable()
    (log,) = measured.logs.values()
    assert len(log) <= 65536
    assert [worker.report for worker in trial.workers] == [None]
    assert not list(processes_with(f"--stream={slot(of).name}.1 ", shell))


# A command of the user's, words of the problem's line, and of its next step.
BAD_COMMANDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "not found": (
        {"command": "nosuchprogram"},
        r"the command was not found \(exit code 127\): .*nosuchprogram: not found \[PS-527\]",
        "correct benchmark_command, or set benchmark_image",
    ),
    "no program": (
        {"command": "/etc/passwd"},
        r"the command cannot be run \(exit code 126\): .* \[PS-527\]",
        "correct benchmark_command: a program for this kind of processor",
    ),
    "fails": (
        {"command": "printf '10%%\\r20%%\\rno such film\\r\\n' >&2; exit 3"},
        r"the command ended with exit code 3: no such film \[PS-527\]",
        "see what it lacks there",
    ),
    "characters that end a line": (
        {"command": "printf 'a\\014b\\034c\\205d\\342\\200\\250e\\n' >&2; exit 3"},
        r"the command ended with exit code 3: abc\S? ?d ?e \[PS-527\]",
        "see what it lacks there",
    ),
    "says what docker would": (
        {"command": "echo 'permission denied while trying to connect'; exit 1"},
        r"the command ended with exit code 1: permission denied while trying to connect \[PS-527\]",
        "see what it lacks there",
    ),
    "killed": (
        {"command": "kill -9 $$"},
        r"the command was killed \(exit code 137\), perhaps for want of memory \[PS-522\]",
        "raise benchmark_memory_limit_mib",
    ),
    "needs the network": (
        {"command": "echo wget: bad address deb.debian.org >&2; exit 1"},
        r"the command ended with exit code 1: wget: bad address deb\.debian\.org \[PS-527\]",
        "set benchmark_network to true, if it is to use the network",
    ),
    "needs the network, which it may use": (
        {"command": "echo wget: bad address deb.debian.org >&2; exit 1", "network": True},
        r"the command ended with exit code 1: wget: bad address deb\.debian\.org \[PS-527\]",
        "see what it lacks there",
    ),
    "takes too long": (
        {"command": "sleep 600", "timeout_seconds": 1},
        r"the base case took longer than 1 s and was stopped \[PS-531\]",
        "raise benchmark_timeout_seconds, or give the command less to do",
    ),
    "leaves a daemon": (
        {"command": "sh -c 'sleep 600 >/dev/null 2>&1 &'"},
        r"the command ended and left sleep running, which would be measured with the next trial \[PS-527\]",
        "let benchmark_command wait for what it starts",
    ),
    "floods": (
        {"command": "yes | head -c 100000000"},
        r"the command wrote more than 8 MiB to standard output \[PS-527\]",
        r"let benchmark_command write to /dev/null, or into a file below $TMPDIR",
    ),
    "prepares nothing": (
        {"command": "true", "prepare": "echo no compiler >&2; exit 5"},
        r"benchmark_prepare ended with exit code 5: no compiler \[PS-527\]",
        "see what it lacks there",
    ),
    "is wrong": (
        {"command": "echo 8", "verify": "grep -q 7"},
        r"benchmark_verify ended with exit code 1: 8 \[PS-527\]"
        r"|benchmark_verify ended with exit code 1 \[PS-527\]",
        "see what the command wrote there",
    ),
}


@pytest.mark.parametrize(("settings", "what", "step"), BAD_COMMANDS.values(), ids=BAD_COMMANDS)
def test_a_bad_command_is_one_line_and_leaves_nothing(
    shell: LocalShell, tmp_path: Path, settings: dict[str, Any], what: str, step: str
) -> None:
    # By its run's name what the command started is found, on the whole machine.
    of = a_plan(tmp_path, runs_per_process=1, **settings).model_copy(update={"run_id": uuid.uuid4().hex})
    text = workload_of(of.settings).text(WRAPPER, "")
    measured = driver(shell, of, program=text).run(slot(of), 1)
    said = str(measured.trial.problem)
    assert re.search(f"^pi-1: ({what})\\. Next: {re.escape(step)}", said), said
    assert said.isprintable()
    if "took longer" not in what:
        (name,) = measured.logs
        assert said.endswith(f"(whole log: logs/{measured.trial.name}/{name}.log)")
    assert not list(processes_with(f"PI_SPEEDUP_NONCE={of.run_id}/", shell))


def test_docker_s_words_are_read(shell: LocalShell, docker: FakeDocker, tmp_path: Path) -> None:
    docker.says({"run": (125, f"docker: {DAEMON_DOWN}")})
    of = a_plan(tmp_path, "docker")
    trial = driver(shell, of).run(slot(of), 1).trial
    assert "systemctl start docker" in str(trial.problem)
    assert not trial.passes_by_itself


class Broken:
    """A connection that breaks so many times, and works otherwise."""

    def __init__(self, shell: LocalShell, times: int) -> None:
        self.shell, self.times = shell, times

    def run(self, command: str, stdin: bytes = b"") -> ShellOutcome:
        if self.times:
            self.times -= 1
            problem = Problem(code=Code.SSH_UNREACHABLE, subject="pi-1", what="cannot be reached over ssh")
            raise ProblemError(problem, passes_by_itself=True)
        return self.shell.run(command, stdin)


def test_a_broken_connection_may_pass(shell: LocalShell, tmp_path: Path) -> None:
    of = a_plan(tmp_path)
    measured = driver(Broken(shell, 1), of).run(slot(of), 1)
    assert (measured.trial.outcome, measured.trial.passes_by_itself) == ("failed", True)
    assert measured.logs == {}


def test_an_answer_that_breaks_off_may_pass() -> None:
    with pytest.raises(ProblemError, match=r"broke off with exit code 3 \(Killed\)") as caught:
        read_run("pi-1", ShellOutcome(3, b"\npi-speedup: output 0\nEstimated", b"x\nKilled\n"))
    assert caught.value.passes_by_itself


def test_what_could_not_be_ended_is_ended_before_the_next_trial(shell: LocalShell, tmp_path: Path) -> None:
    of = a_plan(tmp_path)
    left = running()
    told: list[str] = []
    cases = driver(Broken(shell, 4), of, told)
    for attempt in (1, 2):
        assert cases.run(slot(of), attempt).trial.outcome == "failed"
        # Once: the second attempt did not even reach the Pi.
        assert told == ["pi-1 could not be told to end the base case; it ends within 1800 s by itself"]
    assert left.poll() is None
    assert cases.run(slot(of), 3).trial.outcome == "ok"
    assert left.wait() == -signal.SIGTERM


def running(owner: str = OWNER) -> subprocess.Popen[bytes]:
    """A process that carries the mark of an owner's base cases."""
    name, _, value = base._mark(owner).partition("=")
    words = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(600)"]
    process = subprocess.Popen(words, env={name: value}, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"up\n"
    return process


@pytest.mark.parametrize("runtime", ["process", "docker"])
@pytest.mark.parametrize("at_once", [False, True], ids=["while it computes", "before it is there"])
def test_an_interruption_ends_it(
    shell: LocalShell, docker: FakeDocker, tmp_path: Path, runtime: str, at_once: bool
) -> None:
    of = a_plan(tmp_path, runtime, samples_per_process=ENDLESS, processes_per_pi=2)
    worker = f"{sys.executable} - --run-id=x --stream={slot(of).name}.1 --samples={ENDLESS}"

    def interrupt() -> None:
        if not at_once:
            awaited(lambda: len(list(processes_with(worker, shell))) >= 3)
        raise Interrupted("Ctrl-C")

    shell.meanwhile = interrupt
    with pytest.raises(Interrupted):
        driver(shell, of).run(slot(of), 1)
    awaited(lambda: not list(processes_with(worker, shell)))
    assert docker.containers == set()


@pytest.mark.parametrize("first", [Interrupted("Ctrl-C"), None], ids=["Ctrl-C twice", "after a failure"])
def test_an_interruption_while_it_ends_one_is_not_lost(
    shell: LocalShell, tmp_path: Path, first: BaseException | None
) -> None:
    of = a_plan(tmp_path)
    ended = []

    class Twice:
        def run(self, command: str, stdin: bytes = b"") -> ShellOutcome:
            if stdin:
                if first is not None:
                    raise first
                return shell.run("exit 1")
            os.kill(os.getpid(), signal.SIGUSR1)
            outcome = shell.run(command, stdin)
            ended.append(outcome.rc)
            return outcome

    def interrupt(*_: object) -> None:
        raise Interrupted("SIGUSR1")

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(Interrupted, match="SIGUSR1"):
            driver(Twice(), of).run(slot(of), 1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert ended == [0]


def test_ending_is_bounded(shell: LocalShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_ENDING_SECONDS", 0.2)
    never = threading.Event()

    class Silent:
        def run(self, command: str, stdin: bytes = b"") -> ShellOutcome:
            if stdin:
                raise Interrupted("Ctrl-C")
            never.wait(60)
            return ShellOutcome(0, b"")

    with pytest.raises(Interrupted):
        driver(Silent(), a_plan(tmp_path)).run(slot(a_plan(tmp_path)), 1)
    never.set()


# Time since the start and time of day, before and after; then seconds, and whether moments can be told.
S = 10**9
TIMES: dict[str, tuple[str, str, float, bool]] = {
    "by the clock": (f"100.00 {1790000000 * S}", f"102.01 {1790000002 * S + 5}", 2.000000005, True),
    "the clock was set": (f"100.00 {1790000000 * S}", f"102.01 {1890000000 * S}", 2.01, False),
    "the clock was set back": (f"100.00 {1790000000 * S}", f"102.01 {1690000000 * S}", 2.01, False),
    "NTP slews over a long time": (
        f"100.00 {1790000000 * S}",
        f"1100.01 {1790001000 * S + S // 2}",
        1000.5,
        True,
    ),
    "busybox' date": ("100.00 1790000000N", "102.01 1790000002N", 2.01, False),
    "no date": ("100.00 ", "100.00 ", 0.001, False),
}


@pytest.mark.parametrize(("begun", "ended", "seconds", "moments"), TIMES.values(), ids=TIMES)
def test_the_duration_on_the_pi(begun: str, ended: str, seconds: float, moments: bool) -> None:
    answer = f"motd\n\npi-speedup: output 0\nlog\n\npi-speedup: times 0\nbegun {begun}\nended {ended} 0\n"
    ran = read_run("pi-1", ShellOutcome(0, answer.encode()))
    assert (ran.rc, ran.output, ran.flooded) == (0, b"log\n", False)
    assert ran.seconds == pytest.approx(seconds, abs=1e-12)
    assert (ran.since_begun(1790000001 * S) is not None) is moments


@pytest.mark.parametrize(("seconds", "told"), [(-1, None), (0, 0.0), (1.5, 1.5), (3, None)])
def test_moments_outside_of_the_command_are_not_told(seconds: float, told: float | None) -> None:
    ran = base.Ran(0, b"", False, 2.0, 1790000000 * S)
    assert ran.since_begun(1790000000 * S + round(seconds * S)) == told


def test_preparing_takes_one_exchange(shell: LocalShell, docker: FakeDocker, tmp_path: Path) -> None:
    told: list[str] = []
    prepared = prepare(shell, "pi-1", a_plan(tmp_path, "docker").settings, [OWNER], told.append)
    assert prepared.image_ids == ("python@sha256:2", "sha256:1")
    assert (prepared.removed, told, len(shell.ran)) == ((), [], 1)


def test_a_missing_image_is_pulled(shell: LocalShell, docker: FakeDocker, tmp_path: Path) -> None:
    docker.says({"inspect": [(1, "Error: No such image: python:3.9")]})
    told: list[str] = []
    prepared = prepare(shell, "pi-1", a_plan(tmp_path, "docker").settings, [OWNER], told.append)
    assert prepared.image_ids == ("python@sha256:2", "sha256:1")
    assert told == ["pi-1: docker pulls python:3.9"]
    assert ["pull", "--quiet", "python:3.9"] in docker.calls


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no docker": ({"base_runtime": "podman"}, {}, "podman is not there"),
    "daemon down": ({}, {"ps": (1, DAEMON_DOWN), "inspect": (1, DAEMON_DOWN)}, "systemctl start docker"),
    "no such image anywhere": (
        {},
        {"inspect": (1, "No such image"), "pull": (1, "manifest for python:3.9 not found")},
        "no registry has image python:3.9",
    ),
    "nonsense": ({}, {"inspect": (0, "?")}, "describes image python:3.9 as '?'"),
    "no Python": (
        {"base_runtime": "process", "base_python": "python9"},
        {},
        "the Python of the base case is not there",
    ),
    "an old Python": (
        {"base_runtime": "process", "base_python": "false"},
        {},
        "false is not Python 3.9 or later",
    ),
}


@pytest.mark.parametrize(("settings", "says", "words"), REFUSED.values(), ids=REFUSED)
def test_a_pi_that_cannot_be_made_ready(
    shell: LocalShell,
    docker: FakeDocker,
    tmp_path: Path,
    settings: dict[str, Any],
    says: dict[str, Any],
    words: str,
) -> None:
    docker.says(says)
    with pytest.raises(ProblemError) as caught:
        prepare(shell, "pi-1", a_plan(tmp_path, **{"runtime": "docker", **settings}).settings, [OWNER], print)
    assert words in str(caught.value) and str(caught.value).startswith("pi-1: ")
    assert ". Next: " in str(caught.value)


# Whose they are; who of those that are known to have started something cleans up.
LEFT: dict[str, tuple[tuple[str | None, ...], tuple[str, ...]]] = {
    "ours and another's": ((OWNER, OTHER), (OWNER,)),
    "of an owner that is gone, and that a run of ours knew": ((OTHER,), (OWNER, OTHER)),
    "one that says nothing of its owner": ((None, OWNER), (OWNER,)),
    "no owner is known": ((OWNER, OTHER, None), ()),
    "an owner that is no uid": ((OWNER, ""), ("", "x")),
}


@pytest.mark.fault(
    "a container with our label and another's owner on the Pi that works alone",
    "survived",
    kept="all; the container stays, and a line names it and its namespace",
    row="ours and another's-clean",
)
@pytest.mark.parametrize("how", ["clean", "prepare"])
@pytest.mark.parametrize(("whose", "owners"), LEFT.values(), ids=LEFT)
def test_what_a_killed_run_left_is_removed_and_another_s_stays(
    shell: LocalShell,
    docker: FakeDocker,
    tmp_path: Path,
    whose: tuple[str | None, ...],
    owners: tuple[str, ...],
    how: str,
) -> None:
    of = a_plan(tmp_path, "docker")
    left = {owner: (running(owner or "others"), docker.left(f"of-{owner}", owner)) for owner in whose}
    told: list[str] = []
    if how == "clean":
        cleaned = clean(shell, "pi-1", of.settings, owners)
        removed, told = cleaned.removed, list(cleaned.left)
    else:
        removed = prepare(shell, "pi-1", of.settings, owners, told.append).removed
    ours = [owner for owner in whose if owner and owner in owners]
    stay = [owner for owner in whose if owner not in ours]
    assert set(removed) == {
        *(f"process {left[owner][0].pid}" for owner in ours),
        *(f"container of-{owner}" for owner in ours),
    }
    for name in ours:
        assert [each.wait() for each in left[name]] == [-signal.SIGTERM, -signal.SIGKILL]
    for stays in stay:
        assert [each.poll() for each in left[stays]] == [None, None]
    assert docker.containers == {f"of-{owner}" for owner in stay}
    assert sorted(told) == sorted(
        f"pi-1: container of-{owner} has our label and another owner, in namespace team-a: it stays. "
        f"If nobody measures there: ssh pi-1 docker rm --force {left[owner][1].pid:012x}"
        for owner in stay
    )
    for each in (each for stays in stay for each in left[stays]):
        each.kill()
        each.wait()


def test_what_another_runs_on_the_pi_outlives_an_interruption(
    shell: LocalShell, docker: FakeDocker, tmp_path: Path
) -> None:
    """The end of a base case ends its owner's containers, whatever names others have given to theirs."""
    of = a_plan(tmp_path, "docker", samples_per_process=ENDLESS)
    theirs = docker.left("theirs", OTHER)

    def interrupt() -> None:
        awaited(lambda: len(docker.containers) == 2)
        raise Interrupted("Ctrl-C")

    shell.meanwhile = interrupt
    with pytest.raises(Interrupted):
        driver(shell, of).run(slot(of), 1)
    assert docker.containers == {"theirs"} and theirs.poll() is None
    theirs.kill()
    theirs.wait()


def test_a_process_that_is_deaf_to_sigterm_is_killed(shell: LocalShell, tmp_path: Path) -> None:
    of = a_plan(tmp_path)
    name, _, value = base._mark(OWNER).partition("=")
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", deaf], env={name: value}, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"up\n"
    assert clean(shell, "pi-1", of.settings, [OWNER]).removed == (f"process {process.pid}",)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize(
    "says",
    [{"ps": (1, DAEMON_DOWN)}, {"ps": (1, "permission denied")}, None],
    ids=["daemon down", "may not use it", "no docker"],
)
def test_a_pi_without_a_usable_runtime_is_clean(
    docker: FakeDocker, tmp_path: Path, says: dict[str, Any] | None
) -> None:
    docker.says(says or {})
    of = a_plan(tmp_path, "docker" if says else "podman")
    assert clean(LocalShell(docker.folder), "pi-1", of.settings, [OWNER]) == Cleaned((), ())


@pytest.mark.fault("docker hangs", row="hangs")
@pytest.mark.parametrize(
    ("rc", "said", "problem"),
    [
        (1, "Error: No such container: 0123456789ab", None),
        (1, "removal of container 0123456789ab is already in progress", None),
        (1, "could not kill: tried to kill container, but did not exit", "could not be removed"),
        (124, "", "docker does not answer"),
    ],
    ids=["gone already", "its end came first", "refuses to die", "hangs"],
)
def test_a_container_that_is_not_removed(
    shell: LocalShell, docker: FakeDocker, tmp_path: Path, rc: int, said: str, problem: str | None
) -> None:
    labels = ["app.kubernetes.io/managed-by=pi-speedup", f"pi-speedup/owner={OWNER}"]
    about = {"id": "0123456789ab", "pid": 0, "labels": labels}
    (docker.folder / "containers" / "old").write_text(json.dumps(about))
    docker.says({"rm": (rc, said)})
    of = a_plan(tmp_path, "docker")
    if problem is None:
        assert clean(shell, "pi-1", of.settings, [OWNER]).removed == ("container old",)
    else:
        with pytest.raises(ProblemError, match=problem):
            clean(shell, "pi-1", of.settings, [OWNER])
