"""The formulas against figures worked out by hand."""

from __future__ import annotations

import math

import pytest

from pi_speedup.report.formulas import (
    efficiency,
    geometric_mean,
    karp_flatt,
    karp_flatt_floor,
    log_sd,
    loss_factors,
    pod_noise,
    seconds_for_all,
    serial_share,
    speedup,
)
from pi_speedup.report.statistics import expected_maximum, lag_quantile


@pytest.mark.parametrize(
    ("one", "together", "pis", "expected", "expected_efficiency"),
    [
        (10.0, 10.0, 3, 3.0, 1.0),
        (10.0, 12.0, 3, 2.5, 2.5 / 3),
        (10.0, 60.0, 3, 0.5, 0.5 / 3),
        (7.0, 7.0, 1, 1.0, 1.0),
    ],
    ids=["perfect", "some lost", "a slowdown", "one Pi"],
)
def test_scaled_speedup(
    one: float, together: float, pis: int, expected: float, expected_efficiency: float
) -> None:
    found = speedup(seconds_for_all(one, pis), together)
    assert (found, efficiency(found, pis)) == (expected, expected_efficiency)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf], ids=["zero", "negative", "NaN", "infinite"])
def test_times_that_are_none_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not a measurement"):
        speedup(bad, 1.0)
    with pytest.raises(ValueError, match="not a measurement"):
        speedup(1.0, bad)
    with pytest.raises(ValueError, match="not a measurement"):
        geometric_mean([1.0, bad])


@pytest.mark.parametrize(
    ("found", "pis", "expected"),
    [(3.0, 3, 0.0), (1.0, 3, 1.0), (2.0, 3, 0.25), (3.3, 3, -0.04545)],
    ids=["perfect", "all serial", "a quarter", "more than N is below zero"],
)
def test_karp_flatt(found: float, pis: int, expected: float) -> None:
    assert karp_flatt(found, pis) == pytest.approx(expected, abs=1e-5)


def test_karp_flatt_of_one_pi_means_nothing() -> None:
    with pytest.raises(ValueError, match="one Pi"):
        karp_flatt(1.0, 1)


def test_the_ledger_multiplies_out() -> None:
    found = loss_factors(9.8, [10.0, 10.5, 11.0], 11.7)
    assert found.alone_against_together == pytest.approx(9.8 / 10.5)
    assert found.balance == pytest.approx(10.5 / 11)
    assert found.starting_together == pytest.approx(11 / 11.7)
    assert abs(found.efficiency - 9.8 / 11.7) < 1e-12


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, 0.0), (2, 1 / math.sqrt(math.pi)), (3, 1.5 / math.sqrt(math.pi)), (100, 2.50759)],
    ids=["one", "two", "three", "a hundred"],
)
def test_the_largest_of_some_normal_numbers(count: int, expected: float) -> None:
    assert expected_maximum(count) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("pis", "floor"), [(2, 0.011), (3, 0.0085), (4, 0.007), (8, 0.004)])
def test_what_noise_alone_looks_like(pis: int, floor: float) -> None:
    assert karp_flatt_floor(0.02, pis) == pytest.approx(floor, rel=0.06)


@pytest.mark.parametrize(
    ("count", "dunnett"), [(1, 0.0), (2, 1.64), (3, 1.92), (4, 2.06), (8, 2.34), (10, 2.42)], ids=str
)
def test_how_far_one_lags_behind_the_largest(count: int, dunnett: float) -> None:
    """Dunnett's table for 5 %, one side, many degrees of freedom; there the difference's error is sqrt(2)."""
    assert lag_quantile(count, 0.95) == pytest.approx(dunnett * math.sqrt(2), abs=0.01)


def test_a_serial_share_is_found_again() -> None:
    times = [(k, 1 + 0.05 * (k - 1)) for k in (1, 2, 3, 4, 8)]
    assert serial_share(times) == pytest.approx(0.05)


def test_pod_noise_leaves_out_what_pis_and_rounds_share() -> None:
    pis, rounds = (1.0, 1.1, 1.3), (1.0, 1.2, 0.9, 1.0)
    assert pod_noise([[pi * shared for pi in pis] for shared in rounds]) == pytest.approx((0.0, 6), abs=1e-9)


@pytest.mark.parametrize("seconds", [[[1.0, 2.0]], [[1.0], [2.0]], []], ids=["one round", "one Pi", "none"])
def test_pod_noise_needs_rounds_and_pis(seconds: list[list[float]]) -> None:
    assert pod_noise(seconds) is None


def test_one_value_has_no_spread() -> None:
    assert log_sd([3.0]) is None
    assert log_sd([1.0, math.e]) == pytest.approx(math.sqrt(0.5))
