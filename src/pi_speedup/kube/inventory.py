"""An inventory for benchmark.yml from the cluster's own list of its nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from pi_speedup.codes import Code
from pi_speedup.kube.nodes import is_address, is_server
from pi_speedup.problem import refuse
from pi_speedup.text import one_line

Json = Mapping[str, Any]

_HEAD = """\
---
# Made from the cluster's nodes by `python -m pi_speedup inventory`. Each name is a node's, as
# `kubectl get nodes` prints it; ansible_host is its address.
"""
# What Settings has where nobody sets it.
_USUAL_ARCHITECTURE = "arm64"


def inventory_text(nodes: Sequence[Json], user: str) -> str:
    """Return hosts.yml with all nodes as Pis: the first one of the control plane is also measured alone.

    `nodes` holds Node objects as the API returns them; `user` logs in to the Pis. ProblemError for a cluster
    without nodes.
    """
    if not nodes:
        raise refuse(
            Code.CLUSTER_WITHOUT_NODES, "cluster", "it has no node", "join the Pis first: kubectl get nodes"
        )
    nodes = sorted(nodes, key=_order)
    names = [_name(node) for node in nodes]
    addresses = dict(zip(names, map(_address, nodes), strict=True))
    servers = [name for name, node in zip(names, nodes, strict=True) if is_server(node)]
    document: dict[str, Any] = {}
    common = dict(_common(nodes))
    if common:
        document["all"] = {"vars": common}
    document["pis"] = {
        "hosts": {name: {"ansible_host": found} if found else {} for name, found in addresses.items()},
        "vars": {"ansible_user": user, "ansible_python_interpreter": "/usr/bin/python3"},
    }
    document["base"] = {"hosts": {(servers or names)[0]: {}}}
    if servers:
        document["server"] = {"hosts": {name: {} for name in servers}}
    return _HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def _common(nodes: Sequence[Json]) -> Iterator[tuple[str, str]]:
    """Give the settings that this cluster needs, for all hosts: the run itself is one of them."""
    found = {
        one_line(node.get("status", {}).get("nodeInfo", {}).get("architecture", ""), 30) for node in nodes
    }
    if len(found) == 1 and not found <= {_USUAL_ARCHITECTURE, ""}:
        yield "benchmark_architecture", found.pop()


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
