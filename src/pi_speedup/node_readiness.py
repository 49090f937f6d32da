"""Which of the Pis can take a pod of the Job, and what is wrong with the others, from Node objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pi_speedup.plain import one_line
from pi_speedup.results import Node

Json = Mapping[str, object]

_CONTROL_PLANE_LABELS = (
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
    "node-role.kubernetes.io/etcd",
)
# Conditions that should be False, what they mean, and what to look at.
_PRESSURES = {
    "MemoryPressure": ("is short of memory", "ssh {pi} free -h"),
    "DiskPressure": ("is short of disk space", "ssh {pi} df -h"),
    "PIDPressure": ("has too many processes", "ssh {pi} ps aux"),
    "NetworkUnavailable": ("has no pod network", "ssh {pi} journalctl -u {service}"),
}
# Taints that Kubernetes itself derives from a state: named with that state, not a second time.
_DERIVED_TAINTS = {
    "node.kubernetes.io/not-ready": "Ready",
    "node.kubernetes.io/unreachable": "Ready",
    "node.kubernetes.io/unschedulable": "cordon",
    "node.kubernetes.io/memory-pressure": "MemoryPressure",
    "node.kubernetes.io/disk-pressure": "DiskPressure",
    "node.kubernetes.io/pid-pressure": "PIDPressure",
    "node.kubernetes.io/network-unavailable": "NetworkUnavailable",
}


@dataclass(frozen=True, slots=True)
class Readiness:
    """nodes.json: one entry per expected Pi in the given order, and the cluster's other nodes by name."""

    schema_version: int
    nodes: tuple[Node, ...]
    not_in_inventory: tuple[str, ...]


def node_readiness(
    node_list: Sequence[Json],
    *,
    expected: Sequence[str],
    architecture: str,
    now: float | str,
    tolerations: Sequence[Json] = (),
) -> Readiness:
    """Judge each expected Pi; a Pi without problems is usable.

    `node_list` holds Node objects as the API returns them, `tolerations` those of the Job's pods. `now` is
    epoch seconds or an ISO 8601 time with its offset, so that an age can be given. Each problem is one line:
    the Pi, what is wrong with reason and age, the next step. ValueError for arguments that make no sense.
    """
    if not expected:
        raise ValueError("no Pi is expected. Next: name the Pis in the inventory")
    if len(set(expected)) != len(expected):
        raise ValueError("a Pi is named twice in the inventory")
    now_epoch = _epoch(now)
    found = {_text(_object(node, "metadata"), "name"): node for node in _objects(node_list, "the node list")}
    wanted_tolerations = _objects(tolerations, "the list of tolerations")
    return Readiness(
        schema_version=1,
        nodes=tuple(
            _judge(name, found[name], architecture, wanted_tolerations, now_epoch)
            if name in found
            else _missing(name)
            for name in expected
        ),
        not_in_inventory=tuple(one_line(name, 253) for name in sorted(set(found) - set(expected))),
    )


def _missing(name: str) -> Node:
    pi = one_line(name, 253)
    problem = (
        f"{pi} is in the inventory but not in the cluster. Next: ssh {pi} systemctl status k3s-agent, "
        "or correct the name (kubectl get nodes)"
    )
    return Node(pi, None, None, None, None, None, None, None, usable=False, problems=(problem,))


def _judge(name: str, node: Json, architecture: str, tolerations: Sequence[Json], now: float) -> Node:
    status = _object(node, "status")
    info = _object(status, "nodeInfo")
    capacity = _object(status, "capacity")
    pi = one_line(name, 253)
    found = {
        **_condition_problems(pi, _service(node), status, now),
        **_cordon_problem(pi, node),
    }
    problems = (
        *found.values(),
        *_architecture_problems(pi, node, architecture),
        *_taint_problems(pi, node, tolerations, already=frozenset(found)),
    )
    return Node(
        name=pi,
        architecture=_shown(info, "architecture"),
        kubelet_version=_shown(info, "kubeletVersion"),
        os_image=_shown(info, "osImage"),
        kernel_version=_shown(info, "kernelVersion"),
        container_runtime=_shown(info, "containerRuntimeVersion"),
        cpu=_shown(capacity, "cpu"),
        memory=_shown(capacity, "memory"),
        usable=not problems,
        problems=problems,
    )


def _condition_problems(pi: str, service: str, status: Json, now: float) -> dict[str, str]:
    """Return the problems by condition, Ready first."""
    conditions = {
        _text(condition, "type"): condition
        for condition in _objects(status.get("conditions") or (), f"the conditions of {pi}")
    }
    look = f"ssh {pi} systemctl status {service}"
    problems: dict[str, str] = {}
    ready = conditions.get("Ready")
    if ready is None:
        problems["Ready"] = f"{pi} has not reported whether it is Ready. Next: {look}"
    elif _text(ready, "status") == "Unknown":
        problems["Ready"] = (
            f"{pi} is lost: its kubelet stopped reporting ({_because(ready, now)}). "
            f"Next: check its power and network, then {look}"
        )
    elif _text(ready, "status") != "True":
        problems["Ready"] = f"{pi} is not Ready ({_because(ready, now)}). Next: {look}"
    for kind, (meaning, next_step) in _PRESSURES.items():
        condition = conditions.get(kind)
        if condition is not None and _text(condition, "status") == "True":
            step = next_step.format(pi=pi, service=service)
            problems[kind] = f"{pi} {meaning} ({kind}; {_because(condition, now)}). Next: {step}"
    return problems


