"""Is there more in the rounds than noise, or more noise than the figure bears?

Each weighs what it found against this run's own noise, so that it flags one in 200 runs of nothing but noise,
whatever their number of Pis; and it says from which size on it would have seen something.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from pi_speedup.catalogue import Message
from pi_speedup.report.checks.refusal import no_interval_because
from pi_speedup.report.checks.registry import Finding, check, flagged, passed, unknown
from pi_speedup.report.evidence import Evidence, Measurement
from pi_speedup.report.formulas import SD_PER_MAD
from pi_speedup.report.intervals import (
    base_after_to_before,
    compute_pairs,
    interval_half_width_percent,
    long_to_short_base,
    quantile_of,
    ratio_estimate,
    wall_pairs,
)
from pi_speedup.report.statistics import (
    FALSE_ALARM,
    POWER,
    Difference,
    mean_difference,
    pooled_difference,
    range_quantile,
    slope,
    t_quantile,
    unlike_difference,
)

# A certain difference may be too small to matter: below these nothing is flagged.
_LEAST_IMBALANCE = 0.03
_LEAST_CHANGE = 0.01
# Without rounds there is no noise to compare with; equal Pis, up to this many, came within a tenth.
_IMBALANCE_OF_ONE_ROUND = 0.10
_FEW_PIS = 8
# From here on the choice of the base Pi changes the speedup more than most readers would expect.
_DOUBTFUL_IMBALANCE = 0.10
_DRIFT_FALSE_ALARM = 0.01
_LEAST_ROUNDS_FOR_DRIFT = 5
_LEAST_ROUNDS_FOR_NOISE = 3
_LEAST_ROUNDS_OF_A_SESSION = 2
_LEAST_OF_A_CELL, _LEAST_PAIRS = 3, 12
# A pod's time is so many standard deviations over its median in 1 of 200 clean runs at most. Found by
# simulation: the deviation is told by the median absolute deviation, which is coarse where times are few.
_DISTURBED, _DISTURBED_OF_FEW = 8.0, 12.0
_LEAST_DISTURBANCE = 0.05
_LEAST_ROUNDS_FOR_DISTURBANCE, _MANY_ROUNDS = 5, 7
# A base case likewise, whose own deviation is told by one value a round.
_DISTURBED_BASE, _DISTURBED_BASE_OF_FEW = 6.0, 8.0
_WIDEST_PERCENT = 10.0


@check("precision", whole_run=True)
def precision(evidence: Evidence) -> Finding:
    """Look how wide the interval of the compute speedup is."""
    why = no_interval_because(evidence)
    if why is not None:
        none = Message("check.precision.none", why=why)
        return flagged([none], Message("check.precision.possible_none"), "doubtful")
    width = (
        interval_half_width_percent(ratio_estimate(compute_pairs(evidence), quantile_of(evidence.plan)))
        or 0.0
    )
    figures = Message("check.precision.width", percent=width)
    if width > _WIDEST_PERCENT:
        return flagged([figures], Message("check.precision.possible"), "doubtful")
    return passed(figures)


@check("imbalance", whole_run=True)
def imbalance(evidence: Evidence) -> Finding:
    """Compare the Pis' mean times with the range that as many equal Pis would show."""
    pis = evidence.pis
    if pis == 1:
        return passed(Message("check.imbalance.one_pi"))
    means = {pi: statistics.fmean(values) for pi, values in evidence.pods_log_seconds.items()}
    slowest, fastest = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    ratio = math.exp(means[slowest] - means[fastest]) - 1
    figures = Message(
        "check.imbalance.longer",
        slowest=_pi(evidence, slowest),
        more=ratio,
        fastest=_pi(evidence, fastest),
    )
    noise = evidence.pod_noise
    if noise is None:
        if pis > _FEW_PIS:
            return unknown(Message("check.imbalance.one_round", figures=figures))
        threshold, seen = _IMBALANCE_OF_ONE_ROUND, _IMBALANCE_OF_ONE_ROUND
    else:
        rounds = len(evidence.rounds)
        expected = math.expm1(range_quantile(pis, noise[1], FALSE_ALARM) * noise[0] / math.sqrt(rounds))
        threshold = max(_LEAST_IMBALANCE, expected)
        # Seen in 19 of 20 runs: one-sided, the noise of two Pis' means on top.
        seen = threshold + t_quantile(POWER, noise[1]) * noise[0] * math.sqrt(2 / rounds)
    if ratio > threshold:
        return flagged(
            [figures],
            Message("check.imbalance.possible"),
            "doubtful" if ratio > _DOUBTFUL_IMBALANCE else "none",
            could_have_seen=seen,
        )
    return passed(figures, seen)


