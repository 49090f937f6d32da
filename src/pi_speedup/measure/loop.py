"""The one loop: what comes next is measured and put on disk, until nothing is left or something stops it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from pi_speedup.clock import boot_seconds
from pi_speedup.codes import Code
from pi_speedup.model.plan import Plan, Slot
from pi_speedup.model.trial import ByHand, Measured, Moment, Trial
from pi_speedup.plan.progress import Next, Stop, next_trial
from pi_speedup.plan.words import trial_line
from pi_speedup.problem import Interrupted, Problem, ProblemError
from pi_speedup.store import RunStore

# A failure whose cause passes by itself is tried once more.
MOST_ATTEMPTS = 2
_PAUSE_SECONDS = 5.0


class Driver(Protocol):
    """Measures trials of one kind of cell."""

    def run(self, slot: Slot, attempt: int) -> Measured:
        """Measure one trial; a failure is a trial too. Interrupted, once all that was started has ended."""


class Neighbours(Protocol):
    """Tells what else uses the Pis."""

    def look(self, number: int) -> None:
        """Look before a trial of this round."""

    def seen(self, trial: Trial) -> Trial:
        """Return a trial that has just ended, with what there was beside it."""


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
    session: int = 1,
    still_ours: Callable[[float], None] = lambda since: None,
    neighbours: Neighbours | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Ended:
    """Measure what is left of the plan; every trial is on disk before the next one begins.

    drivers: by kind of cell. `half_width_percent`: see next_trial. `still_ours` raises ProblemError
    unless the cluster is ours, seen at a moment or after it (in boot_seconds): a trial counts only if it was
    ours until its end. What one trial leaves is never lost by another's failure.
    """
    cells = {cell.name: cell for cell in plan.cells}
    tries: dict[Slot, int] = {}
    # Read once: with a hundred Pis, reading them all again for each trial would cost more than measuring.
    trials = list(store.trials())
    follows = store.last_sha256(trials)
    shown: set[str] = set()
    while isinstance(upcoming := next_trial(plan, trials, half_width_percent), Next):
        slot = upcoming.slot
        tries[slot] = tries.get(slot, 0) + 1
        started, begun = Moment.now(), boot_seconds()
        try:
            still_ours(0.0)
            if neighbours:
                neighbours.look(slot.round)
            sleep(plan.settings.rest_seconds)
            done = _if_ours(drivers[cells[slot.cell].kind].run(slot, upcoming.attempt), still_ours)
        except ProblemError as error:
            done = Measured(_lost(plan, upcoming, started, begun, "failed", error.problem))
        except Interrupted as stop:
            problem = Problem(code=Code.STOPPED, subject=f"run {plan.run_id}", what=f"stopped by {stop.by}")
            lost = _lost(plan, upcoming, started, begun, "interrupted", problem)
            store.add(_chained(lost, trials, session, follows))
            return Ended("interrupted", problem)
        seen = neighbours.seen(done.trial) if neighbours else done.trial
        trial = _chained(seen, trials, session, follows)
        store.add(trial, done.logs)
        trials.append(trial)
        follows = trial.sha256
        tell(trial_line(plan, trials, trial))
        if done.by_hand and slot.cell not in shown:
            shown.add(slot.cell)
            _keep_by_hand(store, slot.cell, done.by_hand, tell)
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


def _if_ours(done: Measured, still_ours: Callable[[float], None]) -> Measured:
    """Return what was measured; as failed if the cluster was not ours until the trial's end."""
    if done.trial.outcome != "ok":
        return done
    try:
        still_ours(boot_seconds())
    except ProblemError as error:
        lost = {"outcome": "failed", "problem": error.problem, "wall_seconds": None}
        return replace(done, trial=done.trial.model_copy(update=lost))
    return done


def _keep_by_hand(store: RunStore, cell: str, by_hand: ByHand, tell: Callable[[str], None]) -> None:
    """Keep how a cell is started by hand. It is there to be read: where it can't be kept, the run goes on."""
    try:
        store.keep_by_hand(cell, by_hand)
    except ProblemError as error:
        tell(f"  how to start {cell} by hand is not kept: {error.problem.cause}")


def _chained(trial: Trial, before: Sequence[Trial], session: int, follows: str) -> Trial:
    """Return a trial with its number in the order of measuring, which no clock tells, and what it follows."""
    number = 1 + max((each.number for each in before), default=0)
    return trial.model_copy(update={"session": session, "number": number, "follows_sha256": follows})


def _lost(
    plan: Plan,
    upcoming: Next,
    started: Moment,
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
        started=started,
        spent_seconds=boot_seconds() - begun,
        wall_seconds=None,
        outcome=outcome,
        problem=problem,
    )
