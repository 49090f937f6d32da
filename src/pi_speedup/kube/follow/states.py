"""Verdicts over a Job, its pods and their events as the Kubernetes API reports them (plain JSON objects).

What each state looks like was recorded on a real cluster; tests/unit/kube/states holds those recordings.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pi_speedup.codes import Code
from pi_speedup.kube.access.errors import WHO_DOES_NOT_ANSWER, not_answering
from pi_speedup.problem import Problem
from pi_speedup.text import innermost, one_line, tells_full_disk

KubeObject = Mapping[str, Any]

# With the pod, its Pi and the reason before it, the line stays below 200 characters.
_MESSAGE_LIMIT = 150
# Long enough for any cause, which comes last.
_WHOLE = 2000

# Seconds an obstacle of a kind must last before it counts as hopeless: zero where Kubernetes never gets
# past it by itself, a little where the same words also pass by in a healthy run.
PATIENCE_SECONDS: Mapping[str, float] = {
    "image": 0,
    # The kubelet pulls a second time 10 s after the first failure: a registry may hiccup once.
    "pull": 12,
    "http": 0,
    "authority": 0,
    "rate limit": 12,
    "processor": 0,
    "config": 0,
    # The same reason in words that pass by: a kubelet that has just started, a Pi whose disk is slow.
    "settling": 30,
    # A Pi that was just freed or just became Ready is not yet known to the scheduler.
    "unschedulable": 5,
    # Other pods may fail or finish in the same instant, and the Job's own verdict says more.
    "failed": 2,
    # The kubelet says so of the container, and of the pod only once it could remove the sandbox: not at all
    # where a power cut has spoilt what the network plugin knew of it.
    "ended": 10,
    "deleted": 2,
    "forbidden": 0,
    "not created": 10,
    "webhook": 20,
    "sandbox": 20,
    # The kubelet tries again within seconds; what the Pi's kernel lacks it will not get.
    "container": 10,
    # The kubelet removes images that nobody uses, which may make room.
    "disk": 30,
}

_MORE_MEMORY = "raise benchmark_memory_limit_mib"
_PI_LOST = (
    Code.PI_LOST_DURING_TRIAL,
    "check the Pi's power, network and k3s-agent, then run again",
)
_EVICTED = (
    Code.POD_EVICTED,
    "make room on that Pi (kubectl describe node says what is used), then run again",
)
_CHECK_IMAGE = "check benchmark_image, and that the Pi reaches its registry: sudo k3s crictl pull on the Pi"

# What kind of problem it is and what to do next, by kind of obstacle; a reason that says more comes first.
# {pi} is the pod's.
MEANINGS: Mapping[str, tuple[Code, str]] = {
    "image": (Code.IMAGE_UNAVAILABLE, _CHECK_IMAGE),
    "pull": (Code.IMAGE_UNAVAILABLE, _CHECK_IMAGE),
    "http": (
        Code.IMAGE_UNAVAILABLE,
        "tell K3s on each Pi that this registry speaks http: an endpoint http://... under mirrors in "
        "/etc/rancher/k3s/registries.yaml, which K3s reads when it starts",
    ),
    "authority": (
        Code.IMAGE_UNAVAILABLE,
        "name the registry's authority on each Pi: ca_file under configs in "
        "/etc/rancher/k3s/registries.yaml, "
        "which K3s reads when it starts",
    ),
    "rate limit": (
        Code.IMAGE_RATE_LIMIT,
        "wait an hour, log in to the registry (/etc/rancher/k3s/registries.yaml on each Pi), or set "
        "benchmark_image to one of another registry",
    ),
    "processor": (
        Code.IMAGE_FOR_OTHER_PROCESSOR,
        "set benchmark_image to one that is built for this kind of Pi; its registry's page says for which "
        "it is",
    ),
    "config": (Code.POD_SETTINGS_REFUSED, "change the image or the pod's settings as the message says"),
    "settling": (
        Code.POD_NOT_STARTED,
        "look at the Pi's disk and container runtime: journalctl -u k3s-agent",
    ),
    "unschedulable": (
        Code.POD_UNSCHEDULABLE,
        "make room on the Pis, or let them take pods (kubectl uncordon), and run again",
    ),
    "failed": (Code.POD_FAILED, "read the pod's log"),
    "ended": (Code.POD_FAILED, "read the pod's log"),
    "deleted": (Code.POD_DELETED, "look at the Pi and at the events, then run again"),
    "forbidden": (
        Code.NAMESPACE_RULE,
        "use a namespace whose rules admit this pod (benchmark_namespace), or change the rule",
    ),
    "not created": (Code.POD_NOT_CREATED, "read the Job's events: kubectl describe job -A"),
    "webhook": (Code.WEBHOOK_AWAY, WHO_DOES_NOT_ANSWER),
    "sandbox": (
        Code.POD_NOT_STARTED,
        "look at the Pi's container runtime and network: journalctl -u k3s-agent",
    ),
    "container": (
        Code.POD_NOT_STARTED,
        "look at the Pi's container runtime (journalctl -u k3s-agent), and that its kernel is started with "
        "cgroup_memory=1 cgroup_enable=memory",
    ),
    "disk": (
        Code.PI_DISK_FULL,
        "ssh {pi} df -h shows which file system is full; ssh {pi} sudo k3s crictl images what images take",
    ),
    # A pod that failed.
    "OOMKilled": (Code.OUT_OF_MEMORY, _MORE_MEMORY),
    "Killed": (Code.OUT_OF_MEMORY, f"{_MORE_MEMORY}, or see what else stopped it on that Pi"),
    "StartError": (
        Code.IMAGE_WITHOUT_INTERPRETER,
        "see that the image holds python3 (for a command: sh) for this kind of Pi",
    ),
    "Evicted": _EVICTED,
    "OutOfcpu": _EVICTED,
    "OutOfmemory": _EVICTED,
    "OutOfpods": _EVICTED,
    "Terminated": _PI_LOST,
    "NodeShutdown": _PI_LOST,
    "ContainerStatusUnknown": _PI_LOST,
    # A container's, of which containerd knows no exit code: the Pi, or containerd, was started anew under it.
    "Unknown": _PI_LOST,
    # A pod that was deleted: reasons of its condition DisruptionTarget.
    "DeletionByTaintManager": _PI_LOST,
    "DeletionByPodGC": _PI_LOST,
    "TerminationByKubelet": _EVICTED,
    "PreemptionByScheduler": _EVICTED,
    "EvictionByEvictionAPI": (
        Code.PI_DRAINED,
        "someone drained the Pi: kubectl uncordon it, then run again",
    ),
    "Deleted": (Code.POD_DELETED, "see who removed it (kubectl get events -A), then run again"),
}

# What may go well when it is tried again: the pod was in something's way, or its Pi was away.
PASSES_BY_ITSELF = frozenset(
    {
        "Evicted",
        "OutOfcpu",
        "OutOfmemory",
        "OutOfpods",
        "Preempting",
        "PreemptionByScheduler",
        "TerminationByKubelet",
        "DeletionByTaintManager",
        "DeletionByPodGC",
        "Unknown",
    }
)
# The pod's Pi was given up by Kubernetes, since it had stopped answering.
PI_LOST = frozenset({"DeletionByTaintManager", "DeletionByPodGC"})

_IMAGE_REASONS = frozenset(
    {"InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "SignatureValidationFailed"}
)
_PULL_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"})
_CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
# The registry's own word that trying again is of no use.
_NO_SUCH_IMAGE = re.compile(r"not found|manifest unknown|denied|unauthorized")
_OTHER_PROCESSOR = re.compile(r"no match for platform|no matching manifest")
_RATE_LIMIT = re.compile(r"toomanyrequests[^\n]*|429 Too Many Requests(?!.*toomanyrequests)")
# Where a message about a pull comes to its cause; all before it says again what was tried.
_PULL_CAUSE = re.compile(
    r"(?:dial tcp|lookup |read tcp|x509: |tls: |unexpected status|pull access denied|unauthorized"
    r"|no match for platform|no space left|manifest unknown|context deadline exceeded|net/http: )[^\n]*"
)
_VERDICTS = frozenset({"Complete", "Failed", "FailureTarget"})
_SETTLING = re.compile(
    r"services have not yet been read|failed to sync|timed out waiting|deadline exceeded|is reserved for"
)
# 128 + SIGKILL: the kernel's, for want of memory, is not always recognised as such.
_KILLED = 137
_NO_MEMORY_TO_START = re.compile(r"OOM-killed|memory limit too low|Minimum memory limit")
# What the admission says while a namespace's account or quota is still being made.
_BEING_MADE = re.compile(r"error looking up service account|status unknown for quota")
# What the Job's controller puts before the reason why a pod was not admitted.
_CREATING = re.compile(r'^Error creating: (?:pods "[^"]*" is forbidden: )?')
_EVENT_KINDS = {
    "FailedCreatePodSandBox": "sandbox",
    "NetworkNotReady": "sandbox",
    "FailedCreatePodContainer": "container",
}
_FORBIDDEN = re.compile(r"forbidden|violates PodSecurity|exceeded quota|denied the request")


@dataclass(frozen=True, slots=True)
class PodState:
    """Where one pod stands: its completion index, the Pi it was given, and the phase in words."""

    name: str
    index: int | None
    node: str | None
    phase: str

    def __str__(self) -> str:
        where = f" on {self.node}" if self.node else ""
        return f"pod {self.name if self.index is None else self.index}{where}"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that keeps a pod from finishing; `kind` is a key of PATIENCE_SECONDS and MEANINGS."""

    kind: str
    subject: str
    reason: str
    message: str
    # Set when the obstacle is a pod's: its name, by which its log is found, and its Pi.
    pod_name: str | None = None
    pi: str | None = None

    @property
    def patience_seconds(self) -> float:
        """Seconds this must last before the run is given up."""
        return PATIENCE_SECONDS[self.kind]

    @property
    def problem(self) -> Problem:
        """What is told of it."""
        what = self.message if self.message.startswith("exit code") else f"{self.reason}: {self.message}"
        code, next_step = MEANINGS.get(self.reason, MEANINGS[self.kind])
        next_step = next_step.replace("{pi}", self.pi or "PI")
        return Problem(code=code, subject=self.subject, what=what, next_step=next_step)


