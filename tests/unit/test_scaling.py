"""The formulas against figures worked out by hand."""

from __future__ import annotations

import math

import pytest

from pi_speedup.scaling import (
    Scaling,
    estimate_pi,
    makespan_seconds,
    spread,
    strong_scaling,
    throughput,
    weak_scaling,
)


@pytest.mark.parametrize(
    ("one", "together", "pis", "expected"),
    [
        (30.0, 10.0, 3, Scaling(3.0, 1.0)),
        (30.0, 12.0, 3, Scaling(2.5, 2.5 / 3)),
        (30.0, 60.0, 3, Scaling(0.5, 0.5 / 3)),
        (7.0, 7.0, 1, Scaling(1.0, 1.0)),
    ],
    ids=["perfect", "some lost", "a slowdown", "one Pi"],
)
def test_strong_scaling(one: float, together: float, pis: int, expected: Scaling) -> None:
    assert strong_scaling(one, together, pis) == expected


@pytest.mark.parametrize(
    ("one", "together", "pis", "expected"),
    [
        (10.0, 10.0, 3, Scaling(3.0, 1.0)),
        (10.0, 12.5, 3, Scaling(3 * 0.8, 0.8)),
        (5.0, 5.0, 1, Scaling(1.0, 1.0)),
    ],
    ids=["perfect", "some lost", "one Pi"],
)
def test_weak_scaling(one: float, together: float, pis: int, expected: Scaling) -> None:
    assert weak_scaling(one, together, pis) == expected


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf], ids=["zero", "negative", "NaN", "infinite"])
def test_times_that_are_none_are_refused(bad: float) -> None:
    for formula in (strong_scaling, weak_scaling):
        with pytest.raises(ValueError, match="no measurement"):
            formula(bad, 1.0, 3)
        with pytest.raises(ValueError, match="no measurement"):
            formula(1.0, bad, 3)
    with pytest.raises(ValueError, match="no measurement"):
        throughput(10, bad)


def test_makespan_keeps_nanoseconds_of_an_epoch() -> None:
    start = 1_795_504_530_000_000_001
    assert makespan_seconds([start, start + 5], [start + 7, start + 1_000_000_000]) == 1.0


def test_makespan_of_clocks_that_run_backwards_is_refused() -> None:
    with pytest.raises(ValueError, match="no measurement"):
        makespan_seconds([10], [10])


@pytest.mark.parametrize(
    ("values", "stddev"),
    [([4.0], None), ([4.0, 4.0], 0.0), ([2.0, 4.0, 6.0], 2.0)],
    ids=["one value has none", "equal values", "three values"],
)
def test_spread(values: list[float], stddev: float | None) -> None:
    assert spread(values).stddev == stddev


def test_spread_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        spread([])


def test_pi_from_counts() -> None:
    pi = estimate_pi(7_854_000, 10_000_000)
    assert pi.estimate == pytest.approx(3.1416)
    # 4 * sqrt(0.785398 * 0.214602 / 1e7)
    assert pi.standard_error == pytest.approx(0.00051930, rel=1e-4)
    assert pi.z_score == pytest.approx((3.1416 - math.pi) / 0.00051930, rel=1e-3)


@pytest.mark.parametrize("inside", [0, 1], ids=["none inside", "all inside"])
def test_a_single_sample_has_a_finite_error(inside: int) -> None:
    pi = estimate_pi(inside, 1)
    assert pi.standard_error is not None and math.isfinite(pi.standard_error)


def test_dependent_samples_have_no_error() -> None:
    pi = estimate_pi(785, 1000, independent=False)
    assert (pi.standard_error, pi.z_score) == (None, None)


@pytest.mark.parametrize(
    ("inside", "samples"), [(11, 10), (-1, 10), (0, 0)], ids=["too many", "negative", "no samples"]
)
def test_impossible_counts_are_refused(inside: int, samples: int) -> None:
    with pytest.raises(ValueError):
        estimate_pi(inside, samples)
