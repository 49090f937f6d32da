"""What comes next for the trials on disk: in order, again where it failed, no further than enough."""

from __future__ import annotations

import pytest

from pi_speedup.model.plan import Plan
from pi_speedup.model.trial import Trial
from pi_speedup.plan.progress import Next, Stop, complete_rounds, expected_seconds, next_trial
from tests.unit.plan.factory import first_rounds, plan, trial


def never_asked() -> float | None:
    raise AssertionError("asked for an interval")


def test_all_slots_come_once_and_in_order() -> None:
    made = plan(rounds=2)
    done: list[Trial] = []
    while isinstance(upcoming := next_trial(made, done, never_asked), Next):
        assert upcoming.attempt == 1
        done.append(trial(made, upcoming.slot))
    assert [each.slot for each in done] == list(made.slots)
    assert upcoming == Stop("complete")


@pytest.mark.parametrize("outcome", ["failed", "interrupted"])
def test_a_trial_that_did_not_end_well_is_measured_again_under_a_new_number(outcome: str) -> None:
    made = plan(rounds=1)
    spoilt = trial(made, made.slots[0], outcome)  # type: ignore[arg-type]
    assert next_trial(made, [spoilt], never_asked) == Next(made.slots[0], attempt=2)
    again = trial(made, made.slots[0], attempt=2)
    assert next_trial(made, [spoilt, again], never_asked) == Next(made.slots[1], attempt=1)


@pytest.mark.parametrize(
    ("rounds", "width", "stops"),
    [(4, 0.1, False), (5, 2.0, True), (5, 2.1, False), (5, None, False), (6, 1.0, True)],
    ids=["too few rounds", "narrow enough", "too wide", "no interval", "later"],
)
def test_a_target_stops_between_rounds_once_there_can_be_an_interval(
    rounds: int, width: float | None, stops: bool
) -> None:
    made = plan(rounds=20, target_percent=2.0)
    upcoming = next_trial(made, first_rounds(made, rounds), lambda: width)
    assert (upcoming == Stop("target")) is stops


def test_a_budget_stops_between_rounds_and_never_within_one() -> None:
    made = plan(rounds=20, budget_minutes=1, long_rounds=0)
    whole = first_rounds(made, 3)
    assert next_trial(made, whole, never_asked) == Stop("budget")
    assert isinstance(next_trial(made, whole[:-1], never_asked), Next)
    assert isinstance(next_trial(made, first_rounds(made, 1), never_asked), Next)


def test_a_round_is_complete_when_each_of_its_trials_went_well() -> None:
    made = plan(rounds=3)
    trials = first_rounds(made, 3)
    trials[-1] = trial(made, trials[-1].slot, "failed")
    assert complete_rounds(made, trials) == (1, 2)
    assert complete_rounds(made, []) == ()


def test_what_is_left_is_told_from_what_was_measured() -> None:
    made = plan(rounds=2, long_rounds=0)
    done = [trial(made, slot, seconds=100.0) for slot in made.slots if slot.round < 2]
    assert expected_seconds(made, done) == pytest.approx(200)
    assert expected_seconds(made, [trial(made, slot) for slot in made.slots]) == 0


def seconds_left(plan: Plan) -> float:
    seconds = expected_seconds(plan)
    assert seconds is not None
    return seconds


def test_before_anything_was_measured_a_limit_makes_it_longer() -> None:
    half, whole = (
        seconds_left(plan(rounds=1, long_rounds=0, samples_per_process=10_000_000, cpu_limit_cores=limit))
        for limit in (0.5, 1.0)
    )
    # Two trials of the warm-up and two of the round, of 10 s each at a whole core.
    assert half - whole == pytest.approx(40)
