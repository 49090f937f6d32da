"""Simulated runs, through the real code from trials to intervals and flags; all seeds are fixed.

`make simulations` makes many more of each; docs/simulations.md has its tables.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pi_speedup.report.checks import run_checks
from pi_speedup.report.evidence import Contents, Evidence
from tests.unit.report import factory
from tests.unit.report.simulated import (
    CLEAN,
    SIZED,
    WORLDS,
    Quiet,
    adaptive_plan,
    coverage_plan,
    covers,
    covers_when_narrow_enough,
    files_say_the_same,
    sight,
    simulated,
    with_defect,
)

DOCS = (Path(__file__).parents[3] / "docs/simulations.md").read_text("utf-8")
RUNS = 250


def _deviation(share: float, runs: int) -> float:
    return math.sqrt(share * (1 - share) / runs)


@pytest.mark.parametrize("rounds", [5, 7])
@pytest.mark.parametrize("world", [name for name, world in WORLDS.items() if world.least is not None])
def test_the_interval_covers_the_truth(world: str, rounds: int) -> None:
    plan, promised = coverage_plan(rounds), WORLDS[world]
    covered = sum(covers(world, plan, seed) for seed in range(RUNS)) / RUNS
    error = 2 * _deviation(0.95, RUNS)
    assert (promised.least or 0) / 100 - error <= covered <= promised.most / 100 + error


def test_a_run_that_stops_when_it_is_narrow_covers_the_truth_too() -> None:
    plan, runs = adaptive_plan(), 60
    found = [covers_when_narrow_enough("normal, 2 %", plan, seed) for seed in range(runs)]
    assert sum(covered for covered, _ in found) / runs >= 0.94 - 2 * _deviation(0.95, runs)
    # Some stop early and some late, or it would not be adaptive.
    rounds = {each for _, each in found}
    assert min(rounds) >= 5 and len(rounds) > 3 and max(rounds) < plan.rounds


def test_a_trial_that_depends_on_the_one_before_is_noted() -> None:
    (world,) = (name for name, world in WORLDS.items() if world.remembers)
    runs, plan = 60, factory.plan(rounds=15)
    noted = [
        check.status == "flag"
        for seed in range(runs)
        for check in run_checks(Evidence(Contents(plan, simulated(world, plan, seed))))
        if check.code == "autocorrelation"
    ]
    assert len(noted) == runs and sum(noted) >= 50


@pytest.mark.parametrize("world", WORLDS)
def test_files_say_the_same(tmp_path: Path, world: str) -> None:
    assert files_say_the_same(tmp_path / "run", world, coverage_plan(5), seed=1)


@pytest.mark.parametrize("code", SIZED)
def test_a_check_sees_what_it_says_it_sees(code: str) -> None:
    runs = 60
    found = sight(code, Quiet(3, 0.02), runs)
    assert found.at_size >= (0.93 - _deviation(0.93, runs)) * runs and found.at_half < 0.6 * runs


def test_all_checks_that_say_what_they_see_are_shown_it() -> None:
    checks = run_checks(Evidence(with_defect("sessions", Quiet(3, 0.02), 1, 0.0)))
    assert {check.code for check in checks if check.could_have_seen_percent is not None} == set(SIZED)


@pytest.mark.parametrize("quiet", CLEAN, ids=lambda quiet: f"{quiet.pis} Pis, {quiet.noise:.0%}")
def test_runs_of_nothing_but_noise_are_rarely_flagged(quiet: Quiet) -> None:
    runs = 8 if quiet.pis == 100 else 100
    flagged = sum(bool(quiet.flags(seed)) for seed in range(runs))
    assert flagged <= 0.05 * runs + 2 * runs * _deviation(0.05, runs)


@pytest.mark.parametrize("row", [*WORLDS, *(f"`{code}`" for code in SIZED)])
def test_the_documentation_has_its_row(row: str) -> None:
    assert f"\n| {row} |" in DOCS
