"""The workload that estimates π: files/pi_worker.py, which draws random points."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, cast

from pydantic import ConfigDict, Field, StringConstraints, ValidationError, model_validator

from pi_speedup.catalogue import Unit
from pi_speedup.codes import Code
from pi_speedup.model.base import Count, field_problem
from pi_speedup.model.plan import Plan, Slot
from pi_speedup.model.settings import Settings
from pi_speedup.model.worker import MOST_PROCESSES, Process, WorkerReport
from pi_speedup.workload.workload import Assignment, Workload

# The worker's own: it counts its first points in so many groups of so many points, or of fewer.
STRETCH_GROUPS, STRETCH_GROUP_SAMPLES = 4, 250

_IS_PYTHON_3_9 = "import sys; sys.exit(sys.version_info < (3, 9) and 'It is Python ' + sys.version)"

Stream = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][-.A-Za-z0-9]{0,99}$")]


class PiProcess(Process):
    """One process's own account: `samples` points drawn, `inside` of them in the quarter circle.

    `stretch` counts those inside among the points drawn first, in groups of `stretch_group` points: whoever
    knows the seed can count them again.
    """

    model_config = ConfigDict(extra="forbid")

    rng_seed: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,16}$")]
    samples: Annotated[Count, Field(ge=1)]
    inside: Count
    stretch: Annotated[tuple[Count, ...], Field(min_length=STRETCH_GROUPS, max_length=STRETCH_GROUPS)]

    @model_validator(mode="after")
    def _counts_fit_together(self) -> PiProcess:
        if self.inside > self.samples:
            raise ValueError(f"{self.inside} of {self.samples} samples inside is impossible")
        if max(self.stretch) > self.stretch_group:
            raise ValueError(f"{max(self.stretch)} of the first {self.stretch_group} inside is impossible")
        if not sum(self.stretch) <= self.inside <= self.samples - self.stretch_outside:
            raise ValueError(f"{self.inside} inside in all does not fit those of its first points")
        return self

    @property
    def stretch_group(self) -> int:
        """Points in one group of the first stretch."""
        return min(STRETCH_GROUP_SAMPLES, self.samples // STRETCH_GROUPS)

    @property
    def stretch_outside(self) -> int:
        """Points of the first stretch that are not inside."""
        return STRETCH_GROUPS * self.stretch_group - sum(self.stretch)


class PiReport(WorkerReport):
    """The worker's JSON; `stream` is what the names of its processes' random streams share."""

    model_config = ConfigDict(extra="forbid")

    stream: Stream
    engine: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-_a-z0-9]{0,30}[a-z0-9])?$")]
    python_version: Annotated[str, StringConstraints(pattern=r"^[0-9][-+.~A-Za-z0-9]{0,31}$")]
    python_implementation: Annotated[str, StringConstraints(pattern=r"^[-A-Za-z0-9]{1,32}$")]
    processes: Annotated[tuple[PiProcess, ...], Field(min_length=1, max_length=MOST_PROCESSES)]

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of its processes' random streams: a dot and the process's number follow what they share."""
        return tuple(f"{self.stream}.{number}" for number in range(len(self.processes)))

    @property
    def samples(self) -> int:
        """Points drawn by all processes."""
        return sum(process.samples for process in self.processes)

    @property
    def inside(self) -> int:
        """Points inside of all processes."""
        return sum(process.inside for process in self.processes)


def stream_of(slot: Slot, attempt: int) -> str:
    """Return what the names of a trial's random streams share; index and process follow."""
    return f"{slot.name}.{attempt}"


def streams_of(slot: Slot, attempt: int, index: int | None, processes: int) -> tuple[str, ...]:
    """Return the names of one worker's random streams, one a process; a base case is number 0."""
    return tuple(f"{stream_of(slot, attempt)}.{index or 0}.{number}" for number in range(processes))


def _arguments(told: Assignment) -> tuple[str, ...]:
    values = {
        "run-id": told.plan.run_id,
        "stream": stream_of(told.slot, told.attempt),
        "samples": told.cell.amount_per_process,
        "processes": told.cell.processes_per_pi,
        "engine": told.plan.settings.engine,
        "node": told.pi,
        "termination-log": told.termination_log,
        "deadline-seconds": told.deadline_seconds,
    }
    return tuple(f"--{name}={value}" for name, value in values.items() if value is not None)


class Pi(Workload):
    """See Workload."""

    name: ClassVar[str] = "pi"
    program: ClassVar[str] = "files/pi_worker.py"
    amount_setting: ClassVar[str] = "benchmark_samples_per_process"
    first_amount: ClassVar[int] = 100_000
    expected_per_second: ClassVar[float | None] = 1_000_000.0

    def unit(self, settings: Settings) -> Unit:
        """Count points."""
        return "sample"

    def amount_given(self, settings: Settings) -> int | None:
        """Return the points of a process."""
        return settings.samples_per_process

    def interpreter(self, settings: Settings) -> str:
        """Return Python's name."""
        return settings.base_python if settings.base_runtime == "process" else "python3"

    def without_interpreter(self, settings: Settings) -> str:
        """Name the Python that it needs."""
        return "set benchmark_image to one with Python 3.9 or later"

    def probe(self, settings: Settings) -> tuple[str, ...]:
        """Return what asks a Python for its version."""
        return (self.interpreter(settings), "-c", _IS_PYTHON_3_9)

    def pod_words(self, told: Assignment, text: str) -> tuple[str, ...]:
        """Give the program as an argument."""
        return ("python3", "-c", text, *_arguments(told))

    def base_words(self, told: Assignment) -> tuple[str, ...]:
        """Let Python read the program."""
        return ("-", *_arguments(told))

    def base_input(self, told: Assignment, text: str) -> str:
        """Return the program."""
        return text

    def own(self, report: WorkerReport, where: str) -> PiReport:
        """Read streams, seeds and counts too."""
        if isinstance(report, PiReport):
            return report
        try:
            return PiReport.model_validate_json(report.model_dump_json())
        except ValidationError as error:
            raise field_problem(Code.RESULT_DAMAGED, where, error) from None

    def ran_in(self, report: WorkerReport) -> str:
        """Return which Python."""
        told = cast("PiReport", report)
        return f"{told.python_implementation} {told.python_version}"

    def decided(
        self, report: WorkerReport, plan: Plan, slot: Slot, attempt: int
    ) -> Iterable[tuple[str, object, object]]:
        """Compare what the command line decides; the seeds are the report's to judge."""
        told, cell = cast("PiReport", report), plan.cell(slot.cell)
        wanted = streams_of(slot, attempt, told.completion_index, cell.processes_per_pi)
        yield "engine", told.engine, plan.settings.engine
        yield "streams", told.streams, wanted
        for process in told.processes:
            yield "samples", process.samples, cell.amount_per_process
