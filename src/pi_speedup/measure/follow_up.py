"""A Pi was lost amid a run: the run that follows it, on the Pis that remain."""

from __future__ import annotations

import time
from pathlib import Path

from pi_speedup.measure.loop import Ended
from pi_speedup.model.host import BEFORE
from pi_speedup.model.node import Nodes
from pi_speedup.model.plan import LeftOut
from pi_speedup.plan.left_out import left_out, next_run_id, plan_without, what_stops, without_unfit
from pi_speedup.store import RunStore


def may_do_without_a_pi(store: RunStore, ended: Ended, min_pis: int) -> bool:
    """Say whether fewer Pis are enough, and a Job's failure ended the run: a lost Pi may have caused it."""
    if ended.why != "failed":
        return False
    trials = store.trials()
    if not trials or trials[-1].outcome != "failed":
        return False
    plan = store.plan()
    return min_pis < len(plan.pis) and plan.cell(trials[-1].slot.cell).kind == "job"


def begin_without(
    store: RunStore, nodes: Nodes, *, min_pis: int, first: Path, fresh_seed: int
) -> tuple[RunStore, tuple[LeftOut, ...]] | None:
    """Seal the plan of the run that follows; return its folder, and the Pis that were lost.

    None if no Pi was lost, too few remain, or the one that works alone is lost. nodes: the plan's Pis as the
    cluster sees them now. first: the folder after which the new one is named.
    """
    plan = store.plan()
    lost = {node.name for node in nodes.nodes if not node.usable}
    if not lost or what_stops(nodes, base_pi=store.host_of(plan.base_pi), min_pis=min_pis):
        return None
    before = store.nodes()
    nodes = without_unfit(nodes.model_copy(update={"left_out": before.left_out if before else ()}))
    following = RunStore(first.with_name(next_run_id(first)))
    # Its first session is this one.
    session = max((trial.session for trial in store.trials()), default=1)
    looks = [store.look(pi, BEFORE, session) for pi in plan.pis]
    first_looks = [look.model_copy(update={"session": 1}) for look in looks if look]
    following.write({"nodes.json": nodes, **{look.file: look for look in first_looks}})
    following.seal(
        plan_without(
            plan,
            nodes,
            run_id=following.folder.name,
            made_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            fresh_seed=fresh_seed,
        )
    )
    following.link_as_latest()
    return following, tuple(each for each in left_out(nodes) if each.pi in lost)