@check("disturbed_pods", whole_run=True)
def disturbed_pods(evidence: Evidence) -> Finding:
    """Compare each pod's time with the median of its Pi's, in the light of how far all are from theirs.

    The interval covers less often than it says where pods are disturbed one by one (docs/simulations.md).
    Median absolute deviation: Hampel 1974, Journal of the American Statistical Association 69, 383-393.
    """
    rounds, pis = len(evidence.rounds), evidence.pis
    many = rounds >= _MANY_ROUNDS
    if rounds < _LEAST_ROUNDS_FOR_DISTURBANCE or (pis == 1 and not many):
        return unknown(Message("check.disturbed_pods.few", count=rounds))
    usual = {pi: statistics.median(values) for pi, values in evidence.pods_log_seconds.items()}
    beyond = [
        (math.log(work.seconds) - usual[work.pi], job.round, job.who(work))
        for job in evidence.jobs
        for work in job.works
    ]
    deviation = _deviation(by for by, _, _ in beyond)
    times = _DISTURBED if many and pis > 1 else _DISTURBED_OF_FEW
    return _disturbed("disturbed_pods", beyond, deviation, times, 1.25)


@check("disturbed_base", whole_run=True)
def disturbed_base(evidence: Evidence) -> Finding:
    """Compare each base case's time with their median, in the light of how far they and the pods are off."""
    rounds = len(evidence.rounds)
    if rounds < _LEAST_ROUNDS_FOR_DISTURBANCE:
        return unknown(Message("check.disturbed_base.few", count=rounds))
    logs = [math.log(each.seconds) for each in evidence.alone]
    usual = statistics.median(logs)
    beyond = [(by - usual, each.round, each.place) for by, each in zip(logs, evidence.alone, strict=True)]
    of_pods = [
        each - statistics.median(values) for values in evidence.pods_log_seconds.values() for each in values
    ]
    # Where they vary more than pods do, that is no disturbance.
    deviation = max(_deviation(by for by, _, _ in beyond), _deviation(of_pods))
    times = _DISTURBED_BASE if rounds >= _MANY_ROUNDS else _DISTURBED_BASE_OF_FEW
    return _disturbed("disturbed_base", beyond, deviation, times, 1.5)


def _deviation(beyond: Iterable[float]) -> float:
    return SD_PER_MAD * statistics.median(map(abs, beyond))


def _disturbed(
    code: str, beyond: Sequence[tuple[float, int, Message]], deviation: float, times: float, margin: float
) -> Finding:
    """Judge how far each of some trials is beyond its usual time (of logarithms), in a round, by whom.

    margin: what is disturbed raises the deviation itself, the more the fewer it is told by; by simulation.
    """
    threshold = max(math.log1p(_LEAST_DISTURBANCE), times * deviation)
    # What is disturbed may be fast without.
    seen = math.expm1(margin * threshold + 3 * deviation)
    found = [
        (number, Message(f"check.{code}.longer", who=who, more=math.expm1(by)))
        for by, number, who in beyond
        if by > threshold
    ]
    if found:
        return flagged(
            [each for _, each in found],
            Message(f"check.{code}.possible"),
            "doubtful",
            (number for number, _ in found),
            seen,
        )
    most = math.expm1(max(by for by, _, _ in beyond))
    return passed(Message(f"check.{code}.passed", more=most), seen)


@check("slow_base", whole_run=True)
def slow_base(evidence: Evidence) -> Finding:
    """Ask whether the base Pi is certainly slower alone than as one of all: something held it up there.

    Its own pods are what it is compared with, so neither the other Pis' speeds nor the last of N is in it.
    The base cases vary by themselves, the pods as all Pis' together.
    """
    if evidence.together.is_divided:
        return unknown(Message("check.slow_base.divided"))
    alone = [math.log(each.seconds) for each in evidence.alone]
    pods = evidence.pods_log_seconds
    own = pods.get(evidence.plan.base_pi, ())
    if min(len(alone), len(own)) < _LEAST_ROUNDS_FOR_NOISE:
        return unknown(Message("check.slow_base.few", count=min(len(alone), len(own))))
    freedom = sum(len(values) - 1 for values in pods.values())
    of_a_pod = math.fsum(statistics.pvariance(each) * len(each) for each in pods.values()) / freedom
    found = unlike_difference(
        statistics.fmean(alone) - statistics.fmean(own),
        [(statistics.variance(alone) / len(alone), len(alone) - 1), (of_a_pod / len(own), freedom)],
    )
    # Only one of two sides is looked at.
    chance = 2 * FALSE_ALARM
    change = math.expm1(found.value)
    figures = Message(f"check.slow_base.{_sign(change)}", pi=evidence.plan.base_pi, change=abs(change))
    beyond_least = _LEAST_CHANGE + t_quantile(POWER, found.freedom) * found.error
    seen = math.expm1(max(beyond_least, found.detectable(chance)))
    if found.value > _LEAST_CHANGE and found.p_value < chance:
        return flagged([figures], Message("check.slow_base.possible"), "doubtful", could_have_seen=seen)
    return passed(figures, seen)


