"""The formulas: scaling, throughput, spread and the merged estimate of pi. Numbers in, frozen numbers out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scaling:
    """Speedup (a factor) and efficiency (1.0 = every Pi fully used)."""

    speedup: float
    efficiency: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Summary of some numbers of one unit; `stddev` is None for a single one, which has no spread."""

    count: int
    mean: float
    stddev: float | None
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class PiEstimate:
    """Pi from counts; error and z-score are None where they would not mean anything."""

    inside: int
    samples: int
    estimate: float
    standard_error: float | None
    z_score: float | None


def strong_scaling(one_pi_seconds: float, all_pis_seconds: float, pis: int) -> Scaling:
    """Same total work on one Pi and on `pis` of them; ValueError unless all are above zero.

    S = T1 / Tp, E = S / p. Source: Amdahl 1967, AFIPS Spring Joint Computer Conference 30, 483-485 (fixed
    work); E as in Karp and Flatt 1990, CACM 33(5), 539-543.
    Assumption: T1 is the same program on the same kind of Pi, computing alone.
    """
    _require_positive(one_pi_seconds, all_pis_seconds, pis)
    speedup = one_pi_seconds / all_pis_seconds
    return Scaling(speedup=speedup, efficiency=speedup / pis)


def weak_scaling(one_pi_seconds: float, all_pis_seconds: float, pis: int) -> Scaling:
    """One Pi's work on one Pi, and `pis` times that work on all; ValueError unless all are above zero.

    E = T1(n) / Tp(p * n), scaled speedup = p * E. Source: Gustafson 1988, CACM 31(5), 532-533 (work grows
    with p).
    Assumption: time grows in proportion to the samples, true of a loop without memory of its own.
    """
    _require_positive(one_pi_seconds, all_pis_seconds, pis)
    efficiency = one_pi_seconds / all_pis_seconds
    return Scaling(speedup=pis * efficiency, efficiency=efficiency)


def throughput(samples: int, seconds: float) -> float:
    """Return samples per second; ValueError unless both are above zero."""
    _require_positive(samples, seconds)
    return samples / seconds


def makespan_seconds(starts_epoch_ns: Sequence[int], ends_epoch_ns: Sequence[int]) -> float:
    """Return last finish minus first start, in seconds, of runs given in epoch nanoseconds.

    C_max. Source: Graham et al. 1979, Annals of Discrete Mathematics 5, 287-326.
    Assumption: the Pis' clocks agree (NTP); the report checks what can be checked of it.
    """
    if not starts_epoch_ns or len(starts_epoch_ns) != len(ends_epoch_ns):
        raise ValueError("a makespan needs a start and an end of at least one run")
    # Subtracted as integers: epoch nanoseconds don't fit a float's 53 bits.
    nanoseconds = max(ends_epoch_ns) - min(starts_epoch_ns)
    _require_positive(nanoseconds)
    return nanoseconds / 1e9


def spread(values: Sequence[float]) -> Spread:
    """Return count, mean, sample standard deviation (None for one value), minimum and maximum.

    s = sqrt(sum((x - mean)^2) / (n - 1)). Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.6.
    Assumption: none on the distribution; it describes these values only.
    """
    if not values:
        raise ValueError("a spread needs at least one value")
    return Spread(
        count=len(values),
        mean=statistics.fmean(values),
        stddev=statistics.stdev(values) if len(values) > 1 else None,
        minimum=min(values),
        maximum=max(values),
    )


def estimate_pi(inside: int, samples: int, independent: bool = True) -> PiEstimate:
    """Return pi = 4 * inside / samples with its standard error and z-score; ValueError for impossible counts.

    SE = 4 * sqrt(p0 * (1 - p0) / n) with p0 = pi / 4, z = (estimate - pi) / SE: the score test of a binomial
    proportion. Source: Agresti, Categorical Data Analysis, 3rd ed., section 1.4.1.
    Assumption: independent Bernoulli samples. Where they are not (`independent` False: a stream drawn twice),
    the error would be understated, so it and z are None.
    """
    _require_positive(samples)
    if not 0 <= inside <= samples:
        raise ValueError(f"{inside} of {samples} samples inside is impossible")
    estimate = 4 * (inside / samples)
    if not independent:
        return PiEstimate(inside, samples, estimate, standard_error=None, z_score=None)
    chance = math.pi / 4
    standard_error = 4 * math.sqrt(chance * (1 - chance) / samples)
    return PiEstimate(
        inside=inside,
        samples=samples,
        estimate=estimate,
        standard_error=standard_error,
        z_score=(estimate - math.pi) / standard_error,
    )


def _require_positive(*values: float) -> None:
    for value in values:
        if not math.isfinite(value) or value <= 0:
            raise ValueError(f"{value} is no measurement: it must be finite and above zero")
