"""The formulas: numbers in, numbers out. Each stands beside its source and its assumption."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LossFactors:
    """What an efficiency multiplies out to; each is 1 where nothing was lost."""

    alone_against_together: float
    balance: float
    starting_together: float

    @property
    def efficiency(self) -> float:
        """Their product."""
        return self.alone_against_together * self.balance * self.starting_together


@dataclass(frozen=True, slots=True)
class MergedPi:
    """Pi from counts; error and z-score are None where they would not mean anything."""

    inside: int
    samples: int
    estimate: float
    standard_error: float | None
    z_score: float | None


def seconds_for_all(one_pi_seconds: float, pis: int) -> float:
    """Return N T1(n): the time that one Pi needs for the samples of all. Over T_N it is the scaled speedup.

    Source: Gustafson 1988, CACM 31(5), 532-533: the work grows with the processors, and the speedup is the
    time that one of them would need for all of it over the time that all needed.
    Assumption: one Pi's time grows in proportion to the samples, N T1(n) = T1(N n). It is checked with
    T1(N n) of the rounds that measured it; true of a loop without memory of its own, not of a whole command
    that starts a container.
    """
    return pis * _positive(one_pi_seconds)


def speedup(one_pi_seconds: float, all_pis_seconds: float) -> float:
    """Return S = T1 / T_N of the same work on both sides.

    Source: Amdahl 1967, AFIPS Spring Joint Computer Conference 30, 483-485 (fixed work).
    Assumption: T1 is the same program on the same kind of Pi.
    """
    return _positive(one_pi_seconds) / _positive(all_pis_seconds)


def efficiency(a_speedup: float, pis: int) -> float:
    """Return E = S / N. Source: Karp and Flatt 1990, CACM 33(5), 539-543. Assumption: equal Pis."""
    return a_speedup / pis


def karp_flatt(a_speedup: float, pis: int) -> float:
    """Return the experimental serial fraction e = (1/S - 1/N) / (1 - 1/N); ValueError for one Pi.

    Source: Karp and Flatt 1990, CACM 33(5), 539-543. It falls as S grows, so the ends of an interval of S
    give those of e the other way round. Below 0 where S is above N, which noise does.
    """
    if pis < 2:
        raise ValueError("one Pi has no serial fraction")
    return (1 / _positive(a_speedup) - 1 / pis) / (1 - 1 / pis)


def loss_factors(one_pi_seconds: float, pod_seconds: Sequence[float], makespan_seconds: float) -> LossFactors:
    """Return E = T1(n) / M as [T1 / mean d] [mean d / longest d] [longest d / M], d the pods' durations.

    An identity, without an assumption. Load balance as mean over longest: DeRose, Homer and Johnson 2007,
    Euro-Par, LNCS 4641, 150-159.
    """
    mean, longest = statistics.fmean(pod_seconds), max(pod_seconds)
    return LossFactors(
        alone_against_together=_positive(one_pi_seconds) / _positive(mean),
        balance=mean / longest,
        starting_together=longest / _positive(makespan_seconds),
    )


def geometric_mean(values: Sequence[float]) -> float:
    """Return exp(mean ln x), the mean that ratios have.

    Source: Fleming and Wallace 1986, CACM 29(3), 218-221. Assumption: all values above zero.
    """
    return math.exp(statistics.fmean(math.log(_positive(value)) for value in values))


def log_sd(values: Sequence[float]) -> float | None:
    """Return the standard deviation of ln x, the relative noise; None for one value, which has none."""
    return statistics.stdev([math.log(_positive(value)) for value in values]) if len(values) > 1 else None


def pod_noise(seconds: Sequence[Sequence[float]]) -> tuple[float, int] | None:
    """Return the relative standard deviation of one pod's time from one round to the next, and its freedom.

    `seconds[round][pi]`. Each Pi's own speed and what all Pis share in a round are taken out: a two-way
    analysis of variance on logarithms without interaction, s^2 = sum r^2 / ((R - 1)(N - 1)). None for one
    round or one Pi. Source: Montgomery, Design and Analysis of Experiments, 8th ed., section 4.1.
    Assumption: Pis are disturbed independently of each other, and equally.
    """
    rounds, pis = len(seconds), len(seconds[0]) if seconds else 0
    if rounds < 2 or pis < 2:
        return None
    logs = [[math.log(_positive(value)) for value in row] for row in seconds]
    of_round = [statistics.fmean(row) for row in logs]
    of_pi = [statistics.fmean(column) for column in zip(*logs, strict=True)]
    middle = statistics.fmean(of_round)
    squares = math.fsum(
        (logs[r][p] - of_round[r] - of_pi[p] + middle) ** 2 for r in range(rounds) for p in range(pis)
    )
    freedom = (rounds - 1) * (pis - 1)
    return math.sqrt(squares / freedom), freedom


@functools.cache
def expected_maximum(count: int) -> float:
    """Return the mean of the largest of `count` standard normal numbers (0 for one).

    The integral of x n phi(x) Phi(x)^(n-1) over x. Source: David and Nagaraja, Order Statistics, 3rd ed.,
    section 3.1. By Simpson's rule over [-9, 9], right to 1e-9.
    """
    if count < 2:
        return 0.0
    normal, steps, low, high = statistics.NormalDist(), 2000, -9.0, 9.0
    width = (high - low) / steps

    def value(x: float) -> float:
        return x * count * normal.pdf(x) * normal.cdf(x) ** (count - 1)

    inner = math.fsum((4 if i % 2 else 2) * value(low + i * width) for i in range(1, steps))
    return (value(low) + value(high) + inner) * width / 3


@functools.cache
def lag_quantile(count: int, probability: float) -> float:
    """Return how far one of `count` standard normal numbers, chosen at random, is below the largest, at most.

    The g with integral of phi(x) Phi(x + g)^(n-1) over x = `probability`; 0 for one number. Source: Dunnett
    1955, Journal of the American Statistical Association 50, 1096-1121 (one against several equal ones), with
    a known standard deviation. By Simpson's rule and bisection, right to 1e-6.
    """
    if count < 2:
        return 0.0
    normal, steps, low, high = statistics.NormalDist(), 400, -8.0, 8.0
    width = (high - low) / steps
    points = [low + i * width for i in range(steps + 1)]
    weights = [(1 if i in (0, steps) else 4 if i % 2 else 2) * width / 3 for i in range(steps + 1)]

    def covered(gap: float) -> float:
        return math.fsum(
            weight * normal.pdf(x) * normal.cdf(x + gap) ** (count - 1)
            for x, weight in zip(points, weights, strict=True)
        )

    least, most = 0.0, 16.0
    while most - least > 1e-6:
        middle = (least + most) / 2
        least, most = (middle, most) if covered(middle) < probability else (least, middle)
    return most


def karp_flatt_floor(noise: float, pis: int) -> float:
    """Return the Karp-Flatt figure of perfect Pis whose pods' times vary by `noise` (relative).

    The last of N pods counts, so T_N = T1 (1 + noise * expected maximum), and e = noise * expected maximum
    / (N - 1). Assumption: independent and nearly normal noise, without outliers.
    """
    return noise * expected_maximum(pis) / (pis - 1)


def serial_share(times: Sequence[tuple[int, float]]) -> float:
    """Return Amdahl's serial share from (k Pis, T_k / T1) of one round, each Pi with the same samples.

    S_k = 1 / (s + (1 - s) / k) with S_k = k T1 / T_k is T_k / T1 = 1 + s (k - 1): least squares through
    (1, 1). Source: Amdahl 1967. Assumption: what is lost grows in proportion to k - 1.
    """
    squares = sum((k - 1) ** 2 for k, _ in times)
    return math.fsum((k - 1) * (ratio - 1) for k, ratio in times) / squares


def merged_pi(inside: int, samples: int, independent: bool = True) -> MergedPi:
    """Return pi = 4 inside / samples with its standard error and z-score; ValueError for impossible counts.

    SE = 4 sqrt(p (1 - p) / n) with p = pi / 4, z = (estimate - pi) / SE: the score test of a proportion.
    Source: Agresti, Categorical Data Analysis, 3rd ed., section 1.4.1. Assumption: independent samples. Where
    they are not (`independent` False: a stream drawn twice) the error would be too small, so both are None.
    """
    if samples < 1 or not 0 <= inside <= samples:
        raise ValueError(f"{inside} of {samples} samples inside is impossible")
    estimate = 4 * (inside / samples)
    if not independent:
        return MergedPi(inside, samples, estimate, standard_error=None, z_score=None)
    chance = math.pi / 4
    error = 4 * math.sqrt(chance * (1 - chance) / samples)
    return MergedPi(inside, samples, estimate, error, (estimate - math.pi) / error)


def count_is_impossible(inside: int, samples: int, chance_of_alarm: float) -> bool:
    """Say whether a count is so far from pi / 4, above or below, that honest draws rarely give it.

    P(count at least this far to one side) <= exp(-n D), D the Kullback-Leibler divergence from the share
    found to pi / 4. Source: Chernoff 1952, Annals of Mathematical Statistics 23, 493-507. A bound for every
    n, the small ones too, so that honest counts raise it less often than said, never more.
    """
    share, chance = inside / samples, math.pi / 4
    divergence = 0.0
    if share > 0:
        divergence += share * math.log(share / chance)
    if share < 1:
        divergence += (1 - share) * math.log((1 - share) / (1 - chance))
    return samples * divergence > math.log(2 / chance_of_alarm)


def _positive(value: float) -> float:
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"{value} is not a measurement: it must be finite and above zero")
    return value
