"""Is there more in the rounds than noise, or more noise than the figure bears?

Each weighs what it found against this run's own noise, so that it flags one in 200 runs of nothing but noise,
whatever their number of Pis; and it says from which size on it would have seen something.
"""

from __future__ import annotations

import math
import statistics

from pi_speedup.report.checks.refusal import no_interval_because
from pi_speedup.report.checks.registry import Finding, check, flagged, passed, unknown
from pi_speedup.report.evidence import Evidence
from pi_speedup.report.intervals import (
    base_after_to_before,
    compute_pairs,
    interval_half_width_percent,
    long_to_short_base,
    quantile_of,
    ratio_estimate,
)
from pi_speedup.report.statistics import (
    FALSE_ALARM,
    POWER,
    Difference,
    mean_difference,
    range_quantile,
    slope,
    t_quantile,
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
# A pod's time is so many standard deviations over its median in 1 of 200 clean runs at most. Found by
# simulation: the deviation is told by the median absolute deviation, which is coarse where times are few.
_DISTURBED, _DISTURBED_OF_FEW = 8.0, 12.0
_LEAST_DISTURBANCE = 0.05
_LEAST_ROUNDS_FOR_DISTURBANCE, _MANY_ROUNDS = 5, 7
# Of the normal distribution: standard deviation over median absolute deviation.
_SD_PER_MAD = 1.4826
_WIDEST_PERCENT = 10.0


@check("precision", "The speedup has an interval, and a narrow one", whole_run=True)
def precision(evidence: Evidence) -> Finding:
    """Look how wide the interval of the compute speedup is."""
    why = no_interval_because(evidence)
    if why is not None:
        return flagged([f"no interval: {why}"], "How far chance moved the figure is not known.", "doubtful")
    width = (
        interval_half_width_percent(ratio_estimate(compute_pairs(evidence), quantile_of(evidence.plan)))
        or 0.0
    )
    figures = f"{width:.2g}% to each side"
    if width > _WIDEST_PERCENT:
        return flagged(
            [figures],
            "More rounds, longer trials or quieter Pis make it narrower.",
            "doubtful",
        )
    return passed(figures)


@check("imbalance", "The Pis are equally fast", whole_run=True)
def imbalance(evidence: Evidence) -> Finding:
    """Compare the Pis' mean times with the range that as many equal Pis would show."""
    pis = evidence.pis
    if pis == 1:
        return passed("one Pi")
    logs: dict[str, list[float]] = {pi: [] for pi in evidence.plan.pis}
    for job in evidence.jobs:
        for work in job.works:
            logs.setdefault(work.pi, []).append(math.log(work.seconds))
    means = {pi: statistics.fmean(values) for pi, values in logs.items() if values}
    slowest, fastest = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    ratio = math.exp(means[slowest] - means[fastest]) - 1
    figures = f"{_pi(evidence, slowest)} took {ratio:.1%} longer than {_pi(evidence, fastest)}"
    noise = evidence.pod_noise
    if noise is None:
        if pis > _FEW_PIS:
            return unknown(f"{figures}; one round does not tell how much of it is noise")
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
            "The others waited for the slowest, and with another base Pi the speedup would be another.",
            "doubtful" if ratio > _DOUBTFUL_IMBALANCE else "none",
            could_have_seen=seen,
        )
    return passed(figures, seen)


@check("disturbed_pods", "No pod took much longer in one round than in the others", whole_run=True)
def disturbed_pods(evidence: Evidence) -> Finding:
    """Compare each pod's time with the median of its Pi's, in the light of how far all are from theirs.

    The interval covers less often than it says where pods are disturbed one by one (docs/simulations.md).
    Median absolute deviation: Hampel 1974, Journal of the American Statistical Association 69, 383-393.
    """
    rounds, pis = len(evidence.rounds), evidence.pis
    many = rounds >= _MANY_ROUNDS
    if rounds < _LEAST_ROUNDS_FOR_DISTURBANCE or (pis == 1 and not many):
        return unknown(f"{rounds} rounds do not tell what is usual")
    logs: dict[str, list[float]] = {}
    for job in evidence.jobs:
        for work in job.works:
            logs.setdefault(work.pi, []).append(math.log(work.seconds))
    usual = {pi: statistics.median(values) for pi, values in logs.items()}
    beyond = [
        (math.log(work.seconds) - usual[work.pi], job, work) for job in evidence.jobs for work in job.works
    ]
    deviation = _SD_PER_MAD * statistics.median(abs(each) for each, _, _ in beyond)
    times = _DISTURBED if many and pis > 1 else _DISTURBED_OF_FEW
    threshold = max(math.log1p(_LEAST_DISTURBANCE), times * deviation)
    # A pod that is disturbed may be a fast one without, and raises the median deviation itself.
    seen = math.expm1(1.25 * threshold + 3 * deviation)
    found = [
        (job.round, f"{job.who(work)} took {math.expm1(by):.0%} longer than usual")
        for by, job, work in beyond
        if by > threshold
    ]
    if found:
        return flagged(
            [text for _, text in found],
            "Possibly something else ran there. With many such pods the interval covers too little.",
            "doubtful",
            (number for number, _ in found),
            seen,
        )
    most = math.expm1(max(by for by, _, _ in beyond))
    return passed(f"a pod took at most {most:.1%} longer than usual on its Pi", seen)