@check("superlinear", whole_run=True)
def superlinear(evidence: Evidence) -> Finding:
    """Ask whether efficiency is certainly above 1."""
    pairs = compute_pairs(evidence)
    logs = [math.log(pair.ratio / evidence.pis) for pair in pairs]
    if len(logs) < _LEAST_ROUNDS_FOR_NOISE:
        return unknown(Message("check.superlinear.few", count=len(logs)))
    found = mean_difference(logs)
    # Only one of two sides is looked at.
    chance = 2 * FALSE_ALARM
    # Clocks that are off shift the efficiency of all rounds alike.
    clocks = statistics.fmean(math.log(pair.most / pair.below) for pair in pairs)
    low = found.bounds(1 - chance)[0] - clocks
    efficiency = math.exp(found.value)
    seen = math.expm1(found.detectable(chance) + clocks)
    if evidence.together.is_divided:
        # A part that fits into a cache may well be faster.
        return passed(Message("check.superlinear.divided", efficiency=efficiency))
    above = []
    if low > 0:
        above.append(Message("check.superlinear.above", efficiency=efficiency, least=math.exp(low)))
    # Wall times need no common clock. A container starts sooner than a Job, so even 1 is much.
    share = evidence.times_the_work(evidence.together) / evidence.pis
    walls = mean_difference([math.log(share * pair.ratio) for pair in wall_pairs(evidence, evidence.alone)])
    if walls.bounds(1 - chance)[0] > 0:
        ends = {"efficiency": math.exp(walls.value), "least": math.exp(walls.bounds(1 - chance)[0])}
        above.append(Message("check.superlinear.above_end_to_end", **ends))
    if above:
        return flagged(above, Message("check.superlinear.possible"), "doubtful", could_have_seen=seen)
    return passed(Message("check.superlinear.passed", efficiency=efficiency), seen)


@check("proportionality", whole_run=True)
def proportionality(evidence: Evidence) -> Finding:
    """Compare T1(N n) with N T1(n): one Pi, twice alone."""
    found = long_to_short_base(evidence)
    if found is None:
        return unknown(Message("check.proportionality.none", units=evidence.units))
    return _must_be_zero(found, "proportionality", evidence)


@check("control", whole_run=True)
def control(evidence: Evidence) -> Finding:
    """Compare the base cases before the Job of their round with those after it."""
    found = base_after_to_before(evidence)
    if found is None:
        return unknown(Message("check.control.one_side"))
    return _must_be_zero(found, "control", evidence)


@check("drift", whole_run=True)
def drift(evidence: Evidence) -> Finding:
    """Fit a line through the rounds' speedups."""
    logs = [math.log(pair.ratio) for pair in compute_pairs(evidence)]
    if len(logs) < _LEAST_ROUNDS_FOR_DRIFT:
        return unknown(Message("check.drift.few", count=len(logs), least=_LEAST_ROUNDS_FOR_DRIFT))
    return _must_be_zero(slope(logs), "drift", evidence, _DRIFT_FALSE_ALARM)


