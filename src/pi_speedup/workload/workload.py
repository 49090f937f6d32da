"""What each workload can say of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from pi_speedup.catalogue import Unit
from pi_speedup.model.plan import Cell, Plan, Slot
from pi_speedup.model.settings import Settings
from pi_speedup.model.worker import WorkerReport, parse_worker_json, parse_worker_output
from pi_speedup.problem import Problem
from pi_speedup.text import one_line


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the workers of one trial are told.

    deadline_seconds: when they end themselves, whoever else is there. pi: the name of the one that works
    alone; None in pods, whose environment tells. termination_log: a file in which a pod puts its result too.
    """

    plan: Plan
    slot: Slot
    attempt: int
    deadline_seconds: int
    pi: str | None = None
    termination_log: str | None = None

    @property
    def cell(self) -> Cell:
        """Its cell."""
        return self.plan.cell(self.slot.cell)


class Workload(ABC):
    """A program that is measured. What a report says of it alone is in report/workload/.

    `program`: its file, below the project's folder. `amount_setting`: the setting that says how much a
    process does. `first_amount`: of it, what a calibration begins with. `expected_per_second`: how much one
    core of a Raspberry Pi 4 does, before anything was measured; None where nobody knows.
    """

    name: ClassVar[str]
    program: ClassVar[str]
    amount_setting: ClassVar[str]
    first_amount: ClassVar[int]
    expected_per_second: ClassVar[float | None]

    @abstractmethod
    def unit(self, settings: Settings) -> Unit:
        """Return what its work is counted in."""

    @abstractmethod
    def amount_given(self, settings: Settings) -> int | None:
        """Return how much of it a process does in a cell that is not `alone-long`; None: find it out."""

    def is_divided(self, settings: Settings) -> bool:
        """Say whether the processes of a trial share one whole job, or each does one by itself."""
        return False

    def text(self, worker: str, program: str) -> str:
        """Return what workers run: the text of the workload's file, with the user's own program if any."""
        return worker

    @abstractmethod
    def interpreter(self, settings: Settings) -> str:
        """Return what an image, or a Pi where there is no container, must have to run that."""

    @abstractmethod
    def without_interpreter(self, settings: Settings) -> str:
        """Return what to do about an image that does not have it."""

    def failure(self, settings: Settings, line: str, where: str) -> Problem | None:
        """Return the problem, of `where`, that a worker's last line tells; None where it tells of none."""
        return None

    @abstractmethod
    def probe(self, settings: Settings) -> tuple[str, ...]:
        """Return the words that end with 0 where a Pi without a container has the interpreter."""

    @abstractmethod
    def pod_words(self, told: Assignment, text: str) -> tuple[str, ...]:
        """Return a pod's command line: three words, then arguments."""

    @abstractmethod
    def base_words(self, told: Assignment) -> tuple[str, ...]:
        """Return the words behind the interpreter on the Pi that works alone, where `base_input` is read."""

    @abstractmethod
    def base_input(self, told: Assignment, text: str) -> str:
        """Return what is written to the standard input of that interpreter."""

    def own(self, report: WorkerReport, where: str) -> WorkerReport:
        """Return a report with what only its workers say; ProblemError, naming `where`, if that is wrong."""
        return report

    def decided(
        self, report: WorkerReport, plan: Plan, slot: Slot, attempt: int
    ) -> Iterable[tuple[str, object, object]]:
        """Give what a trial decides of this workload's reports: its name, what was found, what is wanted."""
        return ()

    def ran_in(self, report: WorkerReport) -> str:
        """Return which interpreter a worker had; empty where it does not tell."""
        return ""

    def read(self, output: str | bytes, where: str) -> WorkerReport:
        """Return the report in all that a worker wrote; ProblemError, naming `where`, if it isn't whole."""
        report = parse_worker_output(output, where)
        self.own(report, where)
        return report

    def read_message(self, text: str, where: str) -> WorkerReport:
        """Return the report in a pod's termination message; ProblemError, naming `where`, likewise."""
        report = parse_worker_json(text, where)
        self.own(report, where)
        return report

    def misfit(
        self, report: WorkerReport, plan: Plan, slot: Slot, attempt: int, *, pi: str, index: int | None
    ) -> str | None:
        """Return in which point a report is not of this worker of this trial, None if it fits.

        index: the pod's in its Job, None for a base case.
        """
        for name, found, wanted in (
            ("run", report.run_id, plan.run_id),
            ("Pi", report.node, pi),
            ("completion index", report.completion_index, index),
            ("processes", len(report.processes), plan.cell(slot.cell).processes_per_pi),
            *self.decided(self.own(report, pi), plan, slot, attempt),
        ):
            if found != wanted:
                return f"{name}: {one_line(_shown(found), 80)} instead of {one_line(_shown(wanted), 80)}"
        return None


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
