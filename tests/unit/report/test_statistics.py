"""Intervals and tests against figures from textbooks and tables."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from pi_speedup.report.statistics import (
    mean_difference,
    paired_ratio,
    pooled_difference,
    range_quantile,
    slope,
    t_quantile,
)

SRC = Path(__file__).resolve().parents[3] / "src"


def test_the_paired_interval_by_hand() -> None:
    ratios = [2.90, 2.95, 3.00, 2.98, 2.92]
    logs = [math.log(ratio) for ratio in ratios]
    mean = sum(logs) / 5
    deviation = math.sqrt(sum((log - mean) ** 2 for log in logs) / 4)
    # t of 4 degrees of freedom at 97.5 %, from the table.
    width = 2.776445 * deviation / math.sqrt(5)
    low, high = paired_ratio([10 * ratio for ratio in ratios], [10.0] * 5, 0.95)
    assert (low, high) == pytest.approx((math.exp(mean - width), math.exp(mean + width)), rel=1e-6)


def test_what_all_rounds_share_cancels() -> None:
    shared = [1.0, 1.3, 0.8, 1.1, 1.0]
    steady = paired_ratio([30.0, 30.3, 29.8, 30.1, 30.0], [10.0] * 5, 0.95)
    shaken = paired_ratio(
        [each * by for each, by in zip([30.0, 30.3, 29.8, 30.1, 30.0], shared, strict=True)],
        [10 * by for by in shared],
        0.95,
    )
    assert shaken == pytest.approx(steady)


def test_equal_rounds_have_an_interval_of_no_width() -> None:
    assert paired_ratio([30.0] * 5, [10.0] * 5, 0.95) == pytest.approx((3.0, 3.0))


def test_one_round_has_no_interval() -> None:
    with pytest.raises(ValueError, match="two rounds"):
        paired_ratio([30.0], [10.0], 0.95)


@pytest.mark.parametrize(
    ("probability", "freedom", "expected"),
    [(0.975, 2, 4.303), (0.975, 4, 2.776), (0.975, 6, 2.447), (0.985, 4, 3.298)],
    ids=["three rounds", "five rounds", "seven rounds", "five rounds, stopped by width"],
)
def test_t_quantiles(probability: float, freedom: float, expected: float) -> None:
    assert t_quantile(probability, freedom) == pytest.approx(expected, abs=5e-4)


def test_differences_and_their_errors() -> None:
    paired = mean_difference([0.1, 0.2, 0.3])
    assert (paired.value, paired.error, paired.freedom) == pytest.approx((0.2, 0.1 / math.sqrt(3), 2))
    pooled = pooled_difference([1.0, 2.0, 3.0], [4.0, 6.0])
    assert (pooled.value, pooled.freedom) == (3.0, 3)
    assert pooled.error == pytest.approx(math.sqrt(4 / 3 * (1 / 3 + 1 / 2)))
    assert pooled.bounds(0.95) == pytest.approx(
        (3 - 3.182 * pooled.error, 3 + 3.182 * pooled.error), abs=1e-3
    )
    # 97 % of Student's t with 3 degrees of freedom lie below 2.951.
    assert pooled.detectable(0.05) == pytest.approx((3.182 + 2.951) * pooled.error, abs=1e-2)


def test_nothing_but_zeros_is_no_difference() -> None:
    assert mean_difference([0.0, 0.0, 0.0]).p_value == 1.0
    assert mean_difference([0.1, 0.1, 0.1]).p_value < 1e-9


def test_a_slope_is_the_change_from_first_to_last() -> None:
    assert slope([1.0, 2.1, 2.9, 4.0]).value == pytest.approx(2.94)
    with pytest.raises(ValueError, match="three"):
        slope([1.0, 2.0])


def test_the_studentized_range() -> None:
    # Table of q at 5 %: 3 groups, 10 degrees of freedom.
    assert range_quantile(3, 10, 0.05) == pytest.approx(3.877, abs=2e-3)


def test_scipy_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, pi_speedup.report.build; print('scipy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
