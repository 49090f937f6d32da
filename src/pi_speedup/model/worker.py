"""What a worker writes: a log that ends with the end mark, and a termination message (the JSON alone)."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from pi_speedup.codes import Code
from pi_speedup.model.base import EpochNs, Model, Name, RunId, Seconds, SecondsSince, load
from pi_speedup.problem import ProblemError, refuse

# Kubernetes cuts a termination message at 4 KiB; the worker promises to stay below.
MAX_JSON_BYTES = 4096
# Three lines and a few warnings: more is not the worker's.
MAX_OUTPUT_BYTES = 65536

END_MARK = "PI-WORKER-END"
_END_LINE = re.compile(END_MARK + r" sha256=([0-9a-f]{64})")

# As the worker and a Pi's cores allow.
MOST_PROCESSES = 16

Celsius = Annotated[float, Field(ge=-273.15, le=1000)]
Megahertz = Annotated[float, Field(ge=0, le=100_000)]


class Process(Model):
    """One process's own account; what only one workload counts stands beside these.

    Start and end are epoch nanoseconds of the Pi's clock; `duration_seconds` is by its monotonic clock,
    `cpu_seconds` its CPU time.
    """

    model_config = ConfigDict(extra="allow")

    start_epoch_ns: EpochNs
    end_epoch_ns: EpochNs
    duration_seconds: Seconds
    # A clock that ticks in hundredths may count none for a very short run.
    cpu_seconds: SecondsSince

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.end_epoch_ns <= self.start_epoch_ns:
            raise ValueError("it ended before it began")
        return self


class WorkerReport(Model):
    """The worker's JSON: what its processes share, and an account of each, in the order of their numbers.

    Of it all that any workload says; what only one does is kept as it is, and read by `Workload.own`.
    `celsius` and `megahertz` are the Pi's temperature and the frequency of its first core, before the
    processes began and after they had ended; None for what it does not tell.
    """

    model_config = ConfigDict(extra="allow")

    schema_version: Literal[1]
    run_id: RunId
    completion_index: Annotated[int, Field(ge=0, le=10**9)] | None
    machine: Annotated[str, StringConstraints(pattern=r"^[-_A-Za-z0-9]{1,32}$")]
    node: Name
    # On which the worker may run: a cpuset, or taskset, may leave it fewer than the Pi has.
    usable_cores: Annotated[int, Field(ge=1, le=4096)] | None = None
    celsius: tuple[Celsius | None, Celsius | None]
    megahertz: tuple[Megahertz | None, Megahertz | None]
    processes: Annotated[tuple[Process, ...], Field(min_length=1, max_length=MOST_PROCESSES)]

    @property
    def start_epoch_ns(self) -> int:
        """When the first process began, by the Pi's clock."""
        return min(process.start_epoch_ns for process in self.processes)

    @property
    def end_epoch_ns(self) -> int:
        """When the last process ended, by the Pi's clock."""
        return max(process.end_epoch_ns for process in self.processes)

    @property
    def seconds(self) -> float:
        """How long the Pi computed: one process's own duration, or first start to last end of several."""
        if len(self.processes) == 1:
            return self.processes[0].duration_seconds
        return (self.end_epoch_ns - self.start_epoch_ns) / 1e9

    @property
    def cpu_seconds(self) -> float:
        """CPU time of all processes."""
        return sum(process.cpu_seconds for process in self.processes)


def parse_worker_output(output: str | bytes, where: str) -> WorkerReport:
    """Read a worker's log: its last line is the end mark with the SHA-256 of the JSON line before it.

    ProblemError (naming `where`) for output that is too large, cut off, altered or not the worker's. Bytes
    that are not UTF-8 are no reason to refuse: only the two last lines are read.
    """
    text = output.decode("utf-8", "replace") if isinstance(output, bytes) else output
    size = len(output) if isinstance(output, bytes) else len(output.encode("utf-8", "surrogatepass"))
    if size > MAX_OUTPUT_BYTES:
        raise _damaged(where, f"wrote {size} bytes, more than the {MAX_OUTPUT_BYTES} expected")
    lines = [line.rstrip("\r") for line in text.split("\n") if line.strip()]
    if not lines:
        raise _damaged(where, "the worker wrote nothing", "run again")
    marks = [number for number, line in enumerate(lines) if line.startswith(END_MARK)]
    if not marks:
        raise _damaged(where, f"its output is cut off, the end mark {END_MARK} is missing")
    if len(marks) > 1:
        raise _damaged(where, f"{len(marks)} end marks, so more than one worker wrote it")
    match = _END_LINE.fullmatch(lines[marks[0]])
    if match is None:
        raise _damaged(where, "its output is cut off within the end mark")
    if marks[0] == 0:
        raise _damaged(where, "no JSON line before the end mark")
    json_line = lines[marks[0] - 1]
    digest = hashlib.sha256(json_line.encode("utf-8", "surrogatepass")).hexdigest()
    if digest != match.group(1):
        raise _damaged(where, "the checksum doesn't fit the JSON line, so its output was altered")
    return parse_worker_json(json_line, where)


def _damaged(where: str, what: str, next_step: str = "read its log") -> ProblemError:
    return refuse(Code.RESULT_DAMAGED, where, what, next_step)


def parse_worker_json(text: str, where: str) -> WorkerReport:
    """Read the worker's JSON alone, a pod's termination message; ProblemError if it isn't whole."""
    return load(WorkerReport, text, where, MAX_JSON_BYTES, Code.RESULT_DAMAGED)
