"""Why a run ended, told from its plan and its trials."""

from __future__ import annotations

from typing import Any

import pytest

from pi_speedup.codes import Code
from pi_speedup.model.trial import Trial
from pi_speedup.problem import Problem
from pi_speedup.report.summary import ending, progress
from tests.unit.report import factory

PROBLEM = Problem(
    code=Code.NODE_CORDONED,
    subject="pi-2",
    what="cordoned (unschedulable)",
    next_step="kubectl uncordon pi-2",
)


def _failing(outcome: Any, place: int) -> factory.Defect:
    def defect(draft: factory.Draft) -> None:
        if (draft.slot.round, draft.slot.position) == (5, place):
            draft.outcome, draft.problem = outcome, PROBLEM

    return defect


def _until(trials: tuple[Trial, ...], number: int, position: int) -> tuple[Trial, ...]:
    return tuple(t for t in trials if (t.slot.round, t.slot.position) <= (number, position))


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[int, int], str, str]] = {
    "all was measured": ({}, {}, (9, 9), "complete", "all rounds were measured"),
    "a trial failed": (
        {},
        {"defect": _failing("failed", 1)},
        (5, 1),
        "failed",
        "stopped by pi-2: cordoned (unschedulable) [PS-302]. Next: kubectl uncordon pi-2",
    ),
    "Ctrl-C": (
        {},
        {"defect": _failing("interrupted", 0)},
        (5, 0),
        "interrupted",
        "interrupted during r005-00-alone (cordoned (unschedulable))",
    ),
    "killed within a round": ({}, {}, (5, 0), "broken_off", "broken off before r005-01-together-3"),
    "killed between rounds": ({}, {}, (4, 9), "broken_off", "broken off before r005-00-alone"),
    "the time was spent": (
        {"budget_minutes": 1.5},
        {},
        (4, 9),
        "budget",
        "the 1.5 minutes were used up",
    ),
    "killed before the time was spent": ({"budget_minutes": 60}, {}, (4, 9), "broken_off", "broken off"),
    "narrow enough": ({"target_percent": 5}, {}, (5, 9), "target", "the interval is narrow enough"),
    "killed before it was narrow": ({"target_percent": 0.01}, {}, (5, 9), "broken_off", "broken off"),
    "killed within a round, narrow enough": ({"target_percent": 5}, {}, (6, 0), "broken_off", "broken off"),
}


@pytest.mark.parametrize(("settings", "how", "until", "kind", "words"), CASES.values(), ids=CASES)
def test_why_it_ended(
    settings: dict[str, Any], how: dict[str, Any], until: tuple[int, int], kind: str, words: str
) -> None:
    plan = factory.plan(long_rounds=0, order_seed=1, **settings)
    assert plan.order[5][0] == "alone"
    found = ending(plan, _until(factory.trials(plan, **how), *until))
    assert (found.kind, found.words[: len(words)]) == (kind, words)
    assert found.problem == (PROBLEM if kind in ("failed", "interrupted") else None)


def test_nothing_was_measured_yet() -> None:
    found = progress(factory.plan(), ())
    assert (found.rounds_complete, found.ending.kind) == (0, "nothing")


def test_a_failure_that_was_made_good_is_not_the_end() -> None:
    plan = factory.plan()
    trials = list(factory.trials(plan))
    lost = trials[4].model_copy(update={"outcome": "failed", "problem": PROBLEM, "workers": ()})
    again = trials[4].model_copy(update={"attempt": 2})
    found = progress(plan, (*trials[:4], lost, again, *trials[5:]))
    assert (found.ending.kind, found.trials_failed, found.rounds_complete) == ("complete", 1, 7)
