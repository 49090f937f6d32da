"""What is planned: the cells, their order, and the seal."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from pi_speedup.model.base import load
from pi_speedup.model.plan import Plan
from pi_speedup.model.settings import Settings
from pi_speedup.plan.make import long_rounds, sweep_counts
from pi_speedup.plan.progress import expected_seconds
from pi_speedup.plan.words import plan_lines
from pi_speedup.problem import ProblemError
from tests.unit.plan.factory import PIS, plan


def test_the_default_measures_all_together_and_one_alone_with_two_sizes() -> None:
    made = plan(samples_per_process=100)
    assert {cell.name: (cell.kind, cell.pis, cell.amount) for cell in made.cells} == {
        "alone": ("base", ("pi-1",), 100),
        "alone-long": ("base", ("pi-1",), 300),
        "together-3": ("job", PIS, 300),
    }
    assert made.rounds == 7
    assert Counter(name for names in made.order[1:] for name in names) == {
        "alone": 7,
        "together-3": 7,
        "alone-long": 3,
    }
    assert sorted(made.order[0]) == ["alone", "together-3"]


def test_without_a_warm_up_the_first_trial_counts() -> None:
    assert {slot.round for slot in plan(warm_up=False, rounds=2).slots} == {1, 2}
    assert "no warm-up" in plan_lines(plan(warm_up=False))[0]


def test_each_second_round_is_the_one_before_it_reversed() -> None:
    order = plan(long_rounds=0, rounds=6, sweep=True, pis=tuple(f"pi-{n}" for n in range(1, 6))).order[1:]
    assert all(order[number + 1] == order[number][::-1] for number in (0, 2, 4))
    assert len({order[0], order[2], order[4]}) > 1, "a sweep is shuffled anew for each pair"


def test_the_order_follows_from_the_recorded_seed() -> None:
    orders = {seed: plan(order_seed=seed, sweep=True).order for seed in range(20)}
    assert len(set(orders.values())) > 1
    assert orders[7] == plan(order_seed=7, sweep=True).order
    assert plan(order_seed=7).order_seed == 7


@pytest.mark.parametrize(
    ("pis", "counts"),
    [
        (1, ()),
        (2, (1,)),
        (3, (1, 2)),
        (9, tuple(range(1, 9))),
        (40, (*range(1, 9), 16, 32)),
        (16, tuple(range(1, 9))),
    ],
    ids=str,
)
def test_a_sweep_measures_each_number_up_to_eight_then_powers_of_two(
    pis: int, counts: tuple[int, ...]
) -> None:
    assert sweep_counts(pis) == counts


@pytest.mark.parametrize(
    ("rounds", "wanted", "numbers"),
    [(7, 3, {1, 4, 7}), (7, 0, set()), (7, 1, {4}), (5, 9, {1, 2, 3, 4, 5}), (1, 3, {1}), (10, 2, {1, 10})],
    ids=str,
)
def test_the_long_base_case_is_spread_over_the_run(rounds: int, wanted: int, numbers: set[int]) -> None:
    assert long_rounds(Settings(rounds=rounds, long_rounds=wanted)) == numbers


def test_all_pis_under_a_lower_limit_are_measured_where_asked() -> None:
    made = plan(control_round=True)
    assert made.slow is not None and made.slow.name == "together-3-slow"
    assert (made.slow.pis, made.slow.amount, made.slow.cpu_share) == (PIS, made.together.amount, 0.8)
    assert made.slow.cpu_limit_cores(made.settings) == 0.8
    assert [number for number, names in enumerate(made.order) if "together-3-slow" in names] == [1, 4, 7]
    assert any("at 0.8 of the CPU limit, in round 1, 4, 7" in line for line in plan_lines(made))
    assert plan().slow is None


@pytest.mark.parametrize(
    ("pis", "names"),
    [
        (PIS, ["alone-on-pi-1", "alone-on-pi-2", "alone-on-pi-3"]),
        (("pi-1", "pi.home.lan"), ["alone-on-1", "alone-on-2"]),
        (("pi-1", "p" * 32), ["alone-on-1", "alone-on-2"]),
    ],
    ids=["by name", "a dot", "too long"],
)
def test_each_pi_is_measured_by_itself_where_asked(pis: tuple[str, ...], names: list[str]) -> None:
    made = plan(each_pi=True, pis=pis)
    assert [cell.name for cell in made.each_alone] == names
    assert [cell.pis for cell in made.each_alone] == [(pi,) for pi in pis]
    assert {cell.kind for cell in made.each_alone} == {"job"}
    assert [number for number, order in enumerate(made.order) if names[-1] in order] == [1, 4, 7]
    assert plan().each_alone == ()


def test_what_is_optional_is_not_part_of_a_sweep() -> None:
    made = plan(each_pi=True, control_round=True, sweep=True)
    assert [cell.name for cell in made.sweep] == ["together-1", "together-2", "together-3"]


def test_a_sweep_begins_with_the_pi_that_works_alone() -> None:
    made = plan(sweep=True, pis=("pi-1", "pi-2", "pi-3"))
    assert made.cell("together-1").pis == ("pi-1",)
    assert made.cell("together-2").pis == ("pi-1", "pi-2")


def test_all_processes_are_as_many_as_the_smallest_pi_has_cores() -> None:
    made = plan(processes_per_pi="all", cores={"pi-1": 4, "pi-2": 2, "pi-3": 4})
    assert {cell.processes_per_pi for cell in made.cells} == {2}
    with pytest.raises(ProblemError, match=r"pi-2 doesn't tell how many cores it has"):
        plan(processes_per_pi="all", cores={"pi-1": 4, "pi-2": None, "pi-3": 4})


def test_one_pi_has_no_long_base_case() -> None:
    assert {cell.name for cell in plan(pis=("pi-1",)).cells} == {"alone", "together-1"}


def test_the_seal_is_of_the_file_and_changes_with_anything_in_it() -> None:
    made = plan()
    assert load(Plan, made.text(), "plan.json").sha256 == made.sha256
    assert plan(rounds=6).sha256 != made.sha256


def test_the_default_on_three_raspberry_pi_4_stays_below_six_minutes() -> None:
    assert (expected_seconds(plan()) or math.inf) < 360


def test_the_plan_is_shown_with_cells_rounds_and_time() -> None:
    lines = plan_lines(plan(base_runtime="process"))
    assert lines[0].startswith("Run x: 3 Pis, 7 rounds after one warm-up, plan ")
    assert any(
        "alone-long" in line and "30,000,000 samples" in line and "in round 1, 4, 7" in line for line in lines
    )
    assert "about 5 min" in lines[-1]
