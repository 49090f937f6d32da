"""Which of the Pis can take a pod of a Job, and what is wrong with the others, from Node objects."""

from __future__ import annotations

import ipaddress
import math
import socket
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType

from pi_speedup.codes import Code
from pi_speedup.kube.access.client import Json, KubeClient
from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.access.kubeconfig import context_words
from pi_speedup.kube.access.shape import cores
from pi_speedup.model.node import Node, Nodes
from pi_speedup.problem import Problem, refuse
from pi_speedup.text import listed, one_line

# Where each node's Lease is, which its kubelet renews.
NODE_LEASE_NAMESPACE = "kube-node-lease"

_CONTROL_PLANE_LABELS = (
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
    "node-role.kubernetes.io/etcd",
)
# Conditions that should be False, their code, what they mean, and what to look at.
# A controller manager that works has removed the taint of a state that is over within seconds.
_TAINT_STAYS_SECONDS = 60.0
_PRESSURES = {
    "MemoryPressure": (Code.NODE_SHORT_OF_RESOURCES, "short of memory", "ssh {pi} free -h"),
    "DiskPressure": (Code.NODE_SHORT_OF_RESOURCES, "short of disk space", "ssh {pi} df -h"),
    "PIDPressure": (Code.NODE_SHORT_OF_RESOURCES, "too many processes", "ssh {pi} ps aux"),
    "NetworkUnavailable": (Code.NODE_WITHOUT_NETWORK, "no pod network", "ssh {pi} journalctl -u {service}"),
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


def nodes_or_names(
    client: KubeClient,
    expected: Sequence[str],
    architecture: str,
    addresses: Mapping[str, str] = MappingProxyType({}),
) -> Nodes:
    """Return what `read_nodes` does, only the inventory's names where the nodes may not be listed.

    ProblemError if one of these is an address then: only the cluster knows which node has it.
    """
    try:
        return read_nodes(client, expected, architecture, addresses=addresses)
    except KubeError as error:
        if error.status != 403:
            raise
    if by_address := [one_line(pi, 253) for pi in expected if is_address(pi)]:
        raise refuse(
            Code.PI_NOT_A_NODE_NAME,
            listed(by_address, most=3),
            f"named by address, and kubeconfig {client.kubeconfig} may not list nodes to tell whose it is",
            "give the name of its node and set ansible_host, or use a kubeconfig that may list nodes",
        )
    return Nodes(
        nodes=tuple(Node(name=one_line(pi, 253)) for pi in expected), readable=False, not_in_inventory=()
    )


def read_nodes(
    client: KubeClient,
    expected: Sequence[str],
    architecture: str,
    tolerations: Sequence[Json] = (),
    now: datetime | None = None,
    addresses: Mapping[str, str] = MappingProxyType({}),
) -> Nodes:
    """Ask the cluster for its nodes, in one request, and judge each expected Pi; see `judged`.

    `now` is the API server's time of day if it is not given. KubeError if the cluster cannot be asked.
    """
    found, _ = client.list_all("/api/v1/nodes")
    _see_that_it_is_their_cluster(client, found, expected, addresses)
    return judged(found, expected, architecture, tolerations, now or client.now(), addresses)


def judged(
    nodes: Sequence[Json],
    expected: Sequence[str],
    architecture: str,
    tolerations: Sequence[Json],
    now: datetime,
    addresses: Mapping[str, str] = MappingProxyType({}),
) -> Nodes:
    """Judge each expected Pi; one without problems can take a pod.

    `nodes` holds Node objects as the API returns them, `tolerations` those of the Job's pods; `now` knows its
    time zone, so that an age can be given. A Pi may be expected by its address instead of its node's name, or
    by any name if `addresses` has how it is reached. ProblemError for expected Pis that make no sense.
    """
    if not expected:
        raise refuse(
            Code.INVENTORY_GROUPS, "inventory", "no Pi is expected", "put the Pis into the group `pis`"
        )
    if len(set(expected)) != len(expected):
        raise refuse(
            Code.PI_NAMED_TWICE, "inventory", "a Pi is named twice", "give each Pi a name of its own"
        )
    found = {_text(_object(node, "metadata"), "name"): node for node in nodes}
    names = [name_of(host, found, addresses.get(host, "")) for host in expected]
    for name, host in zip(names, expected, strict=True):
        if names.count(name) > 1:
            raise refuse(
                Code.PI_NAMED_TWICE,
                one_line(host, 253),
                f"it is {one_line(name, 253)}, a second time",
                "name each Pi once",
            )
    return Nodes(
        nodes=tuple(
            _judge(name, found[name], architecture, tolerations, now).model_copy(
                update={"host": None if host == name else host}
            )
            if name in found
            else _missing(name)
            for name, host in zip(names, expected, strict=True)
        ),
        not_in_inventory=tuple(one_line(name, 253) for name in sorted(set(found) - set(names))),
    )


def _see_that_it_is_their_cluster(
    client: KubeClient, nodes: Sequence[Json], expected: Sequence[str], addresses: Mapping[str, str]
) -> None:
    """Refuse a cluster that has none of the Pis, in one line instead of one for each Pi."""
    found = {_text(_object(node, "metadata"), "name"): node for node in nodes}
    if (
        found
        and expected
        and not any(name_of(host, found, addresses.get(host, "")) in found for host in expected)
    ):
        raise refuse(
            Code.NODE_MISSING,
            "inventory",
            f"none of its Pis ({listed((one_line(pi, 60) for pi in expected), most=3)}) is a node of the "
            f"cluster at {client.server} (kubeconfig {client.kubeconfig}"
            f"{context_words(Path(client.kubeconfig))}), whose nodes are "
            f"{listed((one_line(name, 60) for name in sorted(found)), most=3)}",
            "give the kubeconfig of their cluster, -e benchmark_kubeconfig=FILE, or name the Pis as "
            "kubectl get "
            "nodes does",
        )


def name_of(host: str, nodes: Mapping[str, Json], address: str = "") -> str:
    """Return the name of the node that an inventory calls by any of its names; any other name as it is.

    Where the host's own name says nothing, `address`, by which it is reached, does, and then what that name
    resolves to here.
    """
    for called in dict.fromkeys((host, address or host)):
        if (found := _called(called, nodes)) is not None:
            return found
    resolved = (_called(each, nodes) for each in _resolved(address or host))
    return next((found for found in resolved if found is not None), host)


@cache
def _resolved(name: str) -> tuple[str, ...]:
    if is_address(name):
        return ()
    try:
        return tuple(dict.fromkeys(str(place[0]) for *_, place in socket.getaddrinfo(name, None)))
    except (OSError, UnicodeError):
        return ()


def _called(host: str, nodes: Mapping[str, Json]) -> str | None:
    """Return the name of the node that is called so, None if there is none.

    A node is known by its name, its label kubernetes.io/hostname, each of its addresses however it is spelt,
    and by its name with or without a domain (pi-1.local), where no other node has it too. ProblemError where
    several nodes fit.
    """
    if host in nodes:
        return host
    for known in (_known_exactly, _known_without_domain):
        fits = [name for name, node in nodes.items() if known(host, name, node)]
        if len(fits) > 1:
            raise refuse(
                Code.PI_NAMED_TWICE,
                one_line(host, 253),
                f"several nodes are called so: "
                f"{listed((one_line(name, 60) for name in sorted(fits)), most=3)}",
                "name it as kubectl get nodes does",
            )
        if fits:
            return fits[0]
    return None


def _known_exactly(host: str, name: str, node: Json) -> bool:
    labels = _object(_object(node, "metadata"), "labels")
    others = {_text(each, "address") for each in _objects(_object(node, "status").get("addresses"))}
    others.add(_text(labels, "kubernetes.io/hostname"))
    if is_address(host):
        same = ipaddress.ip_address(host)
        return any(is_address(each) and ipaddress.ip_address(each) == same for each in others)
    return host.rstrip(".").lower() in {name, *(each.lower() for each in others)}


def _known_without_domain(host: str, name: str, _node: Json) -> bool:
    if is_address(host) or ("." in host and "." in name):
        return False
    return host.lower().partition(".")[0] == name.partition(".")[0]


def is_address(text: str) -> bool:
    """Say whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _missing(name: str) -> Node:
    pi = one_line(name, 253)
    if is_address(name):
        problem = Problem(
            code=Code.NODE_MISSING,
            subject=pi,
            what="no node of the cluster has this address",
            next_step="correct it (kubectl get nodes -o wide), or give its node's name and set ansible_host",
        )
        return Node(name=pi, problems=(problem,))
    problem = Problem(
        code=Code.NODE_MISSING,
        subject=pi,
        what="in the inventory but not in the cluster",
        next_step=f"ssh {pi} systemctl status k3s-agent, or correct the name (kubectl get nodes)",
    )
    return Node(name=pi, problems=(problem,))


def _judge(name: str, node: Json, architecture: str, tolerations: Sequence[Json], now: datetime) -> Node:
    status = _object(node, "status")
    info = _object(status, "nodeInfo")
    capacity = _object(status, "capacity")
    pi = one_line(name, 253)
    states = {**_condition_problems(pi, _service(node), status, now), **_cordon_problem(pi, node)}
    return Node(
        name=pi,
        architecture=_shown(info, "architecture"),
        kubelet_version=_shown(info, "kubeletVersion"),
        os_image=_shown(info, "osImage"),
        kernel_version=_shown(info, "kernelVersion"),
        container_runtime=_shown(info, "containerRuntimeVersion"),
        cores=_whole_cores(_text(capacity, "cpu")),
        memory=_shown(capacity, "memory"),
        server=is_server(node),
        problems=(
            *states.values(),
            *_architecture_problems(pi, node, architecture),
            *_taint_problems(pi, node, tolerations, now, already=frozenset(states)),
        ),
    )


def _whole_cores(quantity: str) -> int | None:
    found = cores(quantity)
    # A part of a core, as in a lab, still runs one process.
    return None if found is None else max(1, math.floor(found))


def _condition_problems(pi: str, service: str, status: Json, now: datetime) -> dict[str, Problem]:
    """Return the problems by condition, Ready first."""
    conditions = {_text(each, "type"): each for each in _objects(status.get("conditions"))}
    look = f"ssh {pi} systemctl status {service}"
    problems: dict[str, Problem] = {}

    def problem(code: Code, what: str, next_step: str) -> Problem:
        return Problem(code=code, subject=pi, what=what, next_step=next_step)

    ready = conditions.get("Ready")
    if ready is None:
        problems["Ready"] = problem(Code.NODE_NOT_READY, "has not reported whether it is Ready", look)
    elif _text(ready, "status") == "Unknown":
        what = f"lost: its kubelet stopped reporting ({_because(ready, now)})"
        problems["Ready"] = problem(Code.NODE_LOST, what, f"check its power and network, then {look}")
    elif _text(ready, "status") != "True":
        problems["Ready"] = problem(Code.NODE_NOT_READY, f"not Ready ({_because(ready, now)})", look)
    for kind, (code, meaning, next_step) in _PRESSURES.items():
        condition = conditions.get(kind)
        if condition is not None and _text(condition, "status") == "True":
            what = f"{meaning} ({kind}; {_because(condition, now)})"
            problems[kind] = problem(code, what, next_step.format(pi=pi, service=service))
    return problems


def _cordon_problem(pi: str, node: Json) -> dict[str, Problem]:
    if _object(node, "spec").get("unschedulable") is not True:
        return {}
    problem = Problem(
        code=Code.NODE_CORDONED,
        subject=pi,
        what="cordoned (unschedulable)",
        next_step=f"kubectl uncordon {pi}",
    )
    return {"cordon": problem}


def _architecture_problems(pi: str, node: Json, wanted: str) -> tuple[Problem, ...]:
    # The label, not nodeInfo: it is what the Job's nodeSelector compares.
    label = _object(_object(node, "metadata"), "labels").get("kubernetes.io/arch")
    if label == wanted:
        return ()
    if not isinstance(label, str):
        code = Code.NODE_OF_OTHER_ARCHITECTURE
        what = "has no label kubernetes.io/arch, so a Job's pods cannot go there"
        next_step = f"ssh {pi} systemctl status {_service(node)}"
    elif label == "arm" and wanted == "arm64":
        code = Code.PI_32_BIT
        what = "runs a 32-bit system (architecture arm), benchmark_architecture is arm64"
        next_step = (
            f"install the 64-bit Raspberry Pi OS on {pi} (Pi 3 and later can), or leave {pi} out of the "
            "inventory"
        )
    else:
        code = Code.NODE_OF_OTHER_ARCHITECTURE
        what = f"has the architecture {one_line(label, 40)}, benchmark_architecture is {one_line(wanted, 40)}"
        next_step = f"change benchmark_architecture, or leave {pi} out of the inventory"
    return (Problem(code=code, subject=pi, what=what, next_step=next_step),)


def _taint_problems(
    pi: str, node: Json, tolerations: Sequence[Json], now: datetime, already: frozenset[str]
) -> Iterable[Problem]:
    """Yield one problem for each taint that keeps pods away, and one for those that go by themselves."""
    leaving = []
    for taint in _objects(_object(node, "spec").get("taints")):
        key, effect = _text(taint, "key"), _text(taint, "effect")
        state = _DERIVED_TAINTS.get(key)
        if effect not in ("NoSchedule", "NoExecute") or state in already:
            continue
        if any(_tolerates(toleration, taint) for toleration in tolerations):
            continue
        if state is not None:
            # Kubernetes' own word for a state that is over: it takes the taint away itself, seconds later.
            leaving.append(one_line(f"{key}:{effect}", 100))
            continue
        value = _text(taint, "value")
        shown = one_line(f"{key}={value}:{effect}" if value else f"{key}:{effect}")
        yield Problem(
            code=Code.NODE_TAINTED,
            subject=pi,
            what=f"has the taint {shown}, which a Job doesn't tolerate",
            next_step=f"leave {pi} out of `pis` (it stays in `server`), for its owner keeps work away from "
            f"it; or, if nobody wants that any more, kubectl taint nodes {pi} "
            f"{one_line(f'{key}:{effect}')}-",
        )
    if leaving:
        conditions = _objects(_object(node, "status").get("conditions"))
        ready = next((each for each in conditions if _text(each, "type") == "Ready"), {})
        since = _seconds_since(_text(ready, "lastTransitionTime"), now)
        what = f"has just come back; Kubernetes has not yet taken its taint away ({', '.join(leaving)})"
        step = "run again in some seconds"
        if since is not None and since > _TAINT_STAYS_SECONDS:
            what = f"Ready {_age(since)}, but Kubernetes has not removed its taint ({', '.join(leaving)})"
            step = (
                "possibly its controller manager does not work: on the K3s server, sudo journalctl -u k3s; "
                "if nothing there says why, sudo systemctl restart k3s"
            )
        yield Problem(code=Code.NODE_JUST_BACK, subject=pi, what=what, next_step=step)


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


def _because(condition: Json, now: datetime) -> str:
    """Return a condition's reason, message and age: `KubeletNotReady: <message>, for 4 min`."""
    reason = one_line(_text(condition, "reason"), 60) or "no reason given"
    message = one_line(_text(condition, "message"), 160).rstrip(".")
    when = _text(condition, "lastTransitionTime")
    seconds = _seconds_since(when, now)
    if seconds is None:
        since = ""
    elif seconds < 0:
        # The Pi's clock is ahead: an age would be a guess.
        since = f", since {one_line(when, 40)}"
    else:
        since = f", {_age(seconds)}"
    return (f"{reason}: {message}" if message else reason) + since


def _seconds_since(timestamp: str, now: datetime) -> float | None:
    """Return the seconds between a moment and `now`, None for what is not a moment."""
    try:
        since = datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    return (now - (since if since.tzinfo else since.replace(tzinfo=UTC))).total_seconds()


def _age(seconds: float) -> str:
    if seconds < 120:
        return f"for {seconds:.0f} s"
    if seconds < 120 * 60:
        return f"for {seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"for {seconds / 3600:.0f} h"
    return f"for {seconds / 86400:.0f} days"


def _service(node: Json) -> str:
    return "k3s" if is_server(node) else "k3s-agent"


def is_server(node: Json) -> bool:
    """Say whether a Node object is of the control plane."""
    labels = _object(_object(node, "metadata"), "labels")
    return any(label in labels for label in _CONTROL_PLANE_LABELS)


def _object(parent: Json, key: str) -> Json:
    # Absent and null both mean "nothing set" in the Kubernetes API.
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> tuple[Json, ...]:
    if not isinstance(value, Sequence):
        return ()
    return tuple(item for item in value if isinstance(item, dict))


def _text(parent: Json, key: str) -> str:
    value = parent.get(key)
    return value if isinstance(value, str) else ""


def _shown(parent: Json, key: str) -> str | None:
    return one_line(_text(parent, key), 120) or None
