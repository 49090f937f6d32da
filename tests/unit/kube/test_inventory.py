"""hosts.yml from Node objects."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from pi_speedup.problem import ProblemError
from pi_speedup.setup.inventory import choose, inventory_text


def node(
    name: str, *addresses: str, server: bool = False, architecture: str = "arm64", taint: str = ""
) -> dict[str, Any]:
    labels = {"kubernetes.io/arch": architecture, "kubernetes.io/hostname": name}
    if server:
        labels["node-role.kubernetes.io/control-plane"] = "true"
    told = [{"type": "InternalIP", "address": each} for each in addresses]
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": [{"key": taint, "effect": "NoSchedule"}]} if taint else {},
        "status": {
            "addresses": [{"type": "ExternalIP", "address": "203.0.113.9"}, *told],
            "nodeInfo": {"architecture": architecture},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def made(*nodes: dict[str, Any], server: str = "", ssh_arguments: str = "") -> Any:
    chosen = choose(nodes, server)
    return yaml.safe_load(inventory_text(chosen, [*chosen.servers, *chosen.pis][0], "me", ssh_arguments))


LOGIN = {"ansible_user": "me", "ansible_python_interpreter": "/usr/bin/python3"}


def test_every_node_is_a_pi_and_the_control_plane_the_server() -> None:
    found = made(node("pi-10", "10.0.0.10"), node("pi-2", "10.0.0.2", server=True), node("pi-1", "10.0.0.1"))
    assert found == {
        "pis": {
            "hosts": {
                "pi-1": {"ansible_host": "10.0.0.1"},
                "pi-2": {"ansible_host": "10.0.0.2"},
                "pi-10": {"ansible_host": "10.0.0.10"},
            },
            "vars": LOGIN,
        },
        "base": {"hosts": {"pi-2": {}}},
        "server": {"hosts": {"pi-2": {}}},
    }
    # In the order of their numbers, whatever the cluster's.
    assert list(found["pis"]["hosts"]) == ["pi-1", "pi-2", "pi-10"]


def test_without_a_control_plane_among_the_nodes_the_first_one_works_alone() -> None:
    found = made(node("b", "10.0.0.2"), node("a", "10.0.0.1"))
    assert found["base"] == {"hosts": {"a": {}}} and "server" not in found


TAINTED = node("s", "10.0.0.9", server=True, taint="CriticalAddonsOnly")


def test_a_node_that_keeps_pods_away_is_no_pi_and_is_logged_in_to_as_the_server() -> None:
    chosen = choose([node("a", "10.0.0.1"), TAINTED])
    assert (chosen.pis, chosen.servers) == (("a",), ("s",))
    assert chosen.left_out["s"].what.startswith("has the taint CriticalAddonsOnly:NoSchedule")
    found = made(node("a", "10.0.0.1"), TAINTED, ssh_arguments="-p 2222")
    assert found["pis"]["hosts"] == {"a": {"ansible_host": "10.0.0.1"}}
    assert found["server"] == {
        "hosts": {"s": {"ansible_host": "10.0.0.9"}},
        "vars": {**LOGIN, "ansible_ssh_common_args": "-p 2222"},
    }


def test_a_cluster_of_which_each_node_keeps_pods_away() -> None:
    with pytest.raises(ProblemError, match=r"^s: has the taint CriticalAddonsOnly.* \[PS-304\]"):
        choose([TAINTED])


ASKED = {
    "its address": ("10.0.0.2", ["b", "a"], {"b": "10.0.0.2"}),
    "its name with a domain": ("b.local", ["b", "a"], {"b": "b.local"}),
    "a name that resolves to its address": ("localhost", ["c"], {"c": "localhost"}),
    "another address of the one server": ("192.0.2.7", ["c"], {"c": "192.0.2.7"}),
    "a server that is no node": ("192.0.2.7", ["k3s-server"], {"k3s-server": "192.0.2.7"}),
}
OF = {
    "its address": [node("a", "10.0.0.1", server=True), node("b", "10.0.0.2", server=True)],
    "its name with a domain": [node("a", "10.0.0.1", server=True), node("b", "10.0.0.2", server=True)],
    "a name that resolves to its address": [node("c", "127.0.0.1", server=True)],
    "another address of the one server": [node("c", "10.0.0.3", server=True)],
    "a server that is no node": [node("d", "10.0.0.3")],
}


@pytest.mark.parametrize("case", ASKED)
def test_the_server_that_was_asked_is_the_first_and_is_reached_as_it_was(case: str) -> None:
    address, servers, reached = ASKED[case]
    chosen = choose(OF[case], address)
    assert list(chosen.servers) == servers
    assert {name: chosen.addresses[name] for name in reached} == reached


def test_what_stops_a_pi_now_is_told_and_it_stays_in() -> None:
    cordoned = node("b", "10.0.0.2")
    cordoned["spec"] = {"unschedulable": True}
    chosen = choose([node("a", "10.0.0.1"), cordoned])
    assert (chosen.pis, chosen.ready) == (("a", "b"), ("a",))
    assert [problem.subject for problem in chosen.problems] == ["b"]


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
        choose([])


def test_it_is_as_the_linter_wants_it() -> None:
    text = inventory_text(choose([node("a", "10.0.0.1", server=True)]), "a", "me")
    assert text.startswith("---\n#") and text.endswith("\n")
    assert max(map(len, text.splitlines())) <= 120
