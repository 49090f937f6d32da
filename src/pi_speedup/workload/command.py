"""The workload that is a command of the user's: files/run_command.sh times it, whatever it is."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, ClassVar, Literal, cast

from pydantic import ConfigDict, Field, StringConstraints, ValidationError

from pi_speedup.catalogue import Unit
from pi_speedup.codes import Code
from pi_speedup.model.base import Count, SecondsSince, field_problem
from pi_speedup.model.plan import Plan, Slot
from pi_speedup.model.settings import Settings
from pi_speedup.model.worker import MOST_PROCESSES, Process, WorkerReport
from pi_speedup.problem import Problem, refuse
from pi_speedup.text import one_line
from pi_speedup.workload.workload import Assignment, Workload

MOST_PROGRAM_BYTES = 65_536
# Linux' limit of one argument, MAX_ARG_STRLEN, is 128 KiB; what a trial decides stands before the text.
_MOST_TEXT_BYTES = 122_880
# Before what run_command.sh itself has to say.
COMMAND_SAYS = "pi-speedup: "
_LONGEST_LINE = 200
_LACKS = "see what it lacks there"
# What programs say, each in its own way, of a name or a host that they cannot reach.
_WITHOUT_NETWORK = re.compile(
    r"unreachable|resol(?:v|ution)|getaddrinfo|bad address|unknown host|no route to host"
    r"|connection (?:refused|timed out)",
    re.IGNORECASE,
)
# How such a line begins, what kind of problem it is, and what to do. The first that fits. A step that names a
# setting begins a new run; after another one the run can go on.
_FAILURES = (
    (
        "the command was not found",
        Code.COMMAND_FAILED,
        "correct benchmark_command, or set benchmark_image to one that holds it: of a script also what its "
        "first line names",
    ),
    (
        "the command cannot be run",
        Code.COMMAND_FAILED,
        "correct benchmark_command: a program for this kind of processor that may be executed, or sh FILE",
    ),
    (
        "the command was killed",
        Code.OUT_OF_MEMORY,
        "raise benchmark_memory_limit_mib, or see what else stopped it on that Pi",
    ),
    ("the command ended with", Code.COMMAND_FAILED, _LACKS),
    (
        "the command wrote more",
        Code.COMMAND_FAILED,
        "let benchmark_command write to /dev/null, or into a file below $TMPDIR",
    ),
    ("the command ended and left", Code.COMMAND_FAILED, "let benchmark_command wait for what it starts"),
    ("benchmark_prepare", Code.COMMAND_FAILED, _LACKS),
    ("benchmark_output_filter", Code.COMMAND_FAILED, "see what the command wrote there"),
    (
        "benchmark_verify",
        Code.COMMAND_FAILED,
        "see what the command wrote there: that is wrong, or the check",
    ),
    # Words, not a path of ours.
    ("/tmp is full", Code.SCRATCH_FULL, "raise benchmark_scratch_mib"),  # nosec B108
    (
        "the image has a shell, but no",
        Code.IMAGE_WITHOUT_INTERPRETER,
        "set benchmark_image to one that has it, or put busybox into this one",
    ),
    (
        "not finished after",
        Code.TIMEOUT,
        "raise benchmark_timeout_seconds, or give the command less to do",
    ),
)
# Standard input is read whole before anything runs: no command can read what follows it.
_READ_ALL = 'eval "$(cat)"'


class CommandProcess(Process):
    """One process's own account: what its command wrote to standard output, by size and hash.

    `output_sha256` is the first half of it, of what `benchmark_output_filter` left where there is one.
    """

    model_config = ConfigDict(extra="forbid")

    output_bytes: Count
    output_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class CommandReport(WorkerReport):
    """What run_command.sh says. The parts of a job are numbered from 0; a Pi's processes have adjacent ones.

    `throttled_seconds`: for how long the CPU limit stopped the container; None where it may not read that.
    """

    model_config = ConfigDict(extra="forbid")

    trial: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][-.A-Za-z0-9]{0,99}$")]
    clock: Literal["date", "adjtimex", "uptime"]
    first_part: Count
    parts: Annotated[Count, Field(ge=1)]
    runs: Annotated[Count, Field(ge=1)]
    peak_memory_bytes: Count | None
    throttled_seconds: SecondsSince | None
    verified: bool
    processes: Annotated[tuple[CommandProcess, ...], Field(min_length=1, max_length=MOST_PROCESSES)]


def read_program(path: Path, *, by_its_first_line: bool = False) -> str:
    """Return the user's program; ProblemError unless it is text that fits on a command line.

    by_its_first_line: it is run as it is, so that line has to name what runs it.
    """
    try:
        with path.open("rb") as file:
            found = file.read(MOST_PROGRAM_BYTES + 1)
    except OSError as error:
        what = f"{path} cannot be read ({error.strerror})"
        raise refuse(Code.PROGRAM_NOT_VALID, "benchmark_program", what, "correct the path") from None
    if len(found) > MOST_PROGRAM_BYTES:
        what = f"{path} is larger than {MOST_PROGRAM_BYTES // 1024} KiB"
        step = "put it into an image, and set benchmark_image and benchmark_command"
        raise refuse(Code.PROGRAM_NOT_VALID, "benchmark_program", what, step)
    try:
        text = found.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or len(shlex.quote(text).encode()) > _MOST_TEXT_BYTES - 20_000:
        what = f"{path} is not text, or has too many quotes for a command line"
        step = "put it into an image, and set benchmark_image and benchmark_command"
        raise refuse(Code.PROGRAM_NOT_VALID, "benchmark_program", what, step)
    first = text.partition("\n")[0]
    if by_its_first_line and first.startswith("#!") and first.endswith("\r"):
        # Linux looks for a program whose name ends with that character, and says only "not found".
        what = f"the lines of {path} end as on Windows, so nothing is called as its first one says"
        step = f"sed -i 's/\\r$//' {shlex.quote(str(path))}"
        raise refuse(Code.PROGRAM_NOT_VALID, "benchmark_program", what, step)
    return text


class Command(Workload):
    """See Workload."""

    name: ClassVar[str] = "command"
    program: ClassVar[str] = "files/run_command.sh"
    amount_setting: ClassVar[str] = "benchmark_runs_per_process"
    first_amount: ClassVar[int] = 1
    expected_per_second: ClassVar[float | None] = None

    def unit(self, settings: Settings) -> Unit:
        """Count runs of the command, or jobs that are done in parts."""
        return "job" if settings.divisible else "run"

    def amount_given(self, settings: Settings) -> int | None:
        """Return how often a process runs the command."""
        return settings.runs_per_process

    def is_divided(self, settings: Settings) -> bool:
        """Say whether each process does a part."""
        return settings.divisible

    def text(self, worker: str, program: str) -> str:
        """Return the wrapper with the program in it."""
        return f"program={shlex.quote(program)}\n{worker}"

    def interpreter(self, settings: Settings) -> str:
        """Return the shell's name."""
        return "sh"

    def without_interpreter(self, settings: Settings) -> str:
        """Return the Dockerfile that puts a shell, with all else that is needed, into the image."""
        return (
            f"give it one: printf 'FROM {settings.image}\\nCOPY --from=busybox:musl /bin/ /bin/\\n' | "
            f"docker build --platform=linux/{settings.architecture} -t with-sh -; then bring that to the Pis "
            "(by a registry, or preload.yml), and set benchmark_image to it"
        )

    def failure(self, settings: Settings, line: str, where: str) -> Problem | None:
        """Read what run_command.sh says where it fails."""
        if not line.startswith(COMMAND_SAYS):
            return None
        what = one_line(line.removeprefix(COMMAND_SAYS), _LONGEST_LINE)
        for begins, code, next_step in _FAILURES:
            if what.startswith(begins):
                if next_step == _LACKS and not settings.network and _WITHOUT_NETWORK.search(what):
                    next_step = "set benchmark_network to true, if it is to use the network"
                return Problem(code=code, subject=where, what=what, next_step=next_step)
        return Problem(code=Code.COMMAND_FAILED, subject=where, what=what, next_step="read its log")

    def probe(self, settings: Settings) -> tuple[str, ...]:
        """Return what every shell can do."""
        return ("sh", "-c", ":")

    def pod_words(self, told: Assignment, text: str) -> tuple[str, ...]:
        """Give all of it as an argument."""
        return ("sh", "-c", f"{_head(told)}\n{text}")

    def base_words(self, told: Assignment) -> tuple[str, ...]:
        """Let the shell read all of it."""
        return ("-c", _READ_ALL)

    def base_input(self, told: Assignment, text: str) -> str:
        """Return what a pod has as an argument."""
        return f"{_head(told)}\n{text}"

    def own(self, report: WorkerReport, where: str) -> CommandReport:
        """Read parts, runs and outputs too."""
        if isinstance(report, CommandReport):
            return report
        try:
            return CommandReport.model_validate_json(report.model_dump_json())
        except ValidationError as error:
            raise field_problem(Code.RESULT_DAMAGED, where, error) from None

    def decided(
        self, report: WorkerReport, plan: Plan, slot: Slot, attempt: int
    ) -> Iterable[tuple[str, object, object]]:
        """Compare what the head of the script decides."""
        told, cell = cast("CommandReport", report), plan.cell(slot.cell)
        yield "trial", told.trial, _trial(slot, attempt)
        yield "parts", told.parts, cell.parts
        yield "runs", told.runs, cell.amount_per_process
        yield "part", told.first_part, first_part(plan, slot, told.node)
        yield "verified", told.verified, bool(plan.settings.verify)


