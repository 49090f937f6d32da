"""One line for each trial as it ends."""

from __future__ import annotations

from collections.abc import Sequence

from pi_speedup.model.plan import Plan
from pi_speedup.model.trial import Trial
from pi_speedup.plan.progress import expected_seconds
from pi_speedup.plan.words import duration_words
from pi_speedup.text import listed


def trial_line(plan: Plan, trials: Sequence[Trial], trial: Trial) -> str:
    """Return what a trial came to: `round 3 of 7  together-3    6.38 s on pi-1, pi-2, about 40 s left`."""
    number = trial.slot.round
    where = "warm-up" if number == 0 else f"round {number} of {plan.rounds}"
    head = f"{where:<14} {trial.slot.cell:<{plan.longest_name}}"
    if trial.outcome != "ok":
        # Why stands above a second attempt, or is the line with which the run ends.
        return f"{head} failed"
    seconds = max((worker.report.seconds for worker in trial.workers if worker.report), default=0.0)
    left = expected_seconds(plan, trials)
    rest = f", {duration_words(left)} left" if left > 0 else ""
    return f"{head} {seconds:>7.2f} s on {listed(plan.cell(trial.slot.cell).pis, most=3)}{rest}"
