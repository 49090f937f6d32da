"""Plans and trials of them, made as the product makes them."""

from __future__ import annotations

from typing import Any, Literal

from pi_speedup.codes import Code
from pi_speedup.model.calibration import Calibration, Reading
from pi_speedup.model.plan import Plan, Slot
from pi_speedup.model.settings import Settings
from pi_speedup.model.trial import Moment, Trial
from pi_speedup.plan.make import make_plan
from pi_speedup.problem import Problem

PIS = ("pi-1", "pi-2", "pi-3")


def plan(pis: tuple[str, ...] = PIS, cores: dict[str, int | None] | None = None, **settings: Any) -> Plan:
    """Return the plan of a run named x on these Pis; the first works alone."""
    return make_plan(
        Settings(**settings),
        run_id="x",
        made_at="2026-11-25T12:00:00Z",
        pis=pis,
        base_pi=pis[0],
        worker_sha256="0" * 64,
        # For the 10 s that are wished.
        calibration=Calibration(readings=(Reading(amount=10_000_000, seconds=10.0),)),
        cores=cores or {},
        fresh_seed=1,
    )


def trial(
    of: Plan,
    slot: Slot,
    outcome: Literal["ok", "failed", "interrupted"] = "ok",
    *,
    attempt: int = 1,
    seconds: float = 10.0,
    passes_by_itself: bool = False,
) -> Trial:
    """Return a trial without workers."""
    return Trial(
        run_id=of.run_id,
        plan_sha256=of.sha256,
        slot=slot,
        attempt=attempt,
        number=1 + of.slots.index(slot),
        started=Moment(epoch_ns=1, boot="", boot_seconds=0.0),
        spent_seconds=seconds,
        wall_seconds=seconds if outcome == "ok" else None,
        outcome=outcome,
        problem=None
        if outcome == "ok"
        else Problem(code=Code.POD_FAILED, subject="pod 0", what="failed", next_step="look"),
        passes_by_itself=passes_by_itself,
    )


def first_rounds(of: Plan, last: int) -> list[Trial]:
    """Return good trials of the warm-up and of all rounds up to `last`."""
    return [trial(of, slot) for slot in of.slots if slot.round <= last]
