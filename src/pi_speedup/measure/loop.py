"""The one loop: what comes next is measured and put on disk, until nothing is left or something stops it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from pi_speedup.codes import Code
from pi_speedup.measure.words import trial_line
from pi_speedup.model.plan import Plan, Slot
from pi_speedup.model.trial import Measured, Trial
from pi_speedup.plan.progress import Next, Stop, next_trial
from pi_speedup.problem import Interrupted, Problem, ProblemError
from pi_speedup.store import RunStore

# A failure whose cause passes by itself is tried once more.
MOST_ATTEMPTS = 2
_PAUSE_SECONDS = 5.0


class Driver(Protocol):
    """Measures trials of one kind of cell."""

    def run(self, slot: Slot, attempt: int) -> Measured:
        """Measure one trial; a failure is a trial too. Interrupted, once all that was started has ended."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Why the loop ended; `problem` is there where it did not end by the plan."""

    why: Literal["complete", "target", "budget", "failed", "interrupted"]
    problem: Problem | None = None


def measure(
    plan: Plan,
    store: RunStore,
    drivers: Mapping[str, Driver],
    tell: Callable[[str], None],
    *,
    half_width_percent: Callable[[], float | None],
    still_ours: Callable[[], None] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Ended:
    """Measure what is left of the plan; every trial is on disk before the next one begins.

    drivers: by kind of cell. `half_width_percent`: see next_trial. `still_ours` raises ProblemError once
    another run has taken the cluster. What one trial leaves is never lost by another's failure.
    """
    cells = {cell.name: cell for cell in plan.cells}
    tries: dict[Slot, int] = {}
    # Read once: with a hundred Pis, reading them all again for each trial would cost more than measuring.
    trials = list(store.trials())
    while isinstance(upcoming := next_trial(plan, trials, half_width_percent), Next):
        slot = upcoming.slot
        tries[slot] = tries.get(slot, 0) + 1
        begun_ns, begun = time.time_ns(), time.monotonic()
        try:
            still_ours()
            sleep(plan.settings.rest_seconds)
            done = drivers[cells[slot.cell].kind].run(slot, upcoming.attempt)
        except ProblemError as error:
            done = Measured(_lost(plan, upcoming, begun_ns, begun, "failed", error.problem))
        except Interrupted as stop:
            problem = Problem(code=Code.STOPPED, subject=f"run {plan.run_id}", what=f"stopped by {stop.by}")
            store.add(_lost(plan, upcoming, begun_ns, begun, "interrupted", problem))
            return Ended("interrupted", problem)
        store.add(done.trial, done.logs)
        trial = done.trial
        trials.append(trial)
        tell(trial_line(plan, trials, trial))
        if trial.outcome == "ok":
            continue
        if trial.problem is None or not trial.passes_by_itself or tries[slot] >= MOST_ATTEMPTS:
            return Ended("failed", trial.problem)
        tell(f"  {trial.problem.cause}; that may pass by itself: measuring this trial once more")
        try:
            sleep(_PAUSE_SECONDS)
        except Interrupted as stop:
            return Ended(
                "interrupted",
                Problem(code=Code.STOPPED, subject=f"run {plan.run_id}", what=f"stopped by {stop.by}"),
            )
    assert isinstance(upcoming, Stop)
    return Ended(upcoming.why)


def _lost(
    plan: Plan,
    upcoming: Next,
    begun_ns: int,
    begun: float,
    outcome: Literal["failed", "interrupted"],
    problem: Problem,
) -> Trial:
    """Return the trial of which nothing is known but why there is nothing."""
    return Trial(
        run_id=plan.run_id,
        plan_sha256=plan.sha256,
        slot=upcoming.slot,
        attempt=upcoming.attempt,
        started_epoch_ns=begun_ns,
        spent_seconds=time.monotonic() - begun,
        wall_seconds=None,
        outcome=outcome,
        problem=problem,
    )
