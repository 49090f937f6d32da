"""Where a run stands: what comes next, which rounds are complete, why it ended, how long the rest takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pi_speedup.model.plan import Cell, Plan, Slot
from pi_speedup.model.trial import Trial
from pi_speedup.workload import workload_of

# Fewer complete rounds give no interval (docs/report.md), so a target cannot be reached before.
LEAST_ROUNDS = 5
# What a trial takes beyond computing, before one was measured: Kubernetes' own time, a container's start.
_ASSUMED_EXTRA_SECONDS = {"job": 4.0, "base": 1.0}


@dataclass(frozen=True, slots=True)
class Next:
    """The trial to measure now; attempt 1 is the first try."""

    slot: Slot
    attempt: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing is left to measure: all rounds are, the interval is narrow enough, or the time is spent."""

    why: Literal["complete", "target", "budget"]


def next_trial(
    plan: Plan, trials: Sequence[Trial], half_width_percent: Callable[[], float | None]
) -> Next | Stop:
    """Return what comes next for the trials on disk.

    `half_width_percent` computes half the width of the interval so far, in percent of the estimate, None
    where there is none; it is asked between rounds and only where a target is set.
    """
    done = {trial.slot for trial in trials if trial.outcome == "ok"}
    missing = next((slot for slot in plan.slots if slot not in done), None)
    if missing is None:
        return Stop("complete")
    # Looked at between rounds only: part of a round counts for nothing.
    if missing.position == 0 and missing.round > 1:
        why = enough(plan, trials, missing.round - 1, half_width_percent)
        if why is not None:
            return Stop(why)
    attempts = [trial.attempt for trial in trials if trial.slot == missing]
    return Next(missing, 1 + max(attempts, default=0))


def complete_rounds(plan: Plan, trials: Sequence[Trial]) -> tuple[int, ...]:
    """Return the numbers of the rounds of which each trial went well, the warm-up left out."""
    done = {trial.slot for trial in trials if trial.outcome == "ok"}
    lacking = {slot.round for slot in plan.slots if slot not in done}
    return tuple(number for number in range(1, plan.rounds + 1) if number not in lacking)


def spent_seconds(trials: Sequence[Trial]) -> float:
    """Return what all trials took, failed ones too; pauses between sessions don't count."""
    return sum(trial.spent_seconds for trial in trials)


def expected_seconds(plan: Plan, trials: Sequence[Trial] = ()) -> float | None:
    """Return how long what is left will take: by what the same cell took, else by the rate seen so far.

    Before anything was measured, by the rate of a Raspberry Pi 4; None where that is not known.
    """
    done = {trial.slot for trial in trials if trial.outcome == "ok"}
    cells = {cell.name: cell for cell in plan.cells}
    spent: dict[str, list[float]] = {}
    for trial in trials:
        if trial.outcome == "ok":
            spent.setdefault(trial.slot.cell, []).append(trial.spent_seconds)
    rate = _amount_per_second(cells, trials)
    if rate is None and plan.calibration:
        rate = plan.calibration.amount_per_second
    if rate is None:
        known = workload_of(plan.settings).expected_per_second
        if known is None:
            return None
        rate = known * plan.settings.cpu_limit_cores
    left = 0.0
    for slot in plan.slots:
        if slot in done:
            continue
        seen = spent.get(slot.cell)
        left += sum(seen) / len(seen) if seen else _guess(cells[slot.cell], rate)
        left += plan.settings.rest_seconds
    return left


def _guess(cell: Cell, amount_per_second: float) -> float:
    computing = cell.amount_per_process / cell.parts / (amount_per_second * cell.cpu_share)
    return computing + _ASSUMED_EXTRA_SECONDS[cell.kind]


def _amount_per_second(cells: Mapping[str, Cell], trials: Sequence[Trial]) -> float | None:
    rates = [
        cells[trial.slot.cell].amount_per_process / cells[trial.slot.cell].parts / process.duration_seconds
        for trial in trials
        if trial.outcome == "ok"
        for worker in trial.workers
        if worker.report is not None
        for process in worker.report.processes
    ]
    return sum(rates) / len(rates) if rates else None


def enough(
    plan: Plan, trials: Sequence[Trial], rounds: int, half_width_percent: Callable[[], float | None]
) -> Literal["target", "budget"] | None:
    """Return why a run ends after so many whole rounds, None where it goes on; see next_trial."""
    target, budget = plan.settings.target_percent, plan.settings.budget_minutes
    if target is not None and rounds >= LEAST_ROUNDS:
        width = half_width_percent()
        if width is not None and width <= target:
            return "target"
    if budget is not None and spent_seconds(trials) >= budget * 60:
        return "budget"
    return None
