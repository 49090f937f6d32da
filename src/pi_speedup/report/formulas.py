"""The formulas: numbers in, numbers out. Each stands beside its source and its assumption."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pi_speedup.report.statistics import expected_maximum

# Of the normal distribution: standard deviation over median absolute deviation.
SD_PER_MAD = 1.4826


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


def seconds_for_all(one_pi_seconds: float, times_the_work: float) -> float:
    """Return the time that one Pi needs for the work of all: N T1(n) where each of N Pis does as much.

    Over T_N it is the scaled speedup then. Where all share the work that one Pi did, `times_the_work` is 1,
    and over T_N it is the speedup of Amdahl 1967.

    Source: Gustafson 1988, CACM 31(5), 532-533: the work grows with the processors, and the speedup is the
    time that one of them would need for all of it over the time that all needed.
    Assumption: one Pi's time grows in proportion to the work, N T1(n) = T1(N n). It is checked with
    T1(N n) of the rounds that measured it; true of a loop without memory of its own, not of a whole command
    that starts a container.
    """
    return times_the_work * _positive(one_pi_seconds)


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


def karp_flatt_floor(noise: float, pis: int) -> float:
    """Return the Karp-Flatt figure of perfect Pis whose pods' times vary by `noise` (relative).

    The last of N pods counts, so T_N = T1 (1 + noise * expected maximum), and e = noise * expected maximum
    / (N - 1). Assumption: independent and nearly normal noise, without outliers.
    """
    return noise * expected_maximum(pis) / (pis - 1)


def serial_share(times: Sequence[tuple[int, float]]) -> float:
    """Return Amdahl's serial share from (k Pis, T_k / T1) of one round, each Pi with the same work.

    S_k = 1 / (s + (1 - s) / k) with S_k = k T1 / T_k is T_k / T1 = 1 + s (k - 1): least squares through
    (1, 1). Source: Amdahl 1967. Assumption: what is lost grows in proportion to k - 1.
    """
    squares = sum((k - 1) ** 2 for k, _ in times)
    return math.fsum((k - 1) * (ratio - 1) for k, ratio in times) / squares


def _positive(value: float) -> float:
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"{value} is not a measurement: it must be finite and above zero")
    return value
