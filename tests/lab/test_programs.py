"""Programs of a user's that are bad, or used in a wrong way: what is told of them, and what is left."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.model.trial import Trial
from pi_speedup.store import RunStore
from pi_speedup.workload.command import MOST_PROGRAM_BYTES, read_program
from tests.commands import JOB_FIRST, ODD, check, measure, reports
from tests.lab.lab import Lab, Outcome
from tests.virtual import assert_told, await_that

NAMESPACE = "programs"
# Uses so many seconds of the CPU, whatever else the machine does, and writes the same everywhere.
BURN = """python3 -c 'import os, time
share = {}
while time.process_time() < 1.2 / share: pass
print("done")'"""


@pytest.fixture(scope="module", autouse=True)
def _cleaned_up(lab: Lab) -> Iterator[None]:
    """Leave nothing of these runs in the lab."""
    yield
    cleaned = lab.play("cleanup.yml", benchmark_namespace=NAMESPACE)
    assert cleaned.exit_code == 0, cleaned.output
    assert lab.left_behind(NAMESPACE) == []


def measure_here(lab: Lab, folder: Path, **settings: Any) -> Outcome:
    return measure(lab, folder, namespace=NAMESPACE, **settings)


def trials(outcome: Outcome) -> tuple[Trial, ...]:
    return RunStore(outcome.run_dir.resolve()).trials()


def left_running(lab: Lab, run_id: str) -> list[str]:
    """Return the pods of these tests that have not ended, and the processes of a run's commands."""
    pods = lab.get("pods", f"--namespace={NAMESPACE}")["items"]
    found = [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] not in ("Succeeded", "Failed")]
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"PI_SPEEDUP_NONCE={run_id}/".encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            # It has ended, or is another user's.
            continue
    return found


def kinds_left(lab: Lab) -> set[str]:
    return {each.partition(" ")[0] for each in lab.left_behind(NAMESPACE)}


def assert_ended(lab: Lab, outcome: Outcome) -> None:
    """Hold a run that failed to what is meant to stay: its files, and its last Job to be looked at."""
    run_id = outcome.run_dir.resolve().name
    await_that(lambda: left_running(lab, run_id) == [], "nothing of the run is at work")
    assert kinds_left(lab) <= {"Namespace", "ConfigMap", "NetworkPolicy", "Job", "Pod"}
    assert (outcome.run_dir / "report.json").exists()


ENDS = r"( \(and \d more\))? \[PS-{}\]\. Next: {} \(whole log: logs/r001-00-together-3/\S+\.log\)"
# The settings, and what the user must read of the pod.
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "not found": (
        {"command": "nosuchprogram --fast"},
        r"the command was not found \(exit code 127\): sh: .*nosuchprogram: not found"
        + ENDS.format(527, "correct benchmark_command, or set benchmark_image to one that holds it: .*"),
    ),
    "needs root": (
        {"command": '[ "$(id -u)" = 0 ] || { echo "only root may do this" >&2; exit 77; }'},
        r"the command ended with exit code 77: only root may do this"
        + ENDS.format(527, "see what it lacks there"),
    ),
    "leaves a daemon": (
        {"command": "sh -c 'sleep 600 >/dev/null 2>&1 &'; echo started"},
        r"the command ended and left sleep running, which would be measured with the next trial"
        + ENDS.format(527, "let benchmark_command wait for what it starts"),
    ),
    "floods": (
        {"command": "head -c 1000000000 /dev/zero"},
        r"the command wrote more than 8 MiB to standard output"
        + ENDS.format(527, r"let benchmark_command write to /dev/null, or into a file below \$TMPDIR"),
    ),
    "writes binary": (
        {"command": r"printf '\377\000\001\014\033[2Jred\n' >&2; exit 4"},
        r"the command ended with exit code 4: \S*\[2Jred" + ENDS.format(527, "see what it lacks there"),
    ),
}


