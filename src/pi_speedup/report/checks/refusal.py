"""When a run gives no interval, although it gives figures."""

from __future__ import annotations

import functools

from pi_speedup.catalogue import Message
from pi_speedup.plan.progress import LEAST_ROUNDS
from pi_speedup.report.checks.registry import run_checks
from pi_speedup.report.evidence import Evidence

# With invalid trials in more rounds than this share, the others are not believed either.
_MOST_INVALID_ROUNDS = 0.2
# Rounds that were not taken in turn, or not of the same thing, are no sample of anything.
_NEVER = ("order_done", "rounds_alike")


# Asked for each figure of a report: all checks that judge rounds are made for it.
@functools.lru_cache(maxsize=1)
def no_interval_because(evidence: Evidence) -> Message | None:
    """Return why the rounds give no interval; None if they do."""
    count = len(evidence.rounds)
    rounds = Message("noun.round", count=count)
    if count < LEAST_ROUNDS:
        return Message("no_interval.few", rounds=rounds, least=LEAST_ROUNDS)
    invalid: set[int] = set()
    for check in run_checks(evidence, whole_run=False):
        if check.status != "flag" or check.effect != "invalid":
            continue
        if check.code in _NEVER:
            return Message("no_interval.check", code=check.code, found=check.found)
        invalid.update(check.rounds)
    if len(invalid) > _MOST_INVALID_ROUNDS * count:
        return Message("no_interval.invalid", flagged=len(invalid), rounds=rounds)
    return None