@dataclass(frozen=True, slots=True)
class JobVerdict:
    """How the Job ended; `reason` and `message` are Kubernetes' own words."""

    outcome: Literal["complete", "failed"]
    reason: str
    message: str


def completion_index(pod: KubeObject) -> int | None:
    """Return the pod's index in its Indexed Job, None if it carries none."""
    text = (pod["metadata"].get("annotations") or {}).get("batch.kubernetes.io/job-completion-index", "")
    return int(text) if re.fullmatch(r"\d{1,6}", text) else None


def pod_state(pod: KubeObject) -> PodState:
    """Return where a pod stands, in words for a line of progress."""
    return PodState(
        name=pod["metadata"]["name"],
        index=completion_index(pod),
        node=pod.get("spec", {}).get("nodeName"),
        phase=_phase(pod),
    )


def _phase(pod: KubeObject) -> str:
    phase = pod.get("status", {}).get("phase", "Pending")
    if phase == "Succeeded":
        return "succeeded"
    if phase == "Failed":
        return f"failed ({_failure(pod)[1]})"
    if pod["metadata"].get("deletionTimestamp"):
        return "terminating"
    if phase == "Running":
        return "running"
    if not pod.get("spec", {}).get("nodeName"):
        return "waiting for a Pi"
    waiting = _waiting(pod)
    return f"starting ({waiting[0]})" if waiting else "starting"