@pytest.mark.fault(
    "command: not found in the image",
    "pod 0 on pi-1: the command was not found (exit code 127): sh: 1: nosuchprogram: not found (and 2 more) "
    "[PS-527]. Next: correct benchmark_command, or set benchmark_image to one that holds it: … (whole log: "
    "logs/r001-00-together-3/….log)",
    kept="trials",
    row="not found",
)
@pytest.mark.fault(
    "command: needs root",
    "pod 0 on pi-1: the command ended with exit code 77: only root may do this (and 2 more) [PS-527]. Next: "
    "see what it lacks there (whole log: logs/r001-00-together-3/….log); then ansible-playbook …",
    kept="trials",
    row="needs root",
)
@pytest.mark.fault(
    "command: leaves a daemon",
    "pod 0 on pi-1: the command ended and left sleep running, which would be measured with the next trial "
    "(and 2 more) [PS-527]. Next: let benchmark_command wait for what it starts (whole log: "
    "logs/r001-00-together-3/….log)",
    kept="trials",
    row="leaves a daemon",
)
@pytest.mark.fault(
    "command: 1 GB of output",
    "pod 0 on pi-2: the command wrote more than 8 MiB to standard output (and 2 more) [PS-527]. Next: let "
    "benchmark_command write to /dev/null, or into a file below $TMPDIR (whole log: "
    "logs/r001-00-together-3/….log)",
    kept="trials",
    row="floods",
)
@pytest.mark.fault(
    "command: binary output",
    "pod 0 on pi-3: the command ended with exit code 4: \N{REPLACEMENT CHARACTER}[2Jred (and 2 more) "
    "[PS-527]. Next: see what it lacks there (whole log: "
    "logs/r001-00-together-3/….log); then ansible-playbook …",
    kept="trials",
    row="writes binary",
)
@pytest.mark.parametrize(("settings", "line"), BAD.values(), ids=BAD)
def test_a_bad_program_is_one_line_and_leaves_nothing_at_work(
    lab: Lab, tmp_path: Path, settings: dict[str, Any], line: str
) -> None:
    outcome = measure_here(lab, tmp_path, **JOB_FIRST, **settings)
    assert_told(outcome, rf"^pod \d on pi-\d: {line}")
    assert_ended(lab, outcome)
    log = re.search(r"whole log: (\S+)\)", outcome.errors[0])
    assert log and (outcome.run_dir / log[1]).read_bytes()


@pytest.mark.fault("deadline: pods that do not end", row="a command")
@pytest.mark.parametrize("command", ["echo begun; sleep 600"], ids=["a command"])
def test_a_command_that_hangs_is_ended(lab: Lab, tmp_path: Path, command: str) -> None:
    outcome = measure_here(lab, tmp_path, **JOB_FIRST, command=command, timeout_seconds=3)
    assert_told(
        outcome,
        r"^Job \S+: not finished after 3 s: pod .* \[PS-531\]\. Next: raise benchmark_timeout_seconds",
    )
    assert_ended(lab, outcome)


@pytest.mark.fault(
    "command: fails on one Pi in a later round",
    "pod 1 on pi-2: the command ended with exit code 3: disk went away [PS-527]. Next: see what it lacks "
    "there (whole log: logs/r001-00-together-3/….log); then ansible-playbook …",
    kept="trials, and the other pods' results",
)
def test_what_fails_on_one_pi_later_costs_nothing_that_was_measured(lab: Lab, tmp_path: Path) -> None:
    fails = 'case "$PI_SPEEDUP_NONCE" in */r001*/pi-2/*) echo "disk went away" >&2; exit 3;; esac; echo done'
    outcome = measure_here(lab, tmp_path, **JOB_FIRST, command=fails, warm_up=True)
    assert_told(
        outcome,
        r"^pod \d on pi-2: the command ended with exit code 3: disk went away \[PS-527\]\. Next: see .*"
        r"then \S*ansible-playbook .*-e benchmark_run_id=\S+$",
    )
    *before, last = trials(outcome)
    assert [(trial.slot.round, trial.outcome) for trial in before] == [(0, "ok"), (0, "ok")]
    assert sorted(worker.pi for worker in last.workers if worker.report) == ["pi-1", "pi-3"]
    assert_ended(lab, outcome)


