"""report.csv: one row for each process of each worker of each trial, for whoever analyses a run further."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.report import Report
from pi_speedup.model.trial import Trial, Worker
from pi_speedup.model.worker import Process, WorkerReport
from pi_speedup.problem import ProblemError
from pi_speedup.report.workload import OWN, Own
from pi_speedup.text import one_line

Cell = str | int | float | None
# With one of these a spreadsheet takes text for a formula.
_FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True, slots=True)
class _Row:
    """What a row is about; None for what a trial does not have."""

    trial: Trial
    counted: bool
    worker: Worker | None
    report: WorkerReport | None
    number: int | None

    @property
    def process(self) -> Process | None:
        return None if self.report is None or self.number is None else self.report.processes[self.number]


def _of_trial(name: str) -> Callable[[_Row], Cell]:
    return lambda row: getattr(row.trial, name)


def _of_worker(name: str) -> Callable[[_Row], Cell]:
    return lambda row: getattr(row.worker, name, None)


def _of_milestones(name: str) -> Callable[[_Row], Cell]:
    return lambda row: None if row.worker is None else getattr(row.worker.milestones, name)


def _of_report(name: str) -> Callable[[_Row], Cell]:
    return lambda row: getattr(row.report, name, None)


def _of_look(name: str, when: int) -> Callable[[_Row], Cell]:
    return lambda row: None if row.report is None else getattr(row.report, name)[when]


def _of_process(name: str) -> Callable[[_Row], Cell]:
    return lambda row: getattr(row.process, name, None)


_COLUMNS: dict[str, Callable[[_Row], Cell]] = {
    "run_id": _of_trial("run_id"),
    "trial": _of_trial("name"),
    "round": lambda row: row.trial.slot.round,
    "position": lambda row: row.trial.slot.position,
    "cell": lambda row: row.trial.slot.cell,
    "attempt": _of_trial("attempt"),
    "outcome": _of_trial("outcome"),
    "counted": lambda row: "yes" if row.counted else "no",
    "problem": lambda row: None if row.trial.problem is None else str(row.trial.problem),
    "trial_started_epoch_ns": _of_trial("started_epoch_ns"),
    "wall_seconds": _of_trial("wall_seconds"),
    "spent_seconds": _of_trial("spent_seconds"),
    "pi": _of_worker("pi"),
    "name": _of_worker("name"),
    "runtime": _of_worker("runtime"),
    "image": _of_worker("image"),
    "image_ids": lambda row: None if row.worker is None else " ".join(row.worker.image_ids),
    "cpu_limit_cores": _of_worker("cpu_limit_cores"),
    "created_seconds": _of_milestones("created"),
    "scheduled_seconds": _of_milestones("scheduled"),
    "pulled_seconds": _of_milestones("pulled"),
    "started_seconds": _of_milestones("started"),
    "finished_seconds": _of_milestones("finished"),
    "machine": _of_report("machine"),
    "celsius_before": _of_look("celsius", 0),
    "celsius_after": _of_look("celsius", 1),
    "megahertz_before": _of_look("megahertz", 0),
    "megahertz_after": _of_look("megahertz", 1),
    "process": lambda row: row.number,
    "start_epoch_ns": _of_process("start_epoch_ns"),
    "end_epoch_ns": _of_process("end_epoch_ns"),
    "duration_seconds": _of_process("duration_seconds"),
    "cpu_seconds": _of_process("cpu_seconds"),
}


def csv_text(report: Report, trials: Sequence[Trial], words: Catalogue) -> str:
    """Return report.csv: all trials on disk.

    Times are as they were told: the epoch nanoseconds are those of each Pi's own clock. A worker without a
    result, and a trial without a worker, is one row with empty cells.
    """
    counted = {row.name for row in report.trials if row.counted}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    own = OWN.get(report.workload)
    writer.writerow([*_COLUMNS, *(own.column_names if own else ())])
    for trial in trials:
        for row in _rows(trial, trial.name in counted):
            cells = [*(value(row) for value in _COLUMNS.values()), *_own_cells(own, row)]
            writer.writerow(map(_harmless, cells))
    return out.getvalue()


def _own_cells(own: Own | None, row: _Row) -> Sequence[Cell]:
    if own is None:
        return ()
    if row.report is not None and row.number is not None:
        # A result that counts has been read; who knows what a failed trial left.
        with suppress(ProblemError):
            return own.columns(row.report, row.number)
    return [None] * len(own.column_names)


def _rows(trial: Trial, counted: bool) -> Iterator[_Row]:
    for worker in trial.workers:
        if worker.report is None:
            yield _Row(trial, counted, worker, None, None)
            continue
        for number in range(len(worker.report.processes)):
            yield _Row(trial, counted, worker, worker.report, number)
    if not trial.workers:
        yield _Row(trial, counted, None, None, None)


def _harmless(cell: Cell) -> Cell:
    """Return a text as one line that no spreadsheet computes; numbers as they are."""
    return _harmless_text(cell) if isinstance(cell, str) else cell


# Most texts of a run are in thousands of its rows.
@functools.lru_cache(maxsize=1000)
def _harmless_text(cell: str) -> str:
    line = one_line(cell, 4096)
    return f"'{line}" if line.startswith(_FORMULA) else line
