"""The plan as one reads it before the first trial, and each trial as it ends."""

from __future__ import annotations

from collections.abc import Sequence

from pi_speedup.catalogue import Message
from pi_speedup.model.plan import ALONE, Cell, Plan
from pi_speedup.model.trial import Trial
from pi_speedup.plan.progress import expected_seconds
from pi_speedup.text import listed
from pi_speedup.workload import workload_of


def plan_lines(plan: Plan) -> tuple[str, ...]:
    """Return a few lines: what is measured, on which Pis, how often, and how long that takes."""
    rounds = "1 round" if plan.rounds == 1 else f"{plan.rounds} rounds"
    before = "after one warm-up" if plan.settings.warm_up else "with no warm-up"
    width = plan.longest_name
    return (
        f"Run {plan.run_id}: {_pis(plan)}, {rounds} {before}, plan {plan.sha256[:12]}",
        *(f"  without {each.pi}: {each.problem.shown.what}" for each in plan.left_out),
        *(f"  {cell.name:<{width}}  {_cell_words(plan, cell)}, {_when(plan, cell)}" for cell in plan.cells),
        f"  {_how_long(plan)}",
    )


def _how_long(plan: Plan) -> str:
    seconds = expected_seconds(plan)
    if seconds is None:
        return "how long it takes, the warm-up will tell"
    if plan.calibration is None:
        return f"{duration_words(seconds)} on Pis of the Raspberry Pi 4's speed"
    longest = plan.calibration.readings[-1]
    did = _work(plan, longest.amount)
    return f"{duration_words(seconds)}: {plan.base_pi} was asked, and did {did} in {longest.seconds:.2f} s"


def _work(plan: Plan, amount: int) -> str:
    return Message(f"unit.{workload_of(plan.settings).unit(plan.settings)}", count=amount)


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
    rest = f", {duration_words(left)} left" if left else ""
    return f"{head} {seconds:>7.2f} s on {listed(plan.cell(trial.slot.cell).pis, most=3)}{rest}"


def _pis(plan: Plan) -> str:
    count, without = len(plan.pis), len(plan.left_out)
    if without:
        return f"{count} of {count + without} Pis"
    return "1 Pi" if count == 1 else f"{count} Pis"


def duration_words(seconds: float) -> str:
    """Return a rough duration: `about 40 s`, `about 5 min`."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {seconds / 60:.0f} min"


def _cell_words(plan: Plan, cell: Cell) -> str:
    each = _work(plan, cell.amount_per_process)
    if cell.parts > 1:
        each = f"{each} in {cell.parts} parts"
    elif cell.processes_per_pi > 1:
        each = f"{each} in each of {cell.processes_per_pi} processes"
    if cell.kind == "job":
        share = f", at {cell.cpu_share:g} of the CPU limit" if cell.cpu_share < 1 else ""
        each_pod = " in each pod" if len(cell.pis) > 1 and not cell.is_divided else ""
        return f"a Job on {listed(cell.pis)}, {each}{each_pod}{share}"
    what = "a process" if plan.settings.base_runtime == "process" else f"{plan.settings.base_runtime}"
    whose = ", as one pod" if cell.name == ALONE else ", as all pods together"
    return f"{what} on {plan.base_pi} alone, {each}{'' if cell.is_divided else whose}"


def _when(plan: Plan, cell: Cell) -> str:
    rounds = [number for number, names in enumerate(plan.order) if number and cell.name in names]
    return "every round" if len(rounds) == plan.rounds else f"in round {listed(rounds, most=10)}"
