"""A plan that contradicts itself is not read."""

from __future__ import annotations

from typing import Any

import pytest

from pi_speedup.codes import Code
from pi_speedup.model.base import load
from pi_speedup.model.plan import LeftOut, Plan
from pi_speedup.problem import Problem, ProblemError
from tests.unit.plan.factory import plan


def changed(**fields: Any) -> str:
    """Return plan.json of three Pis with these fields in the place of its own."""
    return plan().model_copy(update=fields).text()


def without(*pis: str) -> tuple[LeftOut, ...]:
    problem = Problem(code=Code.NODE_CORDONED, subject="x", what="cordoned", next_step="look")
    return tuple(LeftOut(pi=pi, problem=problem) for pi in pis)


CELLS = plan().cells
ROUND = plan().order[0]
CONTRADICTIONS = {
    "a Pi is left out and takes part": (changed(left_out=without("pi-3")), "left out twice, or is one of"),
    "a Pi is left out twice": (changed(left_out=without("pi-4", "pi-4")), "left out twice, or is one of"),
    "a Pi takes part twice": (changed(pis=("pi-1", "pi-2", "pi-2")), "named twice, or is not one of pis"),
    "the base takes no part": (changed(base_pi="pi-4"), "named twice, or is not one of pis"),
    "a cell's Pi takes no part": (
        changed(cells=(CELLS[0].model_copy(update={"pis": ("pi-4",)}), *CELLS[1:])),
        "named twice, or is not one of pis",
    ),
    "two cells have a name": (changed(cells=(*CELLS, CELLS[0])), "two cells have the same name"),
    "not all work together": (
        changed(pis=("pi-1", "pi-2", "pi-3", "pi-4")),
        "no cell of all 4 Pis together",
    ),
    "an unknown cell": (changed(order=(("alone-on-x",),)), "names alone-on-x, which is not one of the cells"),
    "a cell twice in a round": (changed(order=((*ROUND, ROUND[0]),)), "a round holds a cell twice"),
}


@pytest.mark.parametrize(("text", "words"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_plan_that_contradicts_itself_is_refused(text: str, words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        load(Plan, text.encode(), "plan.json")


def test_pis_left_out_beside_those_that_take_part_are_a_plan() -> None:
    text = changed(left_out=without("pi-4", "pi-5"))
    assert [each.pi for each in load(Plan, text.encode(), "plan.json").left_out] == ["pi-4", "pi-5"]
