"""The plan as one reads it before the first trial."""

from __future__ import annotations

from pi_speedup.model.plan import ALONE, Cell, Plan
from pi_speedup.plan.progress import expected_seconds
from pi_speedup.text import listed


def plan_lines(plan: Plan) -> tuple[str, ...]:
    """Return a few lines: what is measured, on which Pis, how often, and how long that takes."""
    rounds = "1 round" if plan.rounds == 1 else f"{plan.rounds} rounds"
    before = "after one warm-up" if plan.settings.warm_up else "with no warm-up"
    width = plan.longest_name
    return (
        f"Run {plan.run_id}: {_pis(plan)}, {rounds} {before}, plan {plan.sha256[:12]}",
        *(f"  without {each.pi}: {each.problem.shown.what}" for each in plan.left_out),
        *(f"  {cell.name:<{width}}  {_cell_words(plan, cell)}, {_when(plan, cell)}" for cell in plan.cells),
        f"  {duration_words(expected_seconds(plan))} on Pis of the Raspberry Pi 4's speed",
    )


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
    each = f"{cell.samples_per_process:,} samples"
    if cell.processes_per_pi > 1:
        each += f" in each of {cell.processes_per_pi} processes"
    if cell.kind == "job":
        share = f", at {cell.cpu_share:g} of the CPU limit" if cell.cpu_share < 1 else ""
        return f"a Job on {listed(cell.pis)}, {each}{' in each pod' if len(cell.pis) > 1 else ''}{share}"
    what = "a process" if plan.settings.base_runtime == "process" else f"{plan.settings.base_runtime}"
    whose = "as one pod" if cell.name == ALONE else "as all pods together"
    return f"{what} on {plan.base_pi} alone, {each}, {whose}"


def _when(plan: Plan, cell: Cell) -> str:
    rounds = [number for number, names in enumerate(plan.order) if number and cell.name in names]
    return "every round" if len(rounds) == plan.rounds else f"in round {listed(rounds, most=10)}"
