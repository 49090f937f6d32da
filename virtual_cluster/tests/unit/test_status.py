"""PodStatus in the shapes that real kubelets report."""

from typing import Any

import pytest

from virtual_cluster.virtual_pi.status import (
    LOST,
    ContainerView,
    Running,
    State,
    Terminated,
    Verdict,
    Waiting,
    pod_status,
)

POD: dict[str, Any] = {"metadata": {"uid": "u"}, "status": {}}
DONE = Terminated(0, "Completed", '{"inside":1}', 100.0, 103.0)
FAILED = Terminated(1, "Error", "", 100.0, 103.0)
NEVER_STARTED = Terminated(128, "StartError", "failed to create containerd task: …", 0, 103.0)


def status(*states: State, verdict: Verdict | None = None, pod: dict[str, Any] = POD) -> dict[str, Any]:
    views = [
        ContainerView(
            f"c{number}", "python:3.9", state, "id", "" if isinstance(state, Waiting) else "containerd://1"
        )
        for number, state in enumerate(states)
    ]
    return pod_status(pod, "127.0.10.1", views, verdict, 99.0, 104.0)


@pytest.mark.parametrize(
    ("states", "phase", "state", "ready", "started_containers"),
    [
        (
            [Waiting()],
            "Pending",
            {"waiting": {"reason": "ContainerCreating"}},
            ("False", "ContainersNotReady"),
            "False",
        ),
        (
            [Waiting("ErrImagePull", "not found")],
            "Pending",
            {"waiting": {"reason": "ErrImagePull", "message": "not found"}},
            ("False", "ContainersNotReady"),
            "False",
        ),
        (
            [Running(100.0)],
            "Running",
            {"running": {"startedAt": "1970-01-01T00:01:40Z"}},
            ("True", None),
            "True",
        ),
        (
            [DONE],
            "Succeeded",
            {
                "terminated": {
                    "exitCode": 0,
                    "reason": "Completed",
                    "message": '{"inside":1}',
                    "containerID": "containerd://1",
                    "startedAt": "1970-01-01T00:01:40Z",
                    "finishedAt": "1970-01-01T00:01:43Z",
                }
            },
            ("False", "PodCompleted"),
            "False",
        ),
        (
            [NEVER_STARTED],
            "Failed",
            {
                "terminated": {
                    "exitCode": 128,
                    "reason": "StartError",
                    "message": "failed to create containerd task: …",
                    "containerID": "containerd://1",
                    "startedAt": "1970-01-01T00:00:00Z",
                    "finishedAt": "1970-01-01T00:01:43Z",
                }
            },
            ("False", "PodFailed"),
            "False",
        ),
    ],
    ids=["being created", "no image", "running", "completed", "command not in the image"],
)
def test_a_container_state_makes_a_pod_status(
    states: list[State],
    phase: str,
    state: dict[str, Any],
    ready: tuple[str, str | None],
    started_containers: str,
) -> None:
    found = status(*states)
    conditions = {condition["type"]: condition for condition in found["conditions"]}
    assert found["phase"] == phase
    assert found["containerStatuses"][0]["state"] == state
    assert (conditions["Ready"]["status"], conditions["Ready"]["reason"]) == ready
    assert conditions["PodReadyToStartContainers"]["status"] == started_containers
    assert found["hostIP"] == found["podIP"] == "127.0.10.1"


@pytest.mark.parametrize(
    ("states", "phase"),
    [
        ([DONE, Running(1.0)], "Running"),
        ([DONE, FAILED], "Failed"),
        ([Waiting(), Running(1.0)], "Pending"),
        ([LOST], "Failed"),
    ],
    ids=["one still runs", "one failed", "one not yet started", "lost with its Pi"],
)
def test_several_containers_make_one_phase(states: list[State], phase: str) -> None:
    assert status(*states)["phase"] == phase


def test_a_verdict_fails_the_pod_and_says_why() -> None:
    found = status(Waiting(), verdict=Verdict("DeadlineExceeded", "too long"))
    assert (found["phase"], found["reason"], found["message"]) == ("Failed", "DeadlineExceeded", "too long")


def test_a_condition_that_holds_keeps_its_time() -> None:
    before = [
        {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        {
            "type": "PodReadyToStartContainers",
            "status": "False",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        },
        {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
    ]
    found = status(Running(100.0), pod=POD | {"status": {"conditions": before}})
    since = {condition["type"]: condition["lastTransitionTime"] for condition in found["conditions"]}
    assert since["Ready"] == since["PodReadyToStartContainers"] == "1970-01-01T00:01:44Z"
    assert "DisruptionTarget" not in since, "another's condition is left to the merge"
    kept = status(Waiting(), pod=POD | {"status": {"conditions": before}})
    assert {c["lastTransitionTime"] for c in kept["conditions"] if c["type"] == "Ready"} == {
        "2026-01-01T00:00:00Z"
    }
