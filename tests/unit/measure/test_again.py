"""The command that goes on with a run, from the one that was typed, and the line that says so."""

from __future__ import annotations

import pytest

from pi_speedup.codes import Code
from pi_speedup.measure.again import command_to_go_on, what_to_say
from pi_speedup.measure.loop import Ended
from pi_speedup.problem import Problem
from tests.unit.plan import factory

GIVEN = {
    "nothing named": (["benchmark.yml"], "benchmark.yml -e benchmark_run_id=x"),
    "another run named first": (
        ["benchmark.yml", "-e", "benchmark_run_id=y"],
        "benchmark.yml -e benchmark_run_id=y -e benchmark_run_id=x",
    ),
    "this run named": (["-e", "benchmark_run_id=x", "benchmark.yml"], "-e benchmark_run_id=x benchmark.yml"),
}


@pytest.mark.parametrize(("words", "expected"), GIVEN.values(), ids=GIVEN)
def test_the_words_stay_and_the_run_is_named(words: list[str], expected: str) -> None:
    assert command_to_go_on(["tool", *words], "x", environment={}) == f"tool {expected}"


PROBLEMS = {
    "an end by the plan": (Ended("complete"), ""),
    "Ctrl-C": (
        Ended("interrupted", Problem(code=Code.STOPPED, subject="run x", what="stopped by Ctrl-C")),
        "run x: stopped by Ctrl-C after 2 of 7 rounds [PS-901]. Next: go on",
    ),
    "a problem with a next step": (
        Ended(
            "failed",
            Problem(
                code=Code.NODE_CORDONED, subject="pi-2", what="cordoned", next_step="kubectl uncordon pi-2"
            ),
        ),
        "pi-2: cordoned [PS-302]. Next: kubectl uncordon pi-2; then go on",
    ),
    "a problem without one": (
        Ended("failed", Problem(code=Code.SSH_UNREACHABLE, subject="pi-2", what="gone")),
        "pi-2: gone [PS-201]. Next: go on",
    ),
    "a next step that ends with running again": (
        Ended(
            "failed",
            Problem(
                code=Code.SSH_UNREACHABLE,
                subject="pi-2",
                what="away",
                next_step="check its power, then run again",
            ),
        ),
        "pi-2: away [PS-201]. Next: check its power, then go on",
    ),
    "a setting to change, with which the run cannot go on": (
        Ended(
            "failed",
            Problem(
                code=Code.OUT_OF_MEMORY,
                subject="pod 0",
                what="killed",
                next_step="raise benchmark_rest_seconds",
            ),
        ),
        "pod 0: killed [PS-522]. Next: raise benchmark_rest_seconds",
    ),
}


@pytest.mark.parametrize(("ended", "line"), PROBLEMS.values(), ids=PROBLEMS)
def test_what_is_said_of_the_end(ended: Ended, line: str) -> None:
    plan = factory.plan()
    assert what_to_say(plan, factory.first_rounds(plan, 2), ended, "go on") == line
