"""What pods leave: each one's report if it is whole, and never at another's cost."""

from __future__ import annotations

from typing import Any

import pytest

from pi_speedup.kube.access.shape import cores
from pi_speedup.kube.follow.results import events, last_line, workers
from pi_speedup.kube.follow.tracker import Tracker
from pi_speedup.model.trial import MOST_EVENTS
from tests.unit.kube.objects import PLAN, SLOT, a_job, a_pod, a_report, an_event


def tracker_of(*pods: Any) -> Tracker:
    tracker = Tracker(a_job(), len(pods))
    for pod in pods:
        tracker.see_pod(pod, at=1.0)
    return tracker


NONSENSE = {
    "a number of 401 digits": a_report(1).replace("0.1", "1" * 401),
    "a number of 5,000 digits": a_report(1).replace("785", "7" * 5000),
    "not JSON": "{",
    "cut off": a_report(1)[:-20],
    "another object": "[]",
    "not a number": a_report(1).replace("0.1", "NaN"),
    "a lone surrogate": a_report(1, python_version="\ud800"),
    "deeply nested": "[" * 4000,
    "another run": a_report(1, run_id="another"),
    "another pod": a_report(0),
    "another pod of that Pi": a_report(1, completion_index=2, stream=f"{SLOT.name}.1.2"),
    "another trial": a_report(1, stream="r002-00-together-3.1.1"),
    "another engine": a_report(1, engine="numpy"),
    "another Pi": a_report(1, node="pi-1"),
    "fewer samples": a_report(1, samples=999),
    "nothing": "",
}


@pytest.mark.fault(
    "forged result: of another trial",
    "pod 1 on pi-2: its result is of another trial (streams: r002-00-together-3.1.1.0 instead of "
    "r001-00-together-3.1.1.0) [PS-542]. Next: read its log, then run again",
    kept="trials, and the other pods' results",
    row="another trial",
)
@pytest.mark.fault(
    "result that is NaN",
    "pod 1 on pi-2: NaN is not a measurement [PS-541]. Next: ansible-playbook … -e benchmark_run_id=…",
    kept="trials, and the other pods' results",
    row="not a number",
)
@pytest.mark.fault(
    "result that is huge",
    "pod 1 on pi-2: processes.0.duration_seconds is 11111111…: Input should be a finite "
    "number [PS-541]. Next: ansible-playbook … -e benchmark_run_id=…",
    kept="trials, and the other pods' results",
    row="a number of 401 digits",
)
@pytest.mark.fault("result that is huge", row="a number of 5,000 digits")
@pytest.mark.parametrize("message", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_of_one_pod_costs_no_other_pods_report(message: str) -> None:
    tracker = tracker_of(
        a_pod(0, "Succeeded", message=a_report(0)),
        a_pod(1, "Succeeded", message=message),
        a_pod(2, "Succeeded", message=a_report(2)),
    )
    found, problems = workers(tracker, PLAN, SLOT, 1, {})
    assert [worker.report is not None for worker in found] == [True, False, True]
    (problem,) = problems
    assert problem.subject == "pod 1 on pi-2"
    assert str(problem).isprintable()


def test_worker_is_described() -> None:
    (worker,), problems = workers(tracker_of(a_pod(0, "Succeeded", message=a_report(0))), PLAN, SLOT, 1, {})
    assert not problems
    assert (worker.pi, worker.name, worker.runtime) == ("pi-1", "pod-0", "kubernetes")
    assert (worker.image, worker.image_ids, worker.cpu_limit_cores) == ("python:3.9", ("sha256:abc",), 0.5)


def test_a_pod_without_a_pi_is_not_a_worker() -> None:
    assert workers(tracker_of(a_pod(0, "new")), PLAN, SLOT, 1, {}) == ((), [])


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [("1", 1.0), ("500m", 0.5), ("0.25", 0.25), ("x", None), ("-1", None), ("NaN", None), ("1e9", None)],
)
def test_cores(quantity: str, expected: float | None) -> None:
    assert cores(quantity) == expected


LAST_LINES = {
    "last": (b"first\nlast\n\n", "last"),
    "not text": (b"\xff\xfe last", "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} last"),
    "colours": (b"\x1b[2Jred", "[2Jred"),
    "nothing": (b"", ""),
    "characters that end a line elsewhere": ("a\x0cb\x85c\u2028d\n".encode(), "a b c d"),
    "a line written over": (b"10%\r20%\rdone\r\n", "done"),
}


@pytest.mark.fault("terminal codes in a log", row="colours")
@pytest.mark.parametrize(("log", "line"), LAST_LINES.values(), ids=LAST_LINES)
def test_last_line(log: bytes, line: str) -> None:
    assert last_line(log) == line


def test_events_are_bounded_and_in_order() -> None:
    flood = [
        an_event("Failed", f"pod-{number}", "x" * 9999, firstTimestamp=f"2026-11-24T07:{number:05}Z")
        for number in reversed(range(MOST_EVENTS + 5))
    ]
    found = events(flood)
    assert len(found) == MOST_EVENTS
    assert found[-1].first_seen == f"2026-11-24T07:{MOST_EVENTS + 4:05}Z"
    assert len(found[0].message) <= 1000


def test_an_event_of_the_newer_kind_counts_by_its_series() -> None:
    event = an_event(
        "Failed",
        "pod-0",
        count=None,
        eventTime="2026-11-24T07:15:30.0Z",
        series={"count": 7, "lastObservedTime": "2026-11-24T07:16:00.0Z"},
    )
    (found,) = events([event])
    assert (found.count, found.first_seen, found.last_seen) == (
        7,
        "2026-11-24T07:15:30.0Z",
        "2026-11-24T07:16:00.0Z",
    )