def _cordon_problem(pi: str, node: Json) -> dict[str, str]:
    if _object(node, "spec").get("unschedulable") is not True:
        return {}
    return {"cordon": f"{pi} is cordoned (unschedulable). Next: kubectl uncordon {pi}"}


def _architecture_problems(pi: str, node: Json, wanted: str) -> tuple[str, ...]:
    # The label, not nodeInfo: it is what the Job's nodeSelector compares.
    label = _object(_object(node, "metadata"), "labels").get("kubernetes.io/arch")
    if label == wanted:
        return ()
    if not isinstance(label, str):
        return (
            f"{pi} has no label kubernetes.io/arch, so the Job's pods cannot go there. "
            f"Next: ssh {pi} systemctl status {_service(node)}",
        )
    if label == "arm" and wanted == "arm64":
        return (
            f"{pi} runs a 32-bit system (architecture arm), the Job wants arm64. Next: install the 64-bit "
            f"Raspberry Pi OS on {pi} (Pi 3 and later can), or take it out of the inventory",
        )
    return (
        f"{pi} has the architecture {one_line(label, 40)}, the Job wants {one_line(wanted, 40)}. "
        f"Next: set the architecture in the inventory, or take {pi} out of it",
    )


def _taint_problems(
    pi: str, node: Json, tolerations: Sequence[Json], already: frozenset[str]
) -> tuple[str, ...]:
    problems = []
    for taint in _objects(_object(node, "spec").get("taints") or (), f"the taints of {pi}"):
        key, effect = _text(taint, "key"), _text(taint, "effect")
        if effect not in ("NoSchedule", "NoExecute") or _DERIVED_TAINTS.get(key) in already:
            continue
        if any(_tolerates(toleration, taint) for toleration in tolerations):
            continue
        value = _text(taint, "value")
        shown = one_line(f"{key}={value}:{effect}" if value else f"{key}:{effect}")
        problems.append(
            f"{pi} has the taint {shown}, which the Job doesn't tolerate. "
            f"Next: kubectl taint nodes {pi} {one_line(f'{key}:{effect}')}-"
        )
    return tuple(problems)


def _tolerates(toleration: Json, taint: Json) -> bool:
    """Whether a toleration matches a taint.

    Source: Kubernetes documentation, Taints and Tolerations: an empty key with Exists matches every taint, an
    empty effect every effect. Assumption: tolerationSeconds is long enough for the Job.
    """
    effect, key = _text(toleration, "effect"), _text(toleration, "key")
    if effect and effect != _text(taint, "effect"):
        return False
    exists = _text(toleration, "operator") == "Exists"
    if not key:
        return exists
    return key == _text(taint, "key") and (exists or _text(toleration, "value") == _text(taint, "value"))


def _because(condition: Json, now: float) -> str:
    """Return a condition's reason, message and age: `KubeletNotReady: <message>, for 4 min`."""
    reason = one_line(_text(condition, "reason"), 60) or "no reason given"
    message = one_line(_text(condition, "message"), 160).rstrip(".")
    since = _age(_text(condition, "lastTransitionTime"), now)
    return (f"{reason}: {message}" if message else reason) + (f", {since}" if since else "")


def _age(timestamp: str, now: float) -> str:
    try:
        seconds = now - _epoch(timestamp)
    except ValueError:
        return ""
    if seconds < 0:
        # The cluster's clock is ahead of ours: an age would be a guess.
        return f"since {one_line(timestamp, 40)}"
    if seconds < 120:
        return f"for {seconds:.0f} s"
    if seconds < 120 * 60:
        return f"for {seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"for {seconds / 3600:.0f} h"
    return f"for {seconds / 86400:.0f} days"


def _epoch(time: float | str) -> float:
    if isinstance(time, (int, float)):
        return float(time)
    try:
        parsed = datetime.fromisoformat(time)
    except ValueError:
        raise ValueError(f"{one_line(repr(time), 60)} is no time in ISO 8601") from None
    if parsed.tzinfo is None:
        raise ValueError(f"{one_line(repr(time), 60)} has no offset: end it with Z for UTC")
    return parsed.astimezone(UTC).timestamp()


def _service(node: Json) -> str:
    labels = _object(_object(node, "metadata"), "labels")
    return "k3s" if any(label in labels for label in _CONTROL_PLANE_LABELS) else "k3s-agent"


def _object(parent: Json, key: str) -> Json:
    # Absent and null both mean "nothing set" in the Kubernetes API.
    value = parent.get(key)
    return value if isinstance(value, Mapping) else {}


def _objects(value: object, what: str) -> tuple[Json, ...]:
    if not isinstance(value, Sequence) or not all(isinstance(item, Mapping) for item in value):
        raise ValueError(f"{what} must be a list of objects")
    return tuple(value)


def _text(parent: Json, key: str) -> str:
    value = parent.get(key)
    return value if isinstance(value, str) else ""


def _shown(parent: Json, key: str) -> str | None:
    return one_line(_text(parent, key), 120) or None