def first_part(plan: Plan, slot: Slot, pi: str) -> int | None:
    """Return the number of the first part that a Pi does in a trial; None for a Pi that takes no part in it.

    From round to round each Pi does the next part, so that a heavy one is not taken for a slow Pi.
    """
    cell = plan.cell(slot.cell)
    if pi not in cell.pis:
        return None
    if not cell.is_divided:
        return 0
    return (cell.pis.index(pi) + slot.round) % len(cell.pis) * cell.processes_per_pi


def seed_of(run_id: str, round_number: int) -> int:
    """Return the seed of a round, which all its trials are told: 31 bits of a SHA-256."""
    return int.from_bytes(hashlib.sha256(f"{run_id}/{round_number}".encode()).digest()[:4], "big") >> 1


def _trial(slot: Slot, attempt: int) -> str:
    return f"{slot.name}.{attempt}"


def _head(told: Assignment) -> str:
    """Return what a trial decides, as assignments of a shell."""
    plan, cell, settings = told.plan, told.cell, told.plan.settings
    values = {
        "run_id": plan.run_id,
        "trial": _trial(told.slot, told.attempt),
        "pi": told.pi or "",
        "processes": cell.processes_per_pi,
        "runs": cell.amount_per_process,
        "parts": cell.parts,
        "divided": "yes" if cell.is_divided else "no",
        "seed": seed_of(plan.run_id, told.slot.round),
        "deadline_seconds": told.deadline_seconds,
        "in_container": "no" if told.pi and settings.base_runtime == "process" else "yes",
        "termination_log": told.termination_log or "",
        "environment": "\n".join(
            f"export {name}={shlex.quote(value)}" for name, value in settings.environment.items()
        ),
        "command": settings.command,
        "prepare": settings.prepare,
        "output_filter": settings.output_filter,
        "verify": settings.verify,
    }
    # A Pi's first part, by its name.
    places = "".join(f"    {shlex.quote(pi)}) say {first_part(plan, told.slot, pi)} ;;\n" for pi in cell.pis)
    return "\n".join(
        [
            *(f"{name}={shlex.quote(str(value))}" for name, value in values.items()),
            f'first_part_of() {{\n  case "$1" in\n{places}  esac\n}}',
        ]
    )
