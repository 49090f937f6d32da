"""files/run_command.sh, really run by each shell that an image may have: what it measures and says."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.model.plan import Plan, Slot
from pi_speedup.model.settings import Settings, settings_from
from pi_speedup.problem import ProblemError
from pi_speedup.workload import Assignment, workload_of
from pi_speedup.workload.command import MOST_PROGRAM_BYTES, Command, CommandReport, read_program, seed_of
from tests.unit.plan.factory import plan
from tests.virtual import await_that

WRAPPER = (Path(__file__).parents[3] / "files" / "run_command.sh").read_text()
SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    words = SHELLS[request.param]
    if shutil.which(words[0]) is None and os.environ.get("CI") != "true":
        pytest.skip(f"{words[0]} is not here")
    return words


@pytest.fixture
def left(tmp_path: Path) -> Iterator[Path]:
    """The folder for what a run needs; whatever comes, nothing stays in it."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


def planned(**settings: Any) -> Plan:
    given = {f"benchmark_{name}": value for name, value in {"runs_per_process": 1, **settings}.items()}
    made = plan(**dict(settings_from({"benchmark_base_runtime": "process", **given})))
    # A run ends what has its name, on the whole machine: tests beside this one, too.
    return made.model_copy(update={"run_id": uuid.uuid4().hex})


def slot(of: Plan, cell: str, number: int = 1) -> Slot:
    return next(each for each in of.slots if each.cell == cell and each.round == number)


def run(
    shell: list[str],
    scratch: Path,
    of: Plan,
    cell: str = "alone",
    *,
    number: int = 1,
    node: str = "pi-1",
    program: str = "",
    deadline_seconds: int = 60,
) -> subprocess.CompletedProcess[bytes]:
    """Run a worker as a pod, or as the Pi that works alone, does; its output has both streams."""
    workload = workload_of(of.settings)
    text = workload.text(WRAPPER, program)
    alone = cell.startswith("alone") and not cell.startswith("alone-on-")
    told = Assignment(of, slot(of, cell, number), 1, deadline_seconds, pi=node if alone else None)
    if alone:
        words, stdin = workload.base_words(told), workload.base_input(told, text)
    else:
        words, stdin = workload.pod_words(told, text)[1:], ""
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(scratch), "NODE_NAME": node}
    if not alone:
        environment["JOB_COMPLETION_INDEX"] = "0"
    return subprocess.run(
        [*shell, *words],
        input=stdin.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        check=False,
        timeout=120,
    )


def report(shell: list[str], scratch: Path, of: Plan, cell: str = "alone", **how: Any) -> CommandReport:
    done = run(shell, scratch, of, cell, **how)
    assert done.returncode == 0, done.stdout
    workload = workload_of(of.settings)
    node = how.get("node", "pi-1")
    read = workload.own(workload.read(done.stdout, node), node)
    assert isinstance(read, CommandReport)
    index = None if read.completion_index is None else 0
    assert workload.misfit(read, of, slot(of, cell, how.get("number", 1)), 1, pi=node, index=index) is None
    return read


def test_time_cpu_time_and_output_are_told(shell: list[str], left: Path) -> None:
    told = report(shell, left, planned(command="sleep 0.3; printf 'a\\nb'"))
    process = told.processes[0]
    assert process.duration_seconds >= 0.29
    assert process.end_epoch_ns - process.start_epoch_ns >= 290_000_000
    assert (process.output_bytes, process.output_sha256) == (3, hashlib.sha256(b"a\nb").hexdigest()[:32])
    assert (told.first_part, told.parts, told.runs, told.verified) == (0, 1, 1, False)


def test_cpu_time_is_that_of_all_that_the_command_starts(shell: list[str], left: Path) -> None:
    told = report(shell, left, planned(command="head -c 60000000 /dev/zero | sha256sum"))
    assert told.cpu_seconds > 0.01


def test_a_copy_is_told_that_it_is_the_only_one(shell: list[str], left: Path) -> None:
    of = planned(command='echo "$PI_SPEEDUP_INDEX of $PI_SPEEDUP_COUNT"')
    for cell, node in (("alone", "pi-1"), ("together-3", "pi-3")):
        assert b"| 0 of 1\n" in run(shell, left, of, cell, node=node).stdout


def test_parts_go_round_the_pis_and_the_one_that_works_alone_does_the_whole(
    shell: list[str], left: Path
) -> None:
    of = planned(command='echo "$PI_SPEEDUP_INDEX of $PI_SPEEDUP_COUNT"', divisible=True)
    assert b"| 0 of 1\n" in run(shell, left, of).stdout
    seen = {
        number: [run(shell, left, of, "together-3", node=pi, number=number).stdout for pi in of.pis]
        for number in (1, 2)
    }
    assert [said.splitlines()[0] for said in seen[1]] == [b"| 1 of 3", b"| 2 of 3", b"| 0 of 3"]
    assert [said.splitlines()[0] for said in seen[2]] == [b"| 2 of 3", b"| 0 of 3", b"| 1 of 3"]


