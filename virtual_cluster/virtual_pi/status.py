"""Pure: what is known of a pod's containers → its PodStatus, in the shapes a kubelet reports."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .api import Json
from .times import rfc3339


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not started, and why."""

    reason: str = "ContainerCreating"
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """Started at (epoch seconds)."""

    started_at: float


@dataclass(frozen=True, slots=True)
class Terminated:
    """Ended; times are epoch seconds, 0 for a container that never started."""

    exit_code: int
    reason: str
    message: str
    started_at: float
    finished_at: float


State = Waiting | Running | Terminated

# The kubelet's words for a container it knows nothing of.
LOST = Terminated(
    137, "ContainerStatusUnknown", "The container could not be located when the pod was terminated", 0, 0
)


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container: its spec's name and image, its state, and once it has them its IDs."""

    name: str
    image: str
    state: State
    image_id: str = ""
    container_id: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The pod failed as a whole: refused, or over its deadline."""

    reason: str
    message: str


def pod_status(
    pod: Json,
    address: str,
    containers: Sequence[ContainerView],
    verdict: Verdict | None,
    started_at: float,
    now: float,
) -> Json:
    """The status to send. Conditions keep their transition time from ``pod["status"]`` while they hold."""
    phase = "Failed" if verdict else pod_phase([container.state for container in containers])
    status: Json = {
        "phase": phase,
        "startTime": rfc3339(started_at),
        "hostIP": address,
        "hostIPs": [{"ip": address}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": _conditions(pod, phase, containers, now),
        "containerStatuses": [_container_status(container) for container in containers],
    }
    if generation := pod["metadata"].get("generation"):
        status["observedGeneration"] = generation
    if verdict:
        status |= {"reason": verdict.reason, "message": verdict.message}
    return status


def pod_phase(states: Sequence[State]) -> str:
    """The phase of a pod with restartPolicy Never."""
    if all(isinstance(state, Terminated) for state in states):
        failed = any(isinstance(state, Terminated) and state.exit_code for state in states)
        return "Failed" if failed else "Succeeded"
    return "Pending" if any(isinstance(state, Waiting) for state in states) else "Running"


def _conditions(pod: Json, phase: str, containers: Sequence[ContainerView], now: float) -> list[Json]:
    unready = [container.name for container in containers if not isinstance(container.state, Running)]
    over = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase)
    if over:
        ready = _condition("False", over)
    elif unready:
        names = " ".join(unready)
        ready = _condition("False", "ContainersNotReady", f"containers with unready status: [{names}]")
    else:
        ready = _condition("True")
    sandbox = not over and any(container.container_id for container in containers)
    wanted = {
        "PodReadyToStartContainers": _condition("True" if sandbox else "False"),
        "Initialized": _condition("True", "PodCompleted" if phase == "Succeeded" else ""),
        "Ready": ready,
        "ContainersReady": ready,
    }
    before = {condition["type"]: condition for condition in pod.get("status", {}).get("conditions") or []}
    # PodScheduled is the scheduler's and others are the Job controller's: a merge by type leaves them alone.
    return [
        {
            "type": kind,
            "lastProbeTime": None,
            "lastTransitionTime": before[kind]["lastTransitionTime"]
            if before.get(kind, {}).get("status") == condition["status"]
            else rfc3339(now),
            **condition,
        }
        for kind, condition in wanted.items()
    ]


def _condition(status: str, reason: str = "", message: str = "") -> Json:
    # null, because in a merge patch an absent key would leave the last reason in place.
    return {"status": status, "reason": reason or None, "message": message or None}


def _container_status(container: ContainerView) -> Json:
    state = container.state
    running = isinstance(state, Running)
    result: Json = {
        "name": container.name,
        "image": container.image,
        "imageID": container.image_id,
        "ready": running,
        "started": running,
        "restartCount": 0,
        "lastState": {},
        "state": _state(state, container.container_id),
    }
    if container.container_id:
        result["containerID"] = container.container_id
    return result


def _state(state: State, container_id: str) -> dict[str, Any]:
    match state:
        case Waiting(reason, message):
            return {"waiting": {"reason": reason} | ({"message": message} if message else {})}
        case Running(started_at):
            return {"running": {"startedAt": rfc3339(started_at)}}
        case Terminated(exit_code, reason, message, started_at, finished_at):
            ended: Json = {"exitCode": exit_code, "reason": reason}
            if message:
                ended["message"] = message
            if container_id:
                ended["containerID"] = container_id
            times = {"startedAt": rfc3339(started_at), "finishedAt": rfc3339(finished_at)}
            return {"terminated": ended | times}
