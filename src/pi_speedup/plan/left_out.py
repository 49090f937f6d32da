"""Which Pis take part in a run: all of the inventory, or with benchmark_min_pis those that are fit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

from pi_speedup.codes import Code
from pi_speedup.model.node import Node, Nodes
from pi_speedup.model.plan import LeftOut, Plan
from pi_speedup.model.settings import PREFIX
from pi_speedup.plan.make import make_plan
from pi_speedup.problem import Problem
from pi_speedup.text import listed

SETTING = f"{PREFIX}min_pis"
_MOST_ID_CHARACTERS = 32


def with_unfit(nodes: Nodes, unfit: Mapping[str, Sequence[Problem]]) -> Nodes:
    """Return the Pis with what each lacked over SSH before what the cluster says of it.

    unfit: by the Pi's name in the inventory.
    """
    return nodes.model_copy(
        update={
            "nodes": tuple(
                node.model_copy(update={"problems": (*unfit.get(node.inventory_name, ()), *node.problems)})
                for node in nodes.nodes
            )
        }
    )


def what_stops(nodes: Nodes, *, base_pi: str, min_pis: int) -> tuple[Problem, ...]:
    """Return why no run can begin, () where enough Pis are fit.

    base_pi: the one that works alone, as the inventory calls it; it is never left out. min_pis: how many Pis
    are enough.
    """
    fit = [node.name for node in nodes.nodes if node.usable]
    base_is_fit = all(node.usable for node in nodes.nodes if node.inventory_name == base_pi)
    if base_is_fit and len(fit) >= min_pis:
        return ()
    may_leave_out = min_pis < len(nodes.nodes)
    problems = [
        or_another_base(problem) if may_leave_out and node.inventory_name == base_pi else problem
        for node in nodes.nodes
        for problem in node.problems
    ]
    if may_leave_out and len(fit) < min_pis:
        left = f"{len(fit)} of {len(nodes.nodes)} Pis {'is' if len(fit) == 1 else 'are'} fit"
        who = f" ({listed(fit)})" if fit else ""
        problems.append(
            Problem(
                code=Code.TOO_FEW_PIS,
                subject=SETTING,
                what=f"{left}{who}, and {min_pis} {'is' if min_pis == 1 else 'are'} wanted",
                next_step="do what the lines above say, or set it lower",
            )
        )
    return tuple(problems)


def or_another_base(problem: Problem) -> Problem:
    """Return a problem of the Pi that works alone with the other way out."""
    return problem.model_copy(
        update={"next_step": f"{problem.next_step}; or put another Pi into the group `base`"}
    )


def without_unfit(nodes: Nodes) -> Nodes:
    """Return the Pis that take part, and the others as left out."""
    return nodes.model_copy(
        update={
            "nodes": tuple(node for node in nodes.nodes if node.usable),
            "left_out": (*nodes.left_out, *(node for node in nodes.nodes if not node.usable)),
        }
    )


def left_out(nodes: Nodes | None) -> tuple[LeftOut, ...]:
    """Return what the plan says of the Pis that take no part."""
    return tuple(LeftOut(pi=node.name, problem=_first(node)) for node in nodes.left_out) if nodes else ()


def warning(each: LeftOut, min_pis: int, how: str = "measuring without it") -> str:
    """Return the line that says that a Pi is left out."""
    what = f"{each.problem.what.rstrip('.')}; {how} ({SETTING}: {min_pis})"
    return str(each.problem.model_copy(update={"subject": each.pi, "what": what}))


def plan_without(plan: Plan, nodes: Nodes, *, run_id: str, made_at: str, fresh_seed: int) -> Plan:
    """Return the plan of a new run like `plan` on the Pis that remain.

    A new one, not the same with fewer Pis: what is estimated over its rounds is of one number of Pis.
    """
    return make_plan(
        plan.settings,
        run_id=run_id,
        made_at=made_at,
        pis=[node.name for node in nodes.nodes],
        base_pi=plan.base_pi,
        worker_sha256=plan.worker_sha256,
        program_sha256=plan.program_sha256,
        calibration=plan.calibration,
        cores={node.name: node.cores for node in nodes.nodes},
        fresh_seed=fresh_seed,
        left_out=left_out(nodes),
    )


def next_run_id(folder: Path) -> str:
    """Return the name of the run that follows the one in `folder`: x-2, x-3, ..., the first that is free."""
    for number in count(2):
        name = f"{folder.name[: _MOST_ID_CHARACTERS - len(f'-{number}')]}-{number}"
        if not os.path.lexists(folder.parent / name):
            return name
    raise AssertionError("count() has no end")


def _first(node: Node) -> Problem:
    first, *others = node.problems
    more = f" (and {len(others)} more)" if others else ""
    return first.model_copy(update={"what": f"{first.what.rstrip('.')}{more}"})