@pytest.mark.fault(
    "command: a script with lines as on Windows",
    "benchmark_program: the lines of …/x.sh end as on Windows, so nothing is called as its first one says "
    "[PS-108]. Next: sed -i 's/\\r$//' …/x.sh",
    kept="nothing begun",
    row="CRLF",
)
@pytest.mark.fault(
    "command: a script of 65 KiB",
    "benchmark_program: …/x.sh is larger than 64 KiB [PS-108]. Next: put it into an image, and set "
    "benchmark_image and benchmark_command",
    kept="nothing begun",
    row="65 KiB",
)
@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            b"#!/bin/sh\r\necho a\r\n",
            r"the lines of \S+x\.sh end as on Windows, so nothing is called as its first one says "
            r"\[PS-108\]\. Next: sed -i 's/\\r\$//' \S+x\.sh$",
        ),
        (b"#!/bin/sh\n" * 6656, r"\S+x\.sh is larger than 64 KiB \[PS-108\]\. Next: put it into an image"),
    ],
    ids=["CRLF", "65 KiB"],
)
def test_a_script_that_cannot_run_is_refused_before_anything_is_done(
    lab: Lab, tmp_path: Path, content: bytes, line: str
) -> None:
    program = tmp_path / "x.sh"
    program.write_bytes(content)
    outcome = measure_here(lab, tmp_path, program=str(program))
    assert_told(outcome, f"^benchmark_program: {line}")
    assert list(tmp_path.rglob("plan.json")) == []


def test_all_pis_get_a_command_and_the_largest_script_byte_for_byte(lab: Lab, tmp_path: Path) -> None:
    program = tmp_path / "largest"
    head = f"{ODD}\r\n".encode()
    program.write_bytes(head + b"x" * (MOST_PROGRAM_BYTES - len(head)))
    shown = 'a\n\n"b" {{ 7 * 7 }} $$ $(NODE_NAME) \\ `no`'
    command = f"cat \"$PI_SPEEDUP_PROGRAM\"; printf %s \"$ODD\" '{shown}'; printf '\\377\\000\\001'"
    outcome = measure_here(lab, tmp_path, command=command, environment={"ODD": ODD}, program=str(program))
    assert outcome.exit_code == 0, outcome.output
    wanted = read_program(program).encode() + f"{ODD}{shown}".encode() + b"\xff\0\1"
    assert [each.processes[0].output_sha256 for each in reports(outcome)] == [
        hashlib.sha256(wanted).hexdigest()[:32]
    ] * 4


# The settings, the check, its effect, words of what it found, and words that the terminal shows.
WRONG: dict[str, tuple[dict[str, Any], str, str, str, str]] = {
    "parts that are each the whole": (
        {"command": BURN.replace("{}", "1"), "divisible": True},
        "same_work",
        "doubtful",
        r"all together took (2\.[5-9]|3\.)\d* of the CPU time",
        "DOUBTFUL all together took",
    ),
    "copies that divide themselves": (
        {"command": BURN.replace("{}", '3 if "JOB_COMPLETION_INDEX" in os.environ else 1')},
        "same_work",
        "invalid",
        r"all together took 0\.[34]\d* of the CPU time",
        "INVALID all together took",
    ),
    "other output on one Pi": (
        {"command": 'case "$NODE_NAME" in pi-2) echo 8 ;; *) echo 7 ;; esac'},
        "same_output",
        "doubtful",
        r"^timed, not checked: other output than usual from pi-2 in together-3 in round 1$",
        "DOUBTFUL timed, not checked: other output than usual from pi-2",
    ),
    "output of chance": (
        {"command": 'echo "$PI_SPEEDUP_NONCE"'},
        "same_output",
        "doubtful",
        r"^timed, not checked: 4 different outputs of the same work, and none of them is usual$",
        "DOUBTFUL timed, not checked: 4 different outputs",
    ),
}


@pytest.mark.parametrize(("settings", "code", "effect", "words", "shown"), WRONG.values(), ids=WRONG)
def test_a_program_used_in_a_wrong_way_is_not_believed(
    lab: Lab, tmp_path: Path, settings: dict[str, Any], code: str, effect: str, words: str, shown: str
) -> None:
    outcome = measure_here(lab, tmp_path, **settings)
    found = check(outcome, code)
    assert (found["status"], found["effect"]) == ("flag", effect), found
    assert re.search(words, found["found"]), found
    assert shown in " ".join(outcome.output.split())
