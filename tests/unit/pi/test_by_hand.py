"""The file with a base case: a script that runs as it stands, and does what was measured."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.model.plan import Plan
from pi_speedup.pi.base import BaseDriver
from pi_speedup.pi.by_hand import base_by_hand
from pi_speedup.pi.runtime import Case
from pi_speedup.pi.shell import ShellOutcome
from pi_speedup.workload.pi import Pi
from tests.unit.pi.local import FakeDocker, LocalShell
from tests.unit.plan.factory import plan

WORKER = (Path(__file__).parents[3] / "files" / "pi_worker.py").read_text()
# A failed case ends what has its owner's mark, on the whole machine: one worker runs them all.
pytestmark = pytest.mark.xdist_group("base cases")
OWNER = str(uuid.uuid4())


@pytest.fixture
def docker(tmp_path: Path) -> FakeDocker:
    return FakeDocker(tmp_path / "bin")


@pytest.fixture
def shell(docker: FakeDocker) -> LocalShell:
    return LocalShell(docker.folder)


def a_plan(runtime: str = "process", **settings: Any) -> Plan:
    given = {"base_runtime": runtime, "base_python": sys.executable, "samples_per_process": 20_000}
    return plan(**{**given, **settings})


def case_of(of: Plan) -> Case:
    return Case("pi-1", of, next(slot for slot in of.slots if slot.cell == "alone"), 1, OWNER)


def driver(shell: Any, of: Plan) -> BaseDriver:
    return BaseDriver(shell, "pi-1", of, WORKER, ["python@sha256:2"], OWNER, lambda line: None)


@pytest.mark.parametrize("way", ["sh <alone.sh", "sh alone.sh"])
@pytest.mark.parametrize("runtime", ["process", "docker"])
def test_it_measures_what_the_trial_measured(
    shell: LocalShell, docker: FakeDocker, tmp_path: Path, runtime: str, way: str
) -> None:
    of = a_plan(runtime)
    case = case_of(of)
    measured = driver(shell, of).run(case.slot, 1)
    assert measured.by_hand and measured.by_hand.ending == ".sh"
    (tmp_path / "alone.sh").write_text(measured.by_hand.text())
    ran = shell.run(f"cd {tmp_path}; {way}")
    report = Pi().read(ran.output, "pi-1")
    assert Pi().misfit(report, of, case.slot, 1, pi="pi-1", index=None) is None
    (worker,) = measured.trial.workers
    assert worker.report is not None
    # The same points, to the last.
    assert Pi().own(report, "").inside == Pi().own(worker.report, "").inside
    if runtime == "docker":
        first, again = docker.calls
        assert first == again


# A process that writes its standard input.
ECHO = ("sh", "-c", "cat")


@pytest.mark.parametrize(
    "program",
    [
        "print('$HOME `date` \\\\ \\' $(id)')\n",
        "END_OF_PROGRAM\nEND_OF_PROGRAM_\n",
        "\r\nprint(1)\r\n\tx  \n\n",
        "print('π')\n",
        "",
    ],
    ids=["a shell's own characters", "the end mark", "blanks", "another alphabet", "nothing"],
)
def test_the_program_arrives_as_it_is(program: str) -> None:
    script = base_by_hand(case_of(a_plan(base_command_prefix=ECHO)), program)
    said = subprocess.run(["sh"], input=script.encode(), capture_output=True, check=True).stdout
    assert said.decode() == (program or "\n")


def test_a_program_without_a_newline_at_its_end_gets_one() -> None:
    script = base_by_hand(case_of(a_plan(base_command_prefix=ECHO)), "print(1)")
    said = subprocess.run(["sh"], input=script.encode(), capture_output=True, check=True).stdout
    assert said == b"print(1)\n"


@pytest.mark.parametrize("runtime", ["docker", "podman"])
def test_the_container_has_a_line_for_each_option(runtime: str) -> None:
    text = base_by_hand(case_of(a_plan(runtime)), "pass\n")
    assert f"\ntimeout -k 10 1800 {runtime} run \\\n  --rm \\\n  --interactive \\\n" in text
    assert "\n  --cpus=1 \\\n  --memory=128m \\\n" in text
    assert "\n  python:3.9 - \\\n  --run-id=x \\\n" in text
    assert f"# Before that: the image has to be there ({runtime} pull python:3.9),\n" in text


def test_it_says_how_to_run_it_and_who_would_end_it() -> None:
    container, process = (
        base_by_hand(case_of(a_plan(runtime)), "pass\n") for runtime in ("docker", "process")
    )
    for text in (container, process):
        assert "#   ssh pi-1 sh <alone.sh\n" in text
        assert "files/pi_worker.py as it was measured" in text
    assert "the label pi-speedup/owner, and remove it" in container
    assert "neither\n# the next benchmark nor cleanup.yml ends it" in process
    # Then it is none of ours: clean-up goes by that mark.
    assert OWNER not in process


def test_a_failure_that_the_pi_told_of_has_a_file(shell: LocalShell, docker: FakeDocker) -> None:
    docker.says({"run": (125, "Cannot connect to the Docker daemon")})
    of = a_plan("docker")
    measured = driver(shell, of).run(case_of(of).slot, 1)
    assert measured.trial.outcome == "failed"
    assert measured.by_hand


def test_where_nothing_was_heard_of_a_start_there_is_none() -> None:
    class Away:
        def run(self, command: str, stdin: bytes = b"") -> ShellOutcome:
            return ShellOutcome(255, b"", b"Connection closed")

    of = a_plan()
    measured = driver(Away(), of).run(case_of(of).slot, 1)
    assert measured.trial.outcome == "failed"
    assert measured.by_hand is None