def _container(pod: KubeObject, state: str) -> Mapping[str, Any]:
    """Return the one container's waiting, running or terminated state, empty if it is in another."""
    for status in pod.get("status", {}).get("containerStatuses") or ():
        found: Mapping[str, Any] = (status.get("state") or {}).get(state) or {}
        return found
    return {}


def _waiting(pod: KubeObject) -> tuple[str, str] | None:
    waiting = _container(pod, "waiting")
    if not waiting.get("reason"):
        return None
    return one_line(waiting["reason"], 60), one_line(waiting.get("message", ""), _WHOLE)


def _pull_kind(message: str) -> str:
    if _RATE_LIMIT.search(message):
        return "rate limit"
    if _OTHER_PROCESSOR.search(message):
        return "processor"
    if tells_full_disk(message):
        return "disk"
    if "server gave HTTP response" in message:
        return "http"
    if re.search(r"signed by unknown authority|certificate is not trusted", message):
        return "authority"
    return "image" if _NO_SUCH_IMAGE.search(message) else "pull"


def pull_cause(message: str, image: str) -> str:
    """Return why an image could not be had, without the chain of attempts that a runtime puts before it."""
    found = _RATE_LIMIT.search(message) or _PULL_CAUSE.search(message)
    if found:
        return f"{image}: {one_line(found[0], _MESSAGE_LIMIT)}"
    return message if len(message) <= _MESSAGE_LIMIT else f"{image}: {innermost(message, _MESSAGE_LIMIT)}"


