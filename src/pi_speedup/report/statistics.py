"""Intervals and tests, by scipy, which is imported here only, and when it is needed: it takes a second."""

from __future__ import annotations

import functools
import math
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

# How rarely a check that looks for more than noise flags a run that has nothing but noise.
FALSE_ALARM = 0.005
# A check "could have seen" what it would flag in 19 of 20 runs. Aimed a little higher: the noise that it is
# weighed against is itself estimated (docs/simulations.md shows what comes of it).
POWER = 0.97


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of logarithms, its standard error and degrees of freedom, and its two-sided p-value."""

    value: float
    error: float
    freedom: float
    p_value: float

    def bounds(self, level: float) -> tuple[float, float]:
        """Return the interval that covers the true difference at `level`."""
        width = t_quantile((1 + level) / 2, self.freedom) * self.error
        return self.value - width, self.value + width

    def detectable(self, chance_of_alarm: float) -> float:
        """Return the difference that a two-sided test would have seen in 19 of 20 runs.

        (t_{1 - a/2} + t_{power}) SE. Source: Cohen, Statistical Power Analysis, 2nd ed.
        """
        alarm = t_quantile(1 - chance_of_alarm / 2, self.freedom)
        return (alarm + t_quantile(POWER, self.freedom)) * self.error


def paired_ratio(above: Sequence[float], below: Sequence[float], level: float) -> tuple[float, float]:
    """Return the interval of the ratio of the geometric means of two sides that were measured in rounds.

    The paired t interval of the mean of ln a - ln b, mapped by exp. Estimand: the ratio of geometric means of
    the times as they come, the last pod included. Source: Student 1908, Biometrika 6, 1-25; on logarithms as
    Fleming and Wallace 1986. Assumption: the rounds' differences are independent and nearly normal.
    ValueError for fewer than two rounds.
    """
    from scipy import stats

    if len(above) < 2:
        raise ValueError("an interval needs at least two rounds")
    with warnings.catch_warnings():
        # Rounds that are equal to the last digit have an interval of no width.
        warnings.simplefilter("ignore", RuntimeWarning)
        found = stats.ttest_rel(
            [math.log(value) for value in above], [math.log(value) for value in below]
        ).confidence_interval(level)
    return math.exp(float(found.low)), math.exp(float(found.high))


def t_quantile(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t distribution."""
    from scipy import stats

    return float(stats.t.ppf(probability, freedom))


def mean_difference(differences: Sequence[float]) -> Difference:
    """Return the mean of paired differences against 0 (Student 1908); ValueError for fewer than two."""
    freedom = len(differences) - 1
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return _difference(statistics.fmean(differences), error, freedom)


def pooled_difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Return mean(second) - mean(first) with their pooled variance (Student 1908); three values at least.

    Assumption: both vary equally, as two base cases on one Pi do.
    """
    freedom = len(first) + len(second) - 2
    squares = math.fsum(
        (value - statistics.fmean(group)) ** 2 for group in (first, second) for value in group
    )
    error = math.sqrt(squares / freedom * (1 / len(first) + 1 / len(second)))
    return _difference(statistics.fmean(second) - statistics.fmean(first), error, freedom)


def welch_difference(
    first: Sequence[float], second: Sequence[float], *, others: Sequence[tuple[float, int]] = ()
) -> Difference:
    """Return mean(second) - mean(first) of sides that may vary differently; two values each at least.

    others: what else both vary by, of each its variance and degrees of freedom.
    Source: Welch 1947, Biometrika 34, 28-35. Assumption: independent and nearly normal values.
    """
    parts = [(statistics.variance(group) / len(group), len(group) - 1) for group in (first, second)]
    return unlike_difference(statistics.fmean(second) - statistics.fmean(first), [*parts, *others])


def unlike_difference(value: float, parts: Sequence[tuple[float, int]]) -> Difference:
    """Return a difference whose variance is a sum: of each part its variance and degrees of freedom.

    Source: Satterthwaite 1946, Biometrics Bulletin 2, 110-114. Assumption: the parts are independent.
    """
    error = math.sqrt(math.fsum(variance for variance, _ in parts))
    freedom = float(sum(freedom for _, freedom in parts))
    if error > 0:
        freedom = error**4 / math.fsum(variance**2 / freedom for variance, freedom in parts)
    return _difference(value, error, freedom)


def slope(values: Sequence[float]) -> Difference:
    """Return the change from first to last of some values, by least squares; ValueError for fewer than three.

    Source: Draper and Smith, Applied Regression Analysis, 3rd ed. Assumption: independent,
    equally large disturbances.
    """
    if len(values) < 3:
        raise ValueError("a slope needs at least three rounds")
    steps = len(values) - 1
    places = [number - steps / 2 for number in range(len(values))]
    squares = math.fsum(place**2 for place in places)
    middle = statistics.fmean(values)
    gradient = math.fsum(place * value for place, value in zip(places, values, strict=True)) / squares
    rest = math.fsum(
        (value - middle - gradient * place) ** 2 for place, value in zip(places, values, strict=True)
    )
    error = math.sqrt(rest / (len(values) - 2) / squares)
    return _difference(gradient * steps, error * steps, len(values) - 2)


@functools.cache
def range_quantile(count: int, freedom: float, chance_of_alarm: float) -> float:
    """Return how many standard deviations lie, this rarely, between least and largest of `count` means.

    The studentized range. Source: Tukey 1949, Biometrics 5, 99-114. Assumption: equal, nearly normal noise.
    """
    from scipy import stats

    return float(stats.studentized_range.ppf(1 - chance_of_alarm, count, freedom))


@functools.cache
def expected_maximum(count: int) -> float:
    """Return the mean of the largest of `count` standard normal numbers (0 for one).

    The integral of x n phi(x) Phi(x)^(n-1) over x. Source: David and Nagaraja, Order Statistics, 3rd ed.,
    section 3.1.
    """
    from scipy import integrate

    normal = statistics.NormalDist()

    def value(x: float) -> float:
        return x * count * normal.pdf(x) * normal.cdf(x) ** (count - 1)

    return float(integrate.quad(value, -9, 9)[0]) if count > 1 else 0.0


@functools.cache
def lag_quantile(count: int, probability: float) -> float:
    """Return how far one of `count` standard normal numbers, chosen at random, is below the largest, at most.

    The g with integral of phi(x) Phi(x + g)^(n-1) over x = `probability`; 0 where it is the largest as often.
    Source: Dunnett 1955, Journal of the American Statistical Association 50, 1096-1121 (one against several
    equal ones), with a known standard deviation.
    """
    from scipy import integrate, optimize

    normal = statistics.NormalDist()

    def beyond(gap: float) -> float:
        def value(x: float) -> float:
            return normal.pdf(x) * normal.cdf(x + gap) ** (count - 1)

        return float(integrate.quad(value, -9, 9)[0]) - probability

    return float(optimize.brentq(beyond, 0.0, 16.0)) if probability * count > 1 else 0.0


def _difference(value: float, error: float, freedom: float) -> Difference:
    from scipy import stats

    if error == 0:
        return Difference(value, error, freedom, 1.0 if value == 0 else 0.0)
    p_value = 2 * float(stats.t.sf(abs(value) / error, freedom))
    return Difference(value, error, freedom, p_value)
