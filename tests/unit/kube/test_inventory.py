"""hosts.yml from Node objects."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from pi_speedup.kube.inventory import inventory_text
from pi_speedup.problem import ProblemError


def node(name: str, *addresses: str, server: bool = False, architecture: str = "arm64") -> dict[str, Any]:
    labels = {"node-role.kubernetes.io/control-plane": "true"} if server else {}
    told = [{"type": "InternalIP", "address": each} for each in addresses]
    return {
        "metadata": {"name": name, "labels": labels},
        "status": {
            "addresses": [{"type": "ExternalIP", "address": "203.0.113.9"}, *told],
            "nodeInfo": {"architecture": architecture},
        },
    }


def made(*nodes: dict[str, Any]) -> Any:
    return yaml.safe_load(inventory_text(nodes, "me"))


def test_every_node_is_a_pi_and_the_control_plane_the_server() -> None:
    found = made(node("pi-10", "10.0.0.10"), node("pi-2", "10.0.0.2", server=True), node("pi-1", "10.0.0.1"))
    assert found == {
        "pis": {
            "hosts": {
                "pi-1": {"ansible_host": "10.0.0.1"},
                "pi-2": {"ansible_host": "10.0.0.2"},
                "pi-10": {"ansible_host": "10.0.0.10"},
            },
            "vars": {"ansible_user": "me", "ansible_python_interpreter": "/usr/bin/python3"},
        },
        "base": {"hosts": {"pi-2": {}}},
        "server": {"hosts": {"pi-2": {}}},
    }
    # In the order of their numbers, whatever the cluster's.
    assert list(found["pis"]["hosts"]) == ["pi-1", "pi-2", "pi-10"]


def test_without_a_control_plane_among_the_nodes_the_first_one_works_alone() -> None:
    found = made(node("b", "10.0.0.2"), node("a", "10.0.0.1"))
    assert found["base"] == {"hosts": {"a": {}}} and "server" not in found


def test_several_servers() -> None:
    found = made(node("b", "10.0.0.2", server=True), node("a", "10.0.0.1", server=True))
    assert list(found["server"]["hosts"]) == ["a", "b"] and list(found["base"]["hosts"]) == ["a"]


@pytest.mark.parametrize(
    ("addresses", "chosen"),
    [
        (("10.0.0.1",), {"ansible_host": "10.0.0.1"}),
        (("fd00::1", "10.0.0.1"), {"ansible_host": "10.0.0.1"}),
        (("fd00::1",), {"ansible_host": "fd00::1"}),
        ((), {}),
        (("{{ lookup('pipe', 'id') }}",), {}),
    ],
    ids=["IPv4", "both", "IPv6", "none", "not an address"],
)
def test_the_address(addresses: tuple[str, ...], chosen: dict[str, str]) -> None:
    assert made(node("a", *addresses))["pis"]["hosts"] == {"a": chosen}


@pytest.mark.parametrize(
    ("architectures", "found"),
    [
        (("arm64", "arm64"), None),
        (("arm", "arm"), {"vars": {"benchmark_architecture": "arm"}}),
        (("arm", "arm64"), None),
        (("", ""), None),
    ],
    ids=["the usual", "32 bit", "mixed", "not told"],
)
def test_another_architecture_is_set_for_the_whole_run(architectures: tuple[str, ...], found: Any) -> None:
    nodes = [node(str(place), architecture=each) for place, each in enumerate(architectures)]
    assert made(*nodes).get("all") == found


def test_a_cluster_without_nodes_is_refused() -> None:
    with pytest.raises(ProblemError, match=r"^cluster: it has no node \[PS-310\]\. Next: "):
        inventory_text([], "me")


def test_it_is_as_the_linter_wants_it() -> None:
    text = inventory_text([node("a", "10.0.0.1", server=True)], "me")
    assert text.startswith("---\n#") and text.endswith("\n")
    assert max(map(len, text.splitlines())) <= 120
