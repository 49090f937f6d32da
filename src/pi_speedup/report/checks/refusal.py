"""Whether a run gives an interval, and how wide the one that it may stop by is."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from pi_speedup.catalogue import Message
from pi_speedup.model.plan import Plan
from pi_speedup.model.trial import Trial
from pi_speedup.plan.progress import LEAST_ROUNDS
from pi_speedup.report.checks.registry import run_checks
from pi_speedup.report.evidence import Contents, Evidence
from pi_speedup.report.intervals import (
    compute_pairs,
    quantile_of,
    ratio_estimate,
    statistical_half_width_percent,
)

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
            return Message("no_interval.check", found=check.found)
        invalid.update(check.rounds)
    if len(invalid) > _MOST_INVALID_ROUNDS * count:
        return Message("no_interval.invalid", flagged=len(invalid), rounds=rounds)
    return None


def half_width_percent(plan: Plan, trials: Sequence[Trial]) -> float | None:
    """Return half the width of the compute speedup's interval in percent; None while there is no interval.

    The measuring loop stops by it where a target is set. It leaves out what the Pis' clocks add, which more
    rounds do not lessen.
    """
    evidence = Evidence(Contents(plan, tuple(trials)))
    if no_interval_because(evidence) is not None:
        return None
    return statistical_half_width_percent(ratio_estimate(compute_pairs(evidence), quantile_of(plan)))
