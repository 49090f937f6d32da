"""What a trial's watches tell, turned into milestones and into which part of the control plane is late."""

from __future__ import annotations

from typing import Any

import pytest

from pi_speedup.kube.follow.tracker import CONTROLLERS, SCHEDULER, Tracker
from pi_speedup.model.trial import Milestones
from tests.unit.kube.objects import JOB_UID, a_job, a_pod, an_event


def tracking(*pods: Any, expected: int = 1) -> Tracker:
    tracker = Tracker(a_job(), expected, started=100.0)
    for pod in pods:
        tracker.see_pod(pod, at=101.0)
    return tracker


def test_milestones_are_when_each_state_was_first_seen() -> None:
    tracker = tracking()
    for at, state in [
        (101, "new"),
        (102, "scheduled"),
        (104, "running"),
        (105, "running"),
        (110, "Succeeded"),
    ]:
        tracker.see_pod(a_pod(0, state), at=at)
    assert tracker.milestones("uid-0") == Milestones(created=1, scheduled=2, started=4, finished=10)


def test_a_pod_that_was_seen_only_when_it_had_ended_has_no_start() -> None:
    tracker = tracking(a_pod(0, "Succeeded"))
    assert tracker.milestones("uid-0") == Milestones(created=1, scheduled=1, finished=1)


PULLED = {
    "pulled": ('Successfully pulled image "python:3.9" in 12.3s', 3.0),
    "there already": ('Container image "python:3.9" already present on machine', None),
}


@pytest.mark.parametrize(("message", "pulled"), PULLED.values(), ids=PULLED)
def test_only_an_image_that_was_really_pulled_counts(message: str, pulled: float | None) -> None:
    tracker = tracking()
    # Before the pod is known, as it happens.
    tracker.see_event(an_event("Pulled", "uid-0", message, kind="Normal"), at=103.0)
    tracker.see_pod(a_pod(0), at=104.0)
    assert tracker.milestones("uid-0").pulled == pulled
    assert tracker.warnings == []


def test_warnings_of_others_are_not_ours() -> None:
    tracker = tracking(a_pod(0))
    for about in ("uid-0", JOB_UID, "uid-of-another"):
        tracker.see_event(an_event("Failed", about), at=102.0)
    assert {event["involvedObject"]["uid"] for event in tracker.warnings} == {"uid-0", JOB_UID}


LATE: dict[str, tuple[list[Any], str | None]] = {
    "no pod": ([], CONTROLLERS),
    "not scheduled": ([a_pod(0, "new")], SCHEDULER),
    "running": ([a_pod(0, "running")], None),
    "ended, not complete": ([a_pod(0, "Succeeded")], CONTROLLERS),
    "failed": ([a_pod(0, "Failed")], None),
}


@pytest.mark.parametrize(("pods", "who"), LATE.values(), ids=LATE)
def test_a_control_plane_that_lets_the_job_wait_is_named(pods: list[Any], who: str | None) -> None:
    tracker = tracking(*pods)
    assert tracker.late(now=103.0) is None
    late = tracker.late(now=120.0)
    assert (late.who if late else None) == who


def test_no_part_is_late_once_the_job_is_complete() -> None:
    tracker = tracking()
    tracker.see_job(a_job(condition="Complete"), at=101.0)
    assert tracker.late(now=200.0) is None
    assert tracker.ended == 101.0


def test_a_large_job_is_given_more_time() -> None:
    tracker = tracking(expected=100)
    assert tracker.late(now=114.0) is None
    assert tracker.late(now=116.0) is not None


def test_a_pod_that_a_list_has_no_more_was_deleted() -> None:
    tracker = tracking(a_pod(0), a_pod(1), expected=2)
    tracker.see_pods([a_pod(1)], at=102.0)
    tracker.ending(now=102.0)
    ending = tracker.ending(now=105.0)
    assert ending is not None and ending.problem is not None
    assert ending.problem.subject == "pod 0 on pi-1"
    assert ending.reason == "Deleted"


def test_a_job_that_a_list_has_no_more_was_deleted() -> None:
    tracker = tracking(a_pod(0))
    tracker.see_jobs([], at=102.0)
    ending = tracker.ending(now=102.0)
    assert ending is not None
    assert ending.reason == "Deleted"


def test_a_pi_is_waited_for_until_its_pod_has_ended() -> None:
    tracker = tracking(a_pod(0), a_pod(1, "Succeeded"), a_pod(2, "new"), expected=3)
    assert tracker.waited_for == {"pi-1"}


def test_a_job_that_has_ended_is_not_undone_by_an_older_state() -> None:
    tracker = tracking()
    tracker.see_job(a_job(5, "Complete"), at=102.0)
    tracker.see_job(a_job(3), at=103.0)
    assert tracker.ending(now=104.0) is not None
    assert tracker.ended == 102.0


STANDING: dict[str, tuple[list[tuple[int, int, str]], float, list[str]]] = {
    "one that starts for ever": ([(0, 101, "scheduled")], 132, ["pod 0 on pi-1 starting"]),
    "one that starts": ([(0, 101, "scheduled")], 130, []),
    "all compute": ([(0, 101, "running"), (1, 101, "running")], 900, []),
    "one computes after all others have ended": (
        [(0, 101, "running"), (1, 102, "running"), (0, 200, "Succeeded")],
        231,
        ["pod 1 on pi-2 running"],
    ),
    "one has just been left alone": (
        [(0, 101, "running"), (1, 102, "running"), (0, 200, "Succeeded")],
        229,
        [],
    ),
    "all have ended": ([(0, 101, "Succeeded"), (1, 102, "Succeeded")], 900, []),
}


@pytest.mark.parametrize(("seen", "now", "standing"), STANDING.values(), ids=STANDING)
def test_no_pod_is_waited_for_in_silence(
    seen: list[tuple[int, int, str]], now: float, standing: list[str]
) -> None:
    tracker = tracking(expected=2)
    for index, at, state in seen:
        tracker.see_pod(a_pod(index, state, pi=f"pi-{index + 1}"), at=at)
    assert [f"{pod} {pod.phase}" for pod in tracker.standing(now)] == standing
