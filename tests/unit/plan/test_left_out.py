"""Which Pis take part, what is said of the others, and the run that follows one that lost a Pi."""

from __future__ import annotations

from pathlib import Path

import pytest

from pi_speedup.codes import Code
from pi_speedup.model.node import Node, Nodes
from pi_speedup.model.plan import LeftOut
from pi_speedup.plan.left_out import (
    left_out,
    next_run_id,
    plan_without,
    warning,
    what_stops,
    with_unfit,
    without_unfit,
)
from pi_speedup.plan.words import plan_lines
from pi_speedup.problem import Problem
from tests.unit.plan.factory import plan

AWAY = "cannot be reached over ssh (Connection refused)"
CORDONED = "cordoned (unschedulable)"


def problem(pi: str, what: str = CORDONED) -> Problem:
    return Problem(code=Code.NODE_CORDONED, subject=pi, what=what, next_step=f"look at {pi}")


def nodes(*unfit: str) -> Nodes:
    """Return three Pis, of which some are cordoned; the inventory calls the third by its address."""
    names = ("pi-1", "pi-2", "pi-3")
    return Nodes(
        nodes=tuple(
            Node(
                name=name,
                host="10.0.0.3" if name == "pi-3" else None,
                cores=4,
                problems=(problem(name),) if name in unfit else (),
            )
            for name in names
        ),
        not_in_inventory=(),
    )


FIT: dict[str, tuple[tuple[str, ...], int]] = {
    "all, all wanted": ((), 3),
    "all, two wanted": ((), 2),
    "two of two wanted": (("pi-3",), 2),
    "only the base, one wanted": (("pi-2", "pi-3"), 1),
}


@pytest.mark.parametrize(("unfit", "min_pis"), FIT.values(), ids=FIT)
def test_nothing_stops_a_run_with_enough_pis(unfit: tuple[str, ...], min_pis: int) -> None:
    assert what_stops(nodes(*unfit), base_pi="pi-1", min_pis=min_pis) == ()


STOPPED: dict[str, tuple[tuple[str, ...], int, list[str]]] = {
    "one is unfit, all wanted": (
        ("pi-3",),
        3,
        ["pi-3: cordoned (unschedulable) [PS-302]. Next: look at pi-3"],
    ),
    "the base is unfit, all wanted": (
        ("pi-1",),
        3,
        ["pi-1: cordoned (unschedulable) [PS-302]. Next: look at pi-1"],
    ),
    "the base is unfit, two wanted": (
        ("pi-1",),
        2,
        [
            "pi-1: cordoned (unschedulable) [PS-302]. Next: look at pi-1; or put another Pi into the "
            "group `base`"
        ],
    ),
    "two are unfit, two wanted": (
        ("pi-2", "pi-3"),
        2,
        [
            "pi-2: cordoned (unschedulable) [PS-302]. Next: look at pi-2",
            "pi-3: cordoned (unschedulable) [PS-302]. Next: look at pi-3",
            "benchmark_min_pis: 1 of 3 Pis is fit (pi-1), and 2 are wanted [PS-107]. Next: do what the lines "
            "above say, or set it lower",
        ],
    ),
    "none is fit, one wanted": (
        ("pi-1", "pi-2", "pi-3"),
        1,
        [
            "pi-1: cordoned (unschedulable) [PS-302]. Next: look at pi-1; or put another Pi into the "
            "group `base`",
            "pi-2: cordoned (unschedulable) [PS-302]. Next: look at pi-2",
            "pi-3: cordoned (unschedulable) [PS-302]. Next: look at pi-3",
            "benchmark_min_pis: 0 of 3 Pis are fit, and 1 is wanted [PS-107]. Next: do what the lines "
            "above say, or set it lower",
        ],
    ),
}


@pytest.mark.parametrize(("unfit", "min_pis", "said"), STOPPED.values(), ids=STOPPED)
def test_what_stops_a_run_has_a_line_for_each_pi(
    unfit: tuple[str, ...], min_pis: int, said: list[str]
) -> None:
    assert [str(each) for each in what_stops(nodes(*unfit), base_pi="pi-1", min_pis=min_pis)] == said


def test_the_base_is_known_by_the_inventorys_name() -> None:
    assert what_stops(nodes("pi-3"), base_pi="10.0.0.3", min_pis=2)


def test_what_a_pi_lacked_over_ssh_counts_and_comes_first() -> None:
    found = with_unfit(nodes("pi-2"), {"pi-2": [problem("pi-2", AWAY)], "10.0.0.3": [problem("x", AWAY)]})
    assert [[each.what for each in node.problems] for node in found.nodes] == [[], [AWAY, CORDONED], [AWAY]]


def test_those_left_out_are_kept_apart_each_with_its_first_problem() -> None:
    found = without_unfit(with_unfit(nodes("pi-2"), {"pi-2": [problem("pi-2", AWAY)]}))
    assert [node.name for node in found.nodes] == ["pi-1", "pi-3"]
    assert left_out(found) == (LeftOut(pi="pi-2", problem=problem("pi-2", f"{AWAY} (and 1 more)")),)
    assert left_out(None) == ()


def test_a_pi_left_out_is_one_line() -> None:
    over_ssh = problem("pi-3").model_copy(update={"subject": "10.0.0.3"})
    assert warning(LeftOut(pi="pi-3", problem=over_ssh), 2) == (
        "pi-3: cordoned (unschedulable); measuring without it (benchmark_min_pis: 2) [PS-302]. Next: look "
        "at pi-3"
    )


def test_the_plan_that_follows_is_the_same_on_the_pis_that_remain() -> None:
    first = plan(rounds=5, order_seed=7)
    found = plan_without(first, without_unfit(nodes("pi-3")), run_id="x-2", made_at="later", fresh_seed=1)
    assert (found.run_id, found.pis, found.base_pi) == ("x-2", ("pi-1", "pi-2"), "pi-1")
    assert [each.pi for each in found.left_out] == ["pi-3"]
    assert (found.settings, found.order_seed) == (first.settings, 7)
    assert found.together.pis == ("pi-1", "pi-2")


def test_the_plan_says_first_who_is_left_out() -> None:
    found = plan_without(plan(), without_unfit(nodes("pi-3")), run_id="y", made_at="later", fresh_seed=1)
    assert plan_lines(found)[0].startswith("Run y: 2 of 3 Pis, 7 rounds")
    assert plan_lines(found)[1] == "  without pi-3: cordoned (unschedulable)"


NAMES = {
    "the first": ("x", [], "x-2"),
    "the second": ("x", ["x-2"], "x-3"),
    "the longest": ("a" * 32, [], "a" * 30 + "-2"),
}


@pytest.mark.parametrize(("name", "there", "expected"), NAMES.values(), ids=NAMES)
def test_the_run_that_follows_is_named_after_the_first(
    tmp_path: Path, name: str, there: list[str], expected: str
) -> None:
    for each in there:
        (tmp_path / each).mkdir()
    assert next_run_id(tmp_path / name) == expected
