"""What a report can say of one workload alone. Its own checks are in its room too: see checks/registry.py."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from pydantic import JsonValue

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.report import Report
from pi_speedup.model.worker import WorkerReport
from pi_speedup.report.evidence import Evidence

# By name, as the workload itself has them; in report.json.
Result = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Section:
    """A workload's section: in all words, and `short` for a line of a terminal that begins with `label`."""

    heading: str
    words: str
    label: str
    short: str


class Own(ABC):
    """A workload in a report. `column_names`: what it adds to report.csv."""

    column_names: ClassVar[tuple[str, ...]]

    def program(self, report: Report, words: Catalogue) -> str:
        """Return which program was measured."""
        return report.workload

    @abstractmethod
    def result(self, evidence: Evidence) -> Result:
        """Return what the work of all pods came to, in all counted rounds."""

    @abstractmethod
    def section(self, result: Result, words: Catalogue) -> Section:
        """Return what a report says of a result."""

    @abstractmethod
    def columns(self, report: WorkerReport, process: int) -> tuple[str | int | float, ...]:
        """Return what report.csv says of one process in these columns; ProblemError for a damaged report."""
