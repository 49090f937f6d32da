"""An inventory for benchmark.yml from the cluster's own list of its nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import yaml

from pi_speedup.codes import Code
from pi_speedup.kube.access.client import Json
from pi_speedup.kube.nodes.nodes import is_address, is_server, judged, name_of
from pi_speedup.problem import Problem, ProblemError, refuse
from pi_speedup.text import one_line

_HEAD = """\
---
# Made from the cluster's nodes by `python -m pi_speedup inventory`. Each name is a node's, as
# `kubectl get nodes` prints it; ansible_host is its address.
"""
# What Settings has where nobody sets it.
_USUAL_ARCHITECTURE = "arm64"
# The name of a K3s server that is no node itself (--disable-agent).
_SERVER_BESIDE = "k3s-server"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What an inventory will hold: hosts with their addresses, and which of them are Pis, and servers.

    `problems`: of nodes that are left out, since they have a taint, and of Pis that cannot take a pod now.
    `servers`: the one whose kubeconfig is fetched first. `ready`: the Pis that could take a pod now.
    """

    addresses: Mapping[str, str]
    pis: tuple[str, ...]
    ready: tuple[str, ...]
    servers: tuple[str, ...]
    left_out: Mapping[str, Problem]
    problems: tuple[Problem, ...]
    settings: Mapping[str, str] = field(default_factory=dict)


def choose(nodes: Sequence[Json], server: str = "") -> Chosen:
    """Return what the inventory of these Node objects holds; `server`: the address of the one asked, if any.

    ProblemError for a cluster without a node that may take pods.
    """
    if not nodes:
        raise refuse(
            Code.CLUSTER_WITHOUT_NODES, "cluster", "it has no node", "join the Pis first: kubectl get nodes"
        )
    nodes = sorted(nodes, key=_order)
    names = [_name(node) for node in nodes]
    addresses = dict(zip(names, map(_address, nodes), strict=True))
    servers = [name for name, node in zip(names, nodes, strict=True) if is_server(node)]
    if server:
        by_name = dict(zip(names, nodes, strict=True))
        asked = name_of(server, by_name)
        if asked not in by_name:
            asked = servers[0] if len(servers) == 1 else _SERVER_BESIDE
        addresses[asked] = server
        servers = [asked, *(name for name in servers if name != asked)]
    common = _common(nodes)
    found = judged(
        nodes, names, common.get("benchmark_architecture", _USUAL_ARCHITECTURE), (), datetime.now(UTC)
    ).nodes
    left_out = {
        node.name: problem for node in found for problem in node.problems if problem.code == Code.NODE_TAINTED
    }
    pis = tuple(node for node in found if node.name not in left_out)
    if not pis:
        raise ProblemError(next(iter(left_out.values())))
    return Chosen(
        addresses=addresses,
        pis=tuple(node.name for node in pis),
        ready=tuple(node.name for node in pis if not node.problems),
        servers=tuple(servers),
        left_out=left_out,
        problems=tuple(problem for node in pis for problem in node.problems),
        settings=common,
    )


def inventory_text(chosen: Chosen, base: str, user: str, ssh_arguments: str = "") -> str:
    """Return hosts.yml. `base` works alone; `user` logs in, with more `ssh_arguments` where there are any."""

    def group(names: Iterable[str]) -> dict[str, Any]:
        known = {name: chosen.addresses.get(name) for name in names}
        hosts = {name: {"ansible_host": found} if found else {} for name, found in known.items()}
        common = {"ansible_user": user, "ansible_python_interpreter": "/usr/bin/python3"}
        if ssh_arguments:
            common["ansible_ssh_common_args"] = ssh_arguments
        return {"hosts": hosts, "vars": common}

    document: dict[str, Any] = {}
    if chosen.settings:
        document["all"] = {"vars": dict(chosen.settings)}
    document["pis"] = group(chosen.pis)
    document["base"] = {"hosts": {base: {}}}
    if set(chosen.servers) <= set(chosen.pis):
        document["server"] = {"hosts": {name: {} for name in chosen.servers}}
    else:
        # One that takes no pods is no Pi here, and is logged in to all the same.
        document["server"] = group(chosen.servers)
    if not chosen.servers:
        del document["server"]
    return _HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def _common(nodes: Sequence[Json]) -> dict[str, str]:
    """Return the settings that this cluster needs, for all hosts: the run itself is one of them."""
    found = {
        one_line(node.get("status", {}).get("nodeInfo", {}).get("architecture", ""), 30) for node in nodes
    }
    if len(found) == 1 and not found <= {_USUAL_ARCHITECTURE, ""}:
        return {"benchmark_architecture": found.pop()}
    return {}


def _name(node: Json) -> str:
    return str(node["metadata"]["name"])


def _order(node: Json) -> list[tuple[str, int]]:
    """Sort pi-10 after pi-9."""
    return [(word, int(digits or 0)) for word, digits in re.findall(r"(\D*)(\d*)", _name(node))]


def _address(node: Json) -> str:
    """Return the node's internal address, IPv4 first; an empty text if it has none."""
    told = [
        str(each.get("address", ""))
        for each in node.get("status", {}).get("addresses") or ()
        if each.get("type") == "InternalIP"
    ]
    valid = [address for address in told if is_address(address)]
    return next((address for address in valid if ":" not in address), next(iter(valid), ""))
