"""How far a run came, and why it ended: from its plan and its trials alone."""

from __future__ import annotations

from collections.abc import Sequence

from pi_speedup.catalogue import Message
from pi_speedup.model.plan import Plan
from pi_speedup.model.report import Ending, Progress
from pi_speedup.model.trial import Trial
from pi_speedup.plan.progress import complete_rounds, spent_seconds


def progress(plan: Plan, trials: Sequence[Trial]) -> Progress:
    """Return how many rounds and trials there are of those that were planned, and why there are no more."""
    return Progress(
        rounds_planned=plan.rounds,
        rounds_complete=len(complete_rounds(plan, trials)),
        trials_planned=len(plan.slots),
        trials_ok=sum(trial.outcome == "ok" for trial in trials),
        trials_failed=sum(trial.outcome == "failed" for trial in trials),
        trials_interrupted=sum(trial.outcome == "interrupted" for trial in trials),
        spent_seconds=spent_seconds(trials),
        ending=ending(plan, trials),
    )


def ending(plan: Plan, trials: Sequence[Trial]) -> Ending:
    """Return why no further trial was measured.

    A run leaves off by plan only after a whole round. One that ended in another way has a trial that failed
    or was interrupted as its last; without one it was broken off, or is still running.
    """
    done = {trial.slot for trial in trials if trial.outcome == "ok"}
    missing = next((slot for slot in plan.slots if slot not in done), None)
    if missing is None:
        return Ending(kind="complete", words=Message("ending.complete"), problem=None)
    if not trials:
        return Ending(kind="nothing", words=Message("ending.nothing"), problem=None)
    tries = [trial for trial in trials if trial.slot == missing]
    if tries:
        last = tries[-1]
        problem = last.problem.shown if last.problem else None
        if last.outcome == "interrupted":
            key = "ending.interrupted" if problem is None else "ending.interrupted_by"
            words = Message(key, trial=last.name, why=problem and problem.what)
            return Ending(kind="interrupted", words=words, problem=problem)
        words = Message("ending.failed", why=str(last.problem or last.name))
        return Ending(kind="failed", words=words, problem=problem)
    settings = plan.settings
    between_rounds = missing.position == 0 and missing.round > 1
    if between_rounds and settings.target_percent is not None:
        from pi_speedup.report.checks.refusal import half_width_percent

        width = half_width_percent(plan, trials)
        if width is not None and width <= settings.target_percent:
            words = Message("ending.target", width=width, target=settings.target_percent)
            return Ending(kind="target", words=words, problem=None)
    budget = settings.budget_minutes
    if between_rounds and budget is not None and spent_seconds(trials) >= budget * 60:
        return Ending(kind="budget", words=Message("ending.budget", minutes=budget), problem=None)
    return Ending(kind="broken_off", words=Message("ending.broken_off", trial=missing.name), problem=None)