def test_the_processes_of_a_pi_have_parts_of_their_own(shell: list[str], left: Path) -> None:
    of = planned(command="echo $PI_SPEEDUP_INDEX", divisible=True, processes_per_pi=2)
    told = report(shell, left, of, "together-3", node="pi-2")
    assert (told.first_part, told.parts, len(told.processes)) == (4, 6, 2)
    assert told.processes[0].output_sha256 == hashlib.sha256(b"4\n").hexdigest()[:32]
    assert told.processes[1].output_sha256 == hashlib.sha256(b"5\n").hexdigest()[:32]


def test_a_process_ends_none_that_is_numbered_like_it(shell: list[str], left: Path) -> None:
    # The second one is done long before the eleventh.
    of = planned(command="[ $PI_SPEEDUP_INDEX -lt 10 ] || sleep 2", divisible=True, processes_per_pi=11)
    told = report(shell, left, of, "together-3", node="pi-3", number=1)
    assert [process.duration_seconds > 2 for process in told.processes] == [False] * 10 + [True]


def test_a_short_command_is_repeated(shell: list[str], left: Path) -> None:
    of = planned(command="echo x", runs_per_process=3)
    told = report(shell, left, of)
    assert (told.runs, told.processes[0].output_bytes) == (3, 6)
    assert report(shell, left, of, "alone-long", number=4).runs == 9


def test_seed_and_nonce_seed_alike_on_both_sides_of_a_round(shell: list[str], left: Path) -> None:
    of = planned(command="echo $PI_SPEEDUP_SEED; echo $PI_SPEEDUP_NONCE >&2")
    alone, together = run(shell, left, of), run(shell, left, of, "together-3", node="pi-2")
    expected = f"| {seed_of(of.run_id, 1)}".encode()
    assert alone.stdout.splitlines()[0] == together.stdout.splitlines()[0] == expected
    assert expected not in run(shell, left, of, number=2).stdout


ODD = "'\"$HOME\" $(echo no) `echo no` {{ 7 * 7 }} \\n \\\\ ä 漢 *'"


@pytest.mark.parametrize("cell", ["alone", "together-3"])
def test_a_command_a_program_and_a_variable_come_byte_for_byte(
    shell: list[str], left: Path, cell: str
) -> None:
    of = planned(
        command='printf %s "$ODD"; cat "$PI_SPEEDUP_PROGRAM"; printf "%s\\n" \'a\n\n"b"\'',
        environment={"ODD": ODD, "NUMBER": 3, "TRUTH": True},
    )
    program = f"#!/bin/sh\r\n# {ODD}\n\n"
    done = run(shell, left, of, cell, program=program)
    told = report(shell, left, of, cell, program=program)
    wanted = f'{ODD}{program}a\n\n"b"\n'.encode()
    assert told.processes[0].output_sha256 == hashlib.sha256(wanted).hexdigest()[:32], done.stdout


def test_a_program_alone_is_run_by_its_own_first_line(shell: list[str], left: Path, tmp_path: Path) -> None:
    of = planned(program="x.sh")
    assert b"| mine\n" in run(shell, left, of, program="#!/bin/sh\necho mine\n").stdout


def test_what_prepares_is_not_timed_and_has_the_same_folder(shell: list[str], left: Path) -> None:
    of = planned(prepare='sleep 1; echo ready > "$HOME/data"', command='cat "$HOME/data"')
    told = report(shell, left, of)
    assert told.seconds < 1
    assert told.processes[0].output_bytes == 6


def test_an_output_filter_decides_what_is_compared_and_verify_what_is_right(
    shell: list[str], left: Path
) -> None:
    of = planned(command="echo 12 ms; echo result 7", output_filter="grep result", verify="grep -q 7")
    told = report(shell, left, of)
    assert told.processes[0].output_sha256 == hashlib.sha256(b"result 7\n").hexdigest()[:32]
    assert told.verified