def _failure(pod: KubeObject) -> tuple[str, str]:
    """Return a failed pod's reason and a sentence with its exit code, if there is one."""
    status = pod["status"]
    if status.get("reason"):
        # Refused, evicted or shut down by the kubelet, whose words say more than an exit code.
        reason = one_line(status["reason"], 60)
        return reason, one_line(status.get("message") or reason, _MESSAGE_LIMIT)
    terminated = _container(pod, "terminated")
    if not terminated:
        return "Failed", "Failed"
    reason = one_line(terminated.get("reason") or "Error", 60)
    words = f"exit code {terminated.get('exitCode')}, {reason}"
    if reason == "Unknown":
        words = f"{words}: possibly the Pi restarted or lost its power"
    disrupted = _disruption(pod)
    if disrupted:
        return disrupted[0], f"{disrupted[1]} ({words})"
    if terminated.get("exitCode") == _KILLED and reason == "Error":
        reason, words = "Killed", f"{words} (killed)"
    # The worker's own message is JSON and belongs to a success; a runtime's message explains the exit code.
    message = terminated.get("message") or ""
    if _NO_MEMORY_TO_START.search(message):
        reason = "OOMKilled"
    if not message or message.startswith("{"):
        return reason, words
    return reason, f"{words}: {innermost(message, _MESSAGE_LIMIT)}"


def no_such_program(said: str) -> bool:
    """Say whether a runtime complains that the image does not hold what it shall start."""
    return "executable file not found" in said or "no such file or directory" in said


def _disruption(pod: KubeObject) -> tuple[str, str] | None:
    """Return reason and message of a pod's deletion or eviction by others, None if it had none."""
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition["type"] == "DisruptionTarget" and condition.get("status") == "True":
            reason = one_line(condition.get("reason") or "Deleted", 60)
            return reason, one_line(condition.get("message") or reason, _MESSAGE_LIMIT)
    if pod["metadata"].get("deletionTimestamp"):
        return "Deleted", "the pod was deleted before it finished"
    return None


def is_running(pod: KubeObject) -> bool:
    """Say whether the pod's container runs."""
    return bool(_container(pod, "running"))


def is_over(pod: KubeObject) -> bool:
    """Say whether the pod has ended, well or not."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def has_started(pod: KubeObject) -> bool:
    """Say whether the pod's container ever ran, so whether there can be a log."""
    return bool(_container(pod, "running") or _container(pod, "terminated").get("startedAt"))


def termination_message(pod: KubeObject) -> str | None:
    """Return what the worker left in its termination log, None if it left nothing."""
    return _container(pod, "terminated").get("message") or None