@check("superlinear", "The speedup is not more than the Pis can give", whole_run=True)
def superlinear(evidence: Evidence) -> Finding:
    """Ask whether efficiency is certainly above 1."""
    pairs = compute_pairs(evidence)
    logs = [math.log(pair.ratio / evidence.pis) for pair in pairs]
    if len(logs) < _LEAST_ROUNDS_FOR_NOISE:
        return unknown(f"{len(logs)} rounds do not tell noise from more")
    found = mean_difference(logs)
    # Only one of two sides is looked at.
    chance = 2 * FALSE_ALARM
    # Clocks that are off shift the efficiency of all rounds alike.
    clocks = statistics.fmean(math.log(pair.most / pair.below) for pair in pairs)
    low = found.bounds(1 - chance)[0] - clocks
    figures = f"efficiency {math.exp(found.value):.1%}"
    seen = math.expm1(found.detectable(chance) + clocks)
    if low > 0:
        return flagged(
            [f"{figures}, at least {math.exp(low):.1%}"],
            "Possibly the base Pi was slowed when it worked alone, or is slower than the others.",
            "doubtful",
            could_have_seen=seen,
        )
    return passed(figures, seen)


@check("proportionality", "One Pi's time grows in proportion to the samples", whole_run=True)
def proportionality(evidence: Evidence) -> Finding:
    """Compare T1(N n) with N T1(n): one Pi, twice alone."""
    found = long_to_short_base(evidence)
    if found is None:
        return unknown("no round measured one Pi with the samples of all")
    return _must_be_zero(
        found,
        "one Pi needs {:+.1%} for the samples of all, measured against its time for a share",
        "Possibly its speed changed when it worked longer; the speedup rests on proportion.",
    )


@check("control", "Alone, one Pi is as fast after a Job as before it", whole_run=True)
def control(evidence: Evidence) -> Finding:
    """Compare the base cases before the Job of their round with those after it."""
    found = base_after_to_before(evidence)
    if found is None:
        return unknown("all base cases were on the same side of their Job")
    return _must_be_zero(
        found,
        "one Pi takes {:+.1%} after a Job, measured against before it",
        "Possibly a Job heats the Pi or leaves something running; the base case depends on its place.",
    )


@check("drift", "The speedup did not drift over the rounds", whole_run=True)
def drift(evidence: Evidence) -> Finding:
    """Fit a line through the rounds' speedups."""
    logs = [math.log(pair.ratio) for pair in compute_pairs(evidence)]
    if len(logs) < _LEAST_ROUNDS_FOR_DRIFT:
        return unknown(f"{len(logs)} rounds; a trend needs {_LEAST_ROUNDS_FOR_DRIFT}")
    return _must_be_zero(
        slope(logs),
        "from the first round to the last it changed by {:+.1%}",
        "Possibly one side grew slower than the other, as by heat; the interval takes rounds as equals.",
        _DRIFT_FALSE_ALARM,
    )


def _must_be_zero(
    found: Difference | float, words: str, possible: str, chance: float = FALSE_ALARM
) -> Finding:
    if isinstance(found, float):
        return unknown(f"{words.format(math.expm1(found))}; too few rounds to tell whether that is noise")
    figures = words.format(math.expm1(found.value))
    beyond_least = _LEAST_CHANGE + t_quantile(POWER, found.freedom) * found.error
    seen = math.expm1(max(beyond_least, found.detectable(chance)))
    if found.p_value < chance and abs(found.value) > _LEAST_CHANGE:
        return flagged([figures], possible, "doubtful", could_have_seen=seen)
    return passed(figures, seen)


def _pi(evidence: Evidence, pi: str) -> str:
    node = evidence.node(pi)
    return f"{pi} (the K3s server)" if node is not None and node.server else pi