@check("autocorrelation", whole_run=True)
def autocorrelation(evidence: Evidence) -> Finding:
    """Correlate each Pi's trials, without their cell's mean, with the next one on that Pi; all Pis together.

    Of independent trials it is a little below 0, since what is left of a cell's mean adds up to 0: two of k
    such values have a covariance of -1/k. Source: Anderson 1942, Annals of Mathematical Statistics 13, 1-13
    (serial correlation of residuals); the normal quantile is on the safe side (docs/simulations.md).
    """
    product = squares = expected = 0.0
    pairs, freedom = 0, 0
    for sequence in _sequences(evidence):
        sizes = Counter(cell for cell, _ in sequence)
        means = {cell: statistics.fmean(value for of, value in sequence if of == cell) for cell in sizes}
        rest = [(cell, value - means[cell]) for cell, value in sequence if sizes[cell] >= _LEAST_OF_A_CELL]
        freedom += sum(size - 1 for size in sizes.values() if size >= _LEAST_OF_A_CELL)
        squares += math.fsum(value**2 for _, value in rest)
        pairs += max(0, len(rest) - 1)
        for (cell, value), (other, following) in pairwise(rest):
            product += value * following
            expected -= 1 / sizes[cell] if cell == other else 0.0
    if pairs < _LEAST_PAIRS or squares == 0:
        return unknown(Message("check.autocorrelation.few", count=pairs))
    correlation = product / squares
    alarm = statistics.NormalDist().inv_cdf(1 - FALSE_ALARM)
    if (correlation - expected / freedom) * math.sqrt(pairs) > alarm:
        found = Message("check.autocorrelation.follows", correlation=correlation)
        return flagged([found], Message("check.autocorrelation.possible"), "none")
    return passed(Message("check.autocorrelation.passed", correlation=correlation))


def _sequences(evidence: Evidence) -> list[list[tuple[str, float]]]:
    """Return each Pi's trials in the order of measuring: cell, and the logarithm of its seconds."""
    found: dict[str, list[tuple[str, float]]] = {}
    for measurement in sorted(evidence.measured, key=lambda each: each.trial.number):
        for work in measurement.works:
            found.setdefault(work.pi, []).append((measurement.cell.name, math.log(work.seconds)))
    return list(found.values())


@check("sessions", whole_run=True)
def sessions(evidence: Evidence) -> Finding:
    """Compare each further session of a run that was gone on with to the first, on both sides."""
    sides = {"alone": _by_session(evidence.alone), "together": _by_session(evidence.jobs)}
    count = len(sides["together"])
    if count == 1:
        return passed(Message("check.sessions.one"))
    pairs = [
        (side, session, pooled_difference(logs[min(logs)], values))
        for side, logs in sides.items()
        for session, values in logs.items()
        if session != min(logs) and min(len(values), len(logs[min(logs)])) >= _LEAST_ROUNDS_OF_A_SESSION
    ]
    if not pairs:
        return unknown(Message("check.sessions.few", count=count))
    # So many chances of a false alarm.
    chance = FALSE_ALARM / len(pairs)
    seen = math.expm1(max(found.detectable(chance) for _, _, found in pairs))
    changed = [
        Message(
            f"check.sessions.{_sign(found.value)}",
            what=Message(f"check.sessions.{side}"),
            change=abs(math.expm1(found.value)),
            session=session,
        )
        for side, session, found in pairs
        if found.p_value < chance and abs(found.value) > _LEAST_CHANGE
    ]
    if changed:
        return flagged(changed, Message("check.sessions.possible"), "doubtful", could_have_seen=seen)
    most = math.expm1(max(abs(found.value) for _, _, found in pairs))
    return passed(Message("check.sessions.passed", count=count, most=most), seen)


def _by_session(measurements: Sequence[Measurement]) -> dict[int, list[float]]:
    logs: dict[int, list[float]] = {}
    for each in measurements:
        logs.setdefault(each.trial.session, []).append(math.log(each.seconds))
    return logs


def _must_be_zero(
    found: Difference | float, code: str, evidence: Evidence, chance: float = FALSE_ALARM
) -> Finding:
    change = math.expm1(found if isinstance(found, float) else found.value)
    sign = _sign(change)
    figures = Message(f"check.{code}.{sign}", change=abs(change), units=evidence.units)
    if isinstance(found, float):
        return unknown(Message("check.too_few", figures=figures))
    beyond_least = _LEAST_CHANGE + t_quantile(POWER, found.freedom) * found.error
    seen = math.expm1(max(beyond_least, found.detectable(chance)))
    if found.p_value < chance and abs(found.value) > _LEAST_CHANGE:
        # What makes it rise is no cause of its falling.
        possible = Message(f"check.{code}.possible_{sign}")
        return flagged([figures], possible, "doubtful", could_have_seen=seen)
    return passed(figures, seen)


def _sign(change: float) -> str:
    return "more" if change > 0 else "less"


def _pi(evidence: Evidence, pi: str) -> str:
    node = evidence.node(pi)
    return Message("where.server", pi=pi) if node is not None and node.server else pi
