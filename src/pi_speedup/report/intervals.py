"""Figures over the rounds: ratios of two sides with their intervals, and the two ratios that must be 1."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pi_speedup.model.plan import ALONE, Plan
from pi_speedup.model.report import Estimate, Interval
from pi_speedup.report.evidence import Evidence, Measurement
from pi_speedup.report.formulas import geometric_mean, seconds_for_all, speedup
from pi_speedup.report.statistics import Difference, paired_ratio, pooled_difference

LEVEL = 0.95
# A run that stops as soon as its interval is narrow looks at it again and again: the 95 % interval would then
# cover in 92 of 100 runs, this one in 94.7 (docs/report.md, "Stopping when narrow enough").
ADAPTIVE_LEVEL = 0.97


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides in one round, in seconds: what stands above and below the line, and the latter's bounds."""

    round: int
    above: float
    below: float
    least: float
    most: float

    @property
    def ratio(self) -> float:
        """The round's own figure."""
        return speedup(self.above, self.below)


def quantile_of(plan: Plan) -> float:
    """Return the level whose quantile a run's intervals use."""
    return LEVEL if plan.settings.target_percent is None else ADAPTIVE_LEVEL


def compute_pairs(evidence: Evidence) -> tuple[Pair, ...]:
    """Return N T1(n) and T_N of each round."""
    return sweep_pairs(evidence, evidence.together.name)


def sweep_pairs(evidence: Evidence, cell: str) -> tuple[Pair, ...]:
    """Return one Pi's time for the work of k, and T_k of each round with the bounds that the clocks leave."""
    times = evidence.times_the_work(evidence.cells[cell])
    return tuple(
        Pair(
            round=job.round,
            above=seconds_for_all(evidence.at(ALONE, job.round).seconds, times),
            below=job.seconds,
            least=job.makespan.least_ns / 1e9,
            most=job.makespan.most_ns / 1e9,
        )
        for job in evidence.of(cell)
    )


def wall_pairs(evidence: Evidence, base: Sequence[Measurement]) -> tuple[Pair, ...]:
    """Return the wall times of base cases and of the Jobs of their rounds."""
    pairs = ((each, evidence.at(evidence.together.name, each.round).wall_seconds) for each in base)
    return tuple(Pair(each.round, each.wall_seconds, wall, wall, wall) for each, wall in pairs)


def ratio_estimate(pairs: Sequence[Pair], quantile: float | None) -> Estimate:
    """Return the ratio of geometric means; its interval by the paired t on logarithms, none without quantile.

    The clocks' uncertainty is the same in all rounds, so it does not average out: each end is moved by what
    it can do to it.
    """
    value = geometric_mean([pair.above for pair in pairs]) / geometric_mean([pair.below for pair in pairs])
    ratios = [pair.ratio for pair in pairs]
    interval = None
    if quantile is not None:
        low, high = paired_ratio([pair.above for pair in pairs], [pair.below for pair in pairs], quantile)
        interval = Interval(
            low=low * geometric_mean([pair.below / pair.most for pair in pairs]),
            high=high * geometric_mean([pair.below / pair.least for pair in pairs]),
            level=LEVEL,
            quantile=quantile,
            statistical_low=low,
            statistical_high=high,
        )
    return Estimate(value=value, minimum=min(ratios), maximum=max(ratios), interval=interval)


def mapped(estimate: Estimate, function: Callable[[float], float]) -> Estimate:
    """Return a monotonic function of an estimate, with the ends of its interval mapped through."""

    def ends(low: float, high: float) -> tuple[float, float]:
        first, second = function(low), function(high)
        return min(first, second), max(first, second)

    minimum, maximum = ends(estimate.minimum, estimate.maximum)
    interval = None
    if estimate.interval is not None:
        known = estimate.interval
        low, high = ends(known.low, known.high)
        statistical_low, statistical_high = ends(known.statistical_low, known.statistical_high)
        interval = Interval(
            low=low,
            high=high,
            level=known.level,
            quantile=known.quantile,
            statistical_low=statistical_low,
            statistical_high=statistical_high,
        )
    return Estimate(value=function(estimate.value), minimum=minimum, maximum=maximum, interval=interval)


def interval_half_width_percent(estimate: Estimate) -> float | None:
    """Return half the width of an estimate's interval in percent of its value; None without an interval."""
    known = estimate.interval
    return None if known is None else 50 * (known.high - known.low) / estimate.value


def statistical_half_width_percent(estimate: Estimate) -> float | None:
    """Return the same without the clocks' part, which more rounds do not lessen."""
    known = estimate.interval
    return None if known is None else 50 * (known.statistical_high - known.statistical_low) / estimate.value


def base_after_to_before(evidence: Evidence) -> Difference | float | None:
    """Return ln of the base case's time after the Job of its round over that before it.

    A Difference with its error if each happened twice at least; else the bare logarithm, or None where only
    one of them happened. Both are one Pi doing the same alone, so it is 0 but for noise, unless the Job
    leaves something behind. A drift of speed over the run cancels: the order is reversed in each round.
    """
    groups: dict[bool, list[float]] = {True: [], False: []}
    for base in evidence.alone:
        job = evidence.at(evidence.together.name, base.round)
        after = base.trial.slot.position > job.trial.slot.position
        groups[after].append(math.log(base.seconds))
    before, after_it = groups[False], groups[True]
    if not before or not after_it:
        return None
    if min(len(before), len(after_it)) < 2:
        return statistics.fmean(after_it) - statistics.fmean(before)
    return pooled_difference(before, after_it)


def long_to_short_base(evidence: Evidence) -> Difference | float | None:
    """Return ln T1(N n) / (N T1(n)), which is 0 if one Pi's time grows in proportion to the work.

    A Difference with its error if there are at least three base cases of a share. They are those of all
    rounds, as the long ones are few and spread over the run. Assumption: a long one varies as much as a
    short one.
    """
    long = [math.log(base.seconds) for base in evidence.alone_long]
    times = evidence.times_the_work(evidence.together)
    short = [math.log(seconds_for_all(base.seconds, times)) for base in evidence.alone]
    if not long:
        return None
    if len(short) < 3:
        return statistics.fmean(long) - statistics.fmean(short)
    return pooled_difference(short, long)


def lower_limit_to_expected(evidence: Evidence) -> Difference | float | None:
    """Return ln of the speedup under a lower CPU limit over its share of the usual speedup: 0 if it reacts.

    The base case is the same on both sides, so it is share * T_N / T_lower that is looked at. Compared with
    the Jobs of all rounds, as those under the lower limit are few and spread over the run. Assumption: both
    vary equally. None without such a cell.
    """
    cell = evidence.plan.slow
    lower = [-math.log(job.seconds) for job in evidence.of(cell.name)] if cell is not None else []
    if cell is None or not lower:
        return None
    usual = [math.log(cell.cpu_share) - math.log(job.seconds) for job in evidence.jobs]
    if len(usual) < 3:
        return statistics.fmean(lower) - statistics.fmean(usual)
    return pooled_difference(usual, lower)