def pod_obstacle(pod: KubeObject) -> Obstacle | None:
    """Return what keeps this pod from succeeding as far as its own status says, None if nothing does."""
    state = pod_state(pod)

    def obstacle(kind: str, reason: str, message: str) -> Obstacle:
        return Obstacle(kind, str(state), reason, message, state.name, state.node)

    phase = pod.get("status", {}).get("phase", "Pending")
    if phase == "Succeeded":
        return None
    if phase == "Failed":
        return obstacle("failed", *_failure(pod))
    disrupted = _disruption(pod)
    if pod["metadata"].get("deletionTimestamp") and disrupted:
        return obstacle("deleted", *disrupted)
    if _container(pod, "terminated").get("exitCode"):
        return obstacle("ended", *_failure(pod))
    conditions = {item["type"]: item for item in pod.get("status", {}).get("conditions") or ()}
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return obstacle(
            "unschedulable", "Unschedulable", one_line(scheduled.get("message", ""), _MESSAGE_LIMIT)
        )
    waiting = _waiting(pod)
    if waiting is None:
        return None
    reason, message = waiting
    if reason in _PULL_REASONS:
        container: Mapping[str, Any] = next(iter(pod.get("spec", {}).get("containers") or ()), {})
        image = one_line(container.get("image", ""), 100)
        return obstacle(_pull_kind(message), reason, pull_cause(message, image))
    if reason in _IMAGE_REASONS:
        return obstacle("image", reason, innermost(message, _MESSAGE_LIMIT))
    if reason in _CONFIG_REASONS:
        kind = "settling" if _SETTLING.search(message) else "config"
        if tells_full_disk(message):
            kind = "disk"
        return obstacle(kind, reason, innermost(message, _MESSAGE_LIMIT))
    return None


def event_obstacle(
    event: KubeObject, job_uid: str, pods: Iterable[KubeObject], expected: int
) -> Obstacle | None:
    """Return what an event says keeps the Job or a pod from starting, None if it says nothing or is over.

    Some causes are in no status at all: a pod that Pod Security forbids never exists, a missing ConfigMap
    shows as an endless ContainerCreating. `expected` is the number of pods the Job wants.
    """
    pods = tuple(pods)
    uid = event.get("involvedObject", {}).get("uid")
    reason = one_line(event.get("reason", ""), 60)
    message = one_line(event.get("message", ""), _WHOLE)
    if uid == job_uid:
        if reason != "FailedCreate" or len(pods) >= expected:
            return None
        final = _FORBIDDEN.search(message) and not _BEING_MADE.search(message)
        kind = "forbidden" if final else "not created"
        said = one_line(_CREATING.sub("", message), _MESSAGE_LIMIT)
        if unasked := not_answering(message):
            kind, said = "webhook", f"{unasked[0]} does not answer ({unasked[1]})"
        return Obstacle(kind, f"{expected - len(pods)} of {expected} pods", reason, said)
    kind = _EVENT_KINDS.get(reason, "")
    if kind and tells_full_disk(message):
        kind = "disk"
    for pod in pods:
        if kind and pod["metadata"]["uid"] == uid and _phase(pod).startswith("starting"):
            state = pod_state(pod)
            return Obstacle(
                kind, str(state), reason, innermost(message, _MESSAGE_LIMIT), state.name, state.node
            )
    return None


def job_verdict(job: KubeObject) -> JobVerdict | None:
    """Return how the Job ended, None while it hasn't.

    FailureTarget is a verdict already: Failed follows only when the last pod is gone, which on a lost Pi is
    never. Success is Complete alone: before it, a pod may still be running.
    """
    for condition in job.get("status", {}).get("conditions") or ():
        if condition.get("status") != "True" or condition["type"] not in _VERDICTS:
            continue
        return JobVerdict(
            outcome="complete" if condition["type"] == "Complete" else "failed",
            reason=one_line(condition.get("reason") or condition["type"], 60),
            message=one_line(condition.get("message") or ""),
        )
    return None


def placement_problems(pods: Sequence[PodState], node_names: Sequence[str]) -> tuple[str, ...]:
    """Compare where the pods ran with the Pis that should have run one each; one line per Pi that didn't.

    Anti-affinity alone proves nothing: a pod that waits may take a Pi that another pod has left.
    """
    ran = Counter(pod.node or "no Pi" for pod in pods if pod.phase == "succeeded")
    wanted = Counter(node_names)
    return tuple(
        f"{name} ran {ran[name]} pods instead of {wanted[name]}"
        for name in sorted(wanted | ran)
        if ran[name] != wanted[name]
    )