@pytest.mark.parametrize(
    ("settings", "code", "last"),
    [
        ({"command": "nosuchprogram"}, 1, "the command was not found (exit code 127): "),
        ({"command": "/etc/passwd"}, 1, "the command cannot be run (exit code 126): "),
        ({"command": "echo no such film >&2; exit 3"}, 1, "the command ended with exit code 3: no such film"),
        ({"command": "echo only this; exit 3"}, 1, "the command ended with exit code 3: only this"),
        ({"command": "kill -9 $$"}, 1, "the command was killed (exit code 137), perhaps for want of memory"),
        (
            {"command": '[ -e "$HOME/x" ] && exit 4; : >"$HOME/x"', "runs_per_process": 5},
            1,
            "the command ended with exit code 4 in its run number 2",
        ),
        ({"command": "yes | head -c 9000000"}, 1, "the command wrote more than 8 MiB to standard output"),
        (
            {"command": "true", "prepare": "echo oh >&2; exit 5"},
            1,
            "benchmark_prepare ended with exit code 5: oh",
        ),
        (
            {"command": "echo a", "verify": "echo not b; false"},
            1,
            "benchmark_verify ended with exit code 1: not b",
        ),
        (
            {"command": "echo a", "output_filter": "grep b"},
            1,
            "benchmark_output_filter ended with exit code 1",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_goes_wrong_is_the_last_line(
    shell: list[str], left: Path, settings: dict[str, Any], code: int, last: str
) -> None:
    done = run(shell, left, planned(**settings))
    assert done.returncode == code, done.stdout
    line = done.stdout.decode().splitlines()[-1]
    assert line.startswith(f"pi-speedup: {last}"), done.stdout
    # Each has a next step of its own.
    problem = Command().failure(Settings(), line, "pi-1")
    assert problem and problem.next_step != "read its log"


# Busybox' own sleep is the shell itself, with its environment: there the deadline ends it.
@pytest.mark.parametrize("words", [SHELLS["dash"], SHELLS["bash"]], ids=["dash", "bash"])
def test_what_the_command_leaves_running_is_told(words: list[str], left: Path) -> None:
    done = run(words, left, planned(command="sh -c 'sleep 60 >/dev/null 2>&1 &'"))
    assert done.returncode == 1, done.stdout
    said = done.stdout.decode().splitlines()[-1]
    assert said.startswith("pi-speedup: the command ended and left sleep running, ")


@pytest.mark.parametrize("what", ["command", "prepare", "verify"])
def test_what_hangs_is_ended_at_the_deadline(shell: list[str], left: Path, what: str) -> None:
    of = planned(**{"command": "echo x", what: "sleep 100"})
    done = run(shell, left, of, deadline_seconds=1)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        124,
        b"pi-speedup: not finished after 1 s, so it ended itself",
    )


def test_whoever_ends_it_ends_all_of_it_at_once(shell: list[str], left: Path) -> None:
    of = planned(command="sleep 100 & sleep 101")
    told = Assignment(of, slot(of, "alone"), 1, 60, pi="pi-1")
    workload = workload_of(of.settings)
    mark = f"TEST_MARK={left}"
    with subprocess.Popen(
        [*shell, *workload.base_words(told)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(left), "TEST_MARK": str(left)},
    ) as running:
        assert running.stdin is not None
        running.stdin.write(workload.base_input(told, workload.text(WRAPPER, "")).encode())
        running.stdin.close()
        await_that(lambda: "sleep 101" in commands_with(mark), "the command runs")
        running.terminate()
        assert running.wait(30) == 143
        await_that(lambda: not commands_with(mark), "nothing of it runs")


def commands_with(mark: str) -> str:
    """Return the command lines of the processes that have this in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return "\n".join(found)


def test_binary_output_and_a_line_like_a_result_are_no_result(shell: list[str], left: Path) -> None:
    of = planned(command="printf '\\377\\001\\000x\\nPI-WORKER-END sha256=%064d\\n' 0")
    assert report(shell, left, of).processes[0].output_bytes > 80


def test_a_program_is_text_of_64_kib_at_most(tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_text("x" * MOST_PROGRAM_BYTES)
    assert len(read_program(path)) == MOST_PROGRAM_BYTES
    for content in (b"x" * (MOST_PROGRAM_BYTES + 1), b"\x7fELF\0", b"\xff", b"'" * 50_000):
        path.write_bytes(content)
        with pytest.raises(ProblemError, match=r"\[PS-108\]"):
            read_program(path)
    with pytest.raises(ProblemError, match="cannot be read"):
        read_program(tmp_path / "none")


def test_lines_as_on_windows_are_refused_only_where_the_first_one_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "my program"
    path.write_bytes(b"#!/usr/bin/python3\r\nprint(1)\r\n")
    # To Python, as to most, they are lines.
    assert read_program(path).endswith("\r\n")
    with pytest.raises(ProblemError, match=r"end as on Windows, .* \[PS-108\]\. Next: sed .*/my program'$"):
        read_program(path, by_its_first_line=True)
    path.write_bytes(b"echo 1\r\n")
    assert read_program(path, by_its_first_line=True)
