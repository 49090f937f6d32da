"""What the page tells of single trials: each one's time, and how one round went from within."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pi_speedup.model.report import Report, TrialRow
from pi_speedup.model.trial import Trial, Worker
from pi_speedup.report.clocks import clocks_of, makespan
from pi_speedup.report.wording import main_comparison

State = Literal["counted", "uncounted", "failed", "interrupted"]
Phase = Literal["waiting", "pulling", "starting", "computing"]


@dataclass(frozen=True, slots=True)
class Dot:
    """A trial in the chart of all trials; `seconds` as in report.json, None for one that gave none."""

    row: TrialRow
    seconds: float | None
    state: State


@dataclass(frozen=True, slots=True)
class Stretch:
    """A phase of one worker, in seconds after the round's first trial began."""

    phase: Phase
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Lane:
    """One worker in the timeline of a round."""

    cell: str
    pi: str
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """The round nearest to the result, trial by trial."""

    number: int
    lanes: tuple[Lane, ...]
    trials: tuple[TrialRow, ...]


def dots(report: Report, trials: Sequence[Trial]) -> tuple[Dot, ...]:
    """Return every trial. One that does not count has its time computed here, as those that count have.

    A Job's time is its makespan, with the clocks corrected as in the report; one Pi's time is its own.
    """
    by_name = {trial.name: trial for trial in trials}
    clocks = clocks_of(report.hosts, report.pis, trials)
    found = []
    for row in report.trials:
        state: State = row.outcome if row.outcome != "ok" else "counted" if row.counted else "uncounted"
        seconds = row.seconds
        trial = by_name.get(row.name)
        if seconds is None and state == "uncounted" and trial is not None:
            reports = [(work.pi, work.report) for work in trial.workers if work.report is not None]
            if len(reports) == 1:
                seconds = reports[0][1].seconds
            elif reports:
                began = trial.started_epoch_ns, trial.session
                spans = [
                    clocks.span(pi, each.start_epoch_ns, each.end_epoch_ns, *began) for pi, each in reports
                ]
                seconds = makespan(spans, trial.wall_seconds).ns / 1e9
        found.append(Dot(row, seconds, state))
    return tuple(found)


def readings(
    report: Report, trials: Sequence[Trial], what: Literal["celsius", "megahertz"]
) -> dict[str, tuple[float, ...]]:
    """Return for each Pi what its workers read before and after they computed, of trials that went well."""
    found: dict[str, list[float]] = {pi: [] for pi in report.pis}
    for trial in trials:
        for worker in trial.workers:
            if trial.outcome == "ok" and worker.report is not None and worker.pi in found:
                both = worker.report.celsius if what == "celsius" else worker.report.megahertz
                found[worker.pi] += [value for value in both if value is not None]
    return {pi: tuple(values) for pi, values in found.items()}


def typical_round(report: Report, trials: Sequence[Trial]) -> Round | None:
    """Return the counted round whose speedup is nearest to the result; None where nothing tells of it."""
    main = main_comparison(report)
    if main is None or not main[0].rounds:
        return None
    comparison, estimate = main
    # Of two that are equally near, the earlier one.
    number = min(
        comparison.rounds, key=lambda each: (abs(math.log(each.value / estimate.value)), each.round)
    ).round
    rows = [row for row in report.trials if row.round == number and row.counted]
    by_name = {trial.name: trial for trial in trials}
    of_round = [by_name[row.name] for row in rows if row.name in by_name]
    if not of_round:
        return None
    of_round.sort(key=lambda trial: trial.number)
    lanes = tuple(
        Lane(trial.slot.cell, worker.pi, _stretches(worker, _seconds_after(trial, of_round[0])))
        for trial in of_round
        for worker in trial.workers
    )
    return Round(number, lanes, tuple(rows)) if any(lane.stretches for lane in lanes) else None


def _seconds_after(trial: Trial, first: Trial) -> float:
    steady = trial.started.seconds_after(first.started)
    by_day = (trial.started_epoch_ns - first.started_epoch_ns) / 1e9
    return by_day if steady is None else steady


def _stretches(worker: Worker, offset: float) -> tuple[Stretch, ...]:
    seen = worker.milestones
    found: list[Stretch] = []
    since = seen.created
    steps: tuple[tuple[Phase, float | None], ...] = (
        ("waiting", seen.scheduled),
        ("pulling", seen.pulled),
        ("starting", seen.started),
        ("computing", seen.finished),
    )
    for phase, until in steps:
        if until is None:
            continue
        # Seen by the control host, where two may come in one message or in the other order.
        if since is not None and until > since:
            found.append(Stretch(phase, offset + since, offset + until))
        since = until if since is None else max(since, until)
    return tuple(found)
