"""Clocks that disagree: corrected by what was measured, with what stays uncertain."""

from __future__ import annotations

import pytest

from pi_speedup.report.build import build_report
from pi_speedup.report.clocks import Clocks, Reading, Span, clocks_of, makespan
from tests.unit.report import factory

S = 1_000_000_000


def _clocks(*readings: Reading) -> Clocks:
    return Clocks({1: {"pi-1": readings}}, ["pi-1"])


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (0, (S, S // 10)),
        (50, (2 * S, S // 5)),
        (100, (3 * S, 3 * S // 10)),
        (-9, (S, S // 10)),
        (999, (3 * S, 3 * S // 10)),
    ],
    ids=["before", "half way", "after", "earlier", "later"],
)
def test_offsets_are_linear_between_two_looks(at: int, expected: tuple[int, int]) -> None:
    clocks = _clocks(Reading(1000 * S, S, S // 10), Reading(1100 * S, 3 * S, 3 * S // 10))
    assert clocks.at("pi-1", (1000 + at) * S) == pytest.approx(expected)


def test_one_look_serves_all_the_time() -> None:
    assert _clocks(Reading(1000 * S, 7, 3)).at("pi-1", 5000 * S) == (7, 3)


@pytest.mark.parametrize(
    ("early", "late", "offset"),
    [(0, 0, 0.5), (3600, 0, 0.9), (0, 3600, 0.1), (None, None, 0.5)],
    ids=["just before and after", "an hour before", "an hour after", "nobody told when"],
)
def test_a_clock_was_read_when_it_says(early: int | None, late: int | None, offset: float) -> None:
    """It gains a second between both looks; how much by the middle of the run depends on their times."""
    plan = factory.plan(rounds=5)
    trials = factory.trials(plan)
    first = trials[0].started_epoch_ns
    last = trials[-1].started_epoch_ns + round(trials[-1].spent_seconds * 1e9)
    half = (last - first) // 2
    # Eight times as long before or after as from a look to the middle.
    before = None if early is None else first - (8 * half if early else 0)
    after = None if late is None else last + (8 * half if late else 0)
    hosts = factory.hosts(
        plan,
        {"clock_read_epoch_ns": before},
        {"clock_read_epoch_ns": after, "clock_offset_seconds": 1.0},
    )
    found, _ = clocks_of(hosts, plan.pis, trials).at("pi-2", first + half)
    assert found / S == pytest.approx(offset, abs=0.01)


def test_nothing_is_corrected_unless_all_are_known() -> None:
    clocks = Clocks({1: {"pi-1": [Reading(1, S, 1)], "pi-2": []}}, ["pi-1", "pi-2"])
    assert not clocks.corrected
    assert clocks.span("pi-1", 10 * S, 20 * S, 10 * S) == Span(10 * S, 20 * S, 0)


def test_a_clock_that_is_ahead_is_set_back() -> None:
    clocks = _clocks(Reading(1, 2 * S, 5))
    assert clocks.span("pi-1", 10 * S, 20 * S, 10 * S) == Span(8 * S, 18 * S, 5)


def test_each_session_is_corrected_by_its_own_readings() -> None:
    plan = factory.plan()

    def late_pod_on_another_day(draft: factory.Draft) -> None:
        if draft.slot.round > 4:
            draft.session = 2
            for worker in draft.workers:
                worker.clock_offset = -2.0 if worker.pi == "pi-3" else 0.0

    trials = factory.trials(plan, defect=late_pod_on_another_day)
    hosts = (
        *factory.hosts(plan),
        *factory.hosts(plan, both={"clock_offset_seconds": -2.0}, pi="pi-3", session=2),
    )
    clocks = clocks_of(hosts, plan.pis, trials)
    moment = trials[0].started_epoch_ns
    assert clocks.corrected
    assert [clocks.at("pi-3", moment, session)[0] for session in (1, 2)] == [0, -2 * S]
    # Not looked at again on the other day: then nothing is known of it.
    assert not clocks_of(hosts[:3], plan.pis, trials).corrected
    speedup = build_report(factory.contents(plan, hosts=hosts, defect=late_pod_on_another_day)).comparisons[0]
    assert speedup.speedup is not None and speedup.speedup.value > 2.9


SPANS = {
    "one worker needs one clock": ([Span(0, 10, 5)], None, (10, 10, 10)),
    "the same Pi first and last, unless clocks are off": (
        [Span(0, 20, 5), Span(5, 12, 5)],
        None,
        (20, 20, 25),
    ),
    "one first, another last": ([Span(0, 10, 1), Span(3, 13, 2)], None, (13, 10, 16)),
    "no longer than the wall time": ([Span(0, 10, 1), Span(3, 13, 2)], 14e-9, (13, 10, 14)),
    "certain clocks": ([Span(0, 10, 0), Span(3, 13, 0), Span(1, 9, 0)], None, (13, 13, 13)),
}


@pytest.mark.parametrize(("spans", "wall", "expected"), SPANS.values(), ids=SPANS)
def test_bounds_of_a_makespan(spans: list[Span], wall: float | None, expected: tuple[int, int, int]) -> None:
    found = makespan(spans, wall)
    assert (found.ns, found.least_ns, found.most_ns) == expected
