"""Simulated runs, through the real code from trials to intervals and flags; all seeds are fixed."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pi_speedup.report.checks import run_checks
from pi_speedup.report.estimates import comparisons
from pi_speedup.report.evidence import Contents, Evidence
from pi_speedup.report.formulas import expected_maximum
from tests.unit.report import factory

RUNS = 400

WORLDS: dict[str, dict[str, Any]] = {
    "noise of 2 %": {"noise": 0.02},
    "noise of 15 %": {"noise": 0.15},
    "a round shares its speed": {"noise": 0.01, "shared": 0.05},
    "slower by 10 % at the end": {"noise": 0.01, "drift": 0.1},
}


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_the_interval_covers_its_estimand(world: dict[str, Any]) -> None:
    """The estimand is the ratio of geometric means; ln T_N is larger by the expected maximum of N pods."""
    plan = factory.plan(rounds=5, long_rounds=0)
    truth = 3 * math.exp(-world["noise"] * expected_maximum(3))
    covered = 0
    for seed in range(RUNS):
        trials = factory.trials(plan, jitter=0.0, seed=seed, **world)
        (first, *_) = comparisons(Evidence(Contents(plan, trials)))
        assert first.speedup is not None and first.speedup.interval is not None
        covered += first.speedup.interval.low <= truth <= first.speedup.interval.high
    # 95 % and four standard errors of 400 runs.
    assert 0.906 * RUNS <= covered <= 0.994 * RUNS


CLEAN: dict[str, tuple[int, dict[str, Any], int]] = {
    "three Pis, 1 %": (3, {"noise": 0.01}, 200),
    "three Pis, 4 %": (3, {"noise": 0.04}, 200),
    "one Pi, 2 %": (1, {"noise": 0.02}, 200),
    "eight Pis, 2 %": (8, {"noise": 0.02}, 100),
    "a hundred Pis, 2 %": (100, {"noise": 0.02}, 10),
}


@pytest.mark.parametrize(("pis", "world", "runs"), CLEAN.values(), ids=CLEAN)
def test_runs_of_nothing_but_noise_are_rarely_flagged(pis: int, world: dict[str, Any], runs: int) -> None:
    plan = factory.plan(pis)
    nodes, hosts = factory.all_nodes(plan), factory.hosts(plan)
    flagged = 0
    for seed in range(runs):
        evidence = Evidence(Contents(plan, factory.trials(plan, seed=seed, **world), nodes, hosts))
        flagged += any(check.status == "flag" for check in run_checks(evidence))
    # At most 5 in 100, and three standard errors.
    assert flagged <= 0.05 * runs + 3 * math.sqrt(0.05 * 0.95 * runs)
