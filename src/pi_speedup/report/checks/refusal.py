"""When a run gives no interval, although it gives figures."""

from __future__ import annotations

from pi_speedup.plan.progress import LEAST_ROUNDS
from pi_speedup.report.checks.registry import run_checks
from pi_speedup.report.evidence import Evidence

# With invalid trials in more rounds than this share, the others are not believed either.
_MOST_INVALID_ROUNDS = 0.2
# Rounds that were not taken in turn, or not of the same thing, are no sample of anything.
_NEVER = ("order_done", "rounds_alike")


def no_interval_because(evidence: Evidence) -> str | None:
    """Return why the rounds give no interval, in words; None if they do."""
    count = len(evidence.rounds)
    if count < LEAST_ROUNDS:
        return f"{_rounds(count)} complete, an interval needs {LEAST_ROUNDS}"
    invalid: set[int] = set()
    for check in run_checks(evidence, whole_run=False):
        if check.status != "flag" or check.effect != "invalid":
            continue
        if check.code in _NEVER:
            return f"{check.code}: {check.found}"
        invalid.update(check.rounds)
    if len(invalid) > _MOST_INVALID_ROUNDS * count:
        return f"checks of the kind invalid flag {len(invalid)} of {_rounds(count)}"
    return None


def _rounds(count: int) -> str:
    return "1 round" if count == 1 else f"{count} rounds"
