"""Each state of a Node against the one line that a person reads."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from pi_speedup.codes import Code
from pi_speedup.kube.access.errors import KubeError, from_answer
from pi_speedup.kube.nodes.nodes import judged, nodes_or_names, read_nodes
from pi_speedup.model.node import Node, Nodes
from pi_speedup.problem import ProblemError

NODES: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "nodes.yml").read_text())
NOW = datetime.fromisoformat("2026-11-24T07:10:00Z")


def judge(*states: str, **options: Any) -> Nodes:
    given: dict[str, Any] = {
        "expected": ["pi-2"],
        "architecture": "arm64",
        "tolerations": (),
        "now": NOW,
        **options,
    }
    return judged([NODES[state] for state in states], **given)


def test_a_healthy_pi_is_usable_and_described() -> None:
    nodes = judge("healthy")
    pi = nodes.nodes[0]
    assert pi.usable and pi.problems == () and nodes.not_in_inventory == ()
    assert (pi.architecture, pi.kubelet_version, pi.cores) == ("arm64", "v1.34.4+k3s1", 4)
    assert not pi.server
    assert judge("not_ready_server").nodes[0].server


@pytest.mark.parametrize(
    ("cpu", "cores"),
    [("4", 4), ("500m", 1), ("3920m", 3), ("many", None), ("", None)],
    ids=["whole", "a part of a core", "not whole", "nonsense", "none"],
)
def test_cores_are_whole(cpu: str, cores: int | None) -> None:
    node = copy.deepcopy(NODES["healthy"])
    node["status"]["capacity"]["cpu"] = cpu
    assert judged([node], ["pi-2"], "arm64", (), NOW).nodes[0].cores == cores


PROBLEMS = {
    "not_ready": (
        "pi-2: not Ready (KubeletNotReady: container runtime network not ready: [31mcni plugin not "
        "initialized, for 4 min) [PS-301]. Next: ssh pi-2 systemctl status k3s-agent"
    ),
    "not_ready_server": (
        "pi-2: not Ready (KubeletNotReady: container runtime network not ready: [31mcni plugin not "
        "initialized, for 4 min) [PS-301]. Next: ssh pi-2 systemctl status k3s"
    ),
    "lost": (
        "pi-2: lost: its kubelet stopped reporting (NodeStatusUnknown: Kubelet stopped posting node "
        "status, for 45 s) [PS-303]. Next: check its power and network, then ssh pi-2 systemctl status "
        "k3s-agent"
    ),
    "silent": (
        "pi-2: has not reported whether it is Ready [PS-301]. Next: ssh pi-2 systemctl status k3s-agent"
    ),
    "cordoned": "pi-2: cordoned (unschedulable) [PS-302]. Next: kubectl uncordon pi-2",
    "thirty_two_bit": (
        "pi-2: runs a 32-bit system (architecture arm), benchmark_architecture is arm64 [PS-222]. Next: "
        "install the 64-bit Raspberry Pi OS on pi-2 (Pi 3 and later can), or leave pi-2 out of the inventory"
    ),
    "other_architecture": (
        "pi-2: has the architecture amd64, benchmark_architecture is arm64 [PS-308]. Next: change "
        "benchmark_architecture, or leave pi-2 out of the inventory"
    ),
    "no_architecture": (
        "pi-2: has no label kubernetes.io/arch, so a Job's pods cannot go there [PS-308]. Next: ssh pi-2 "
        "systemctl status k3s-agent"
    ),
    "disk_pressure": (
        "pi-2: short of disk space (DiskPressure; KubeletHasDiskPressure: kubelet has disk pressure, "
        "for 2 h) [PS-306]. Next: ssh pi-2 df -h"
    ),
    "memory_pressure": (
        "pi-2: short of memory (MemoryPressure; KubeletHasInsufficientMemory) [PS-306]. Next: "
        "ssh pi-2 free -h"
    ),
    "no_network": (
        "pi-2: no pod network (NetworkUnavailable; NoRouteCreated) [PS-307]. Next: ssh pi-2 "
        "journalctl -u k3s-agent"
    ),
    "too_many_processes": (
        "pi-2: too many processes (PIDPressure; KubeletHasInsufficientPID) [PS-306]. Next: ssh pi-2 ps aux"
    ),
    "tainted": (
        "pi-2: has the taint CriticalAddonsOnly=true:NoExecute, which a Job doesn't tolerate [PS-304]. Next: "
        "leave pi-2 out of `pis` (it stays in `server`), for its owner keeps work away from it; or, "
        "if nobody wants that any more, kubectl taint nodes pi-2 CriticalAddonsOnly:NoExecute-"
    ),
    "ready_but_still_tainted": (
        "pi-2: has just come back; Kubernetes has not yet taken its taint away "
        "(node.kubernetes.io/not-ready:NoSchedule) [PS-305]. Next: run again in some seconds"
    ),
    "clock_ahead": (
        "pi-2: not Ready (KubeletNotReady, since 2026-11-24T08:00:00Z) [PS-301]. Next: ssh pi-2 "
        "systemctl status "
        "k3s-agent"
    ),
}


@pytest.mark.fault("node NotReady", row="not_ready")
@pytest.mark.fault("node Unknown", row="lost")
@pytest.mark.fault(
    "node just back, its taint not yet gone", kept="nothing begun", row="ready_but_still_tainted"
)
@pytest.mark.fault("node short of disk space", kept="nothing begun", row="disk_pressure")
@pytest.mark.fault("node short of memory", kept="nothing begun", row="memory_pressure")
@pytest.mark.fault("node with a 32-bit system", kept="nothing begun", row="thirty_two_bit")
@pytest.mark.fault("nodes of another architecture", row="other_architecture")
@pytest.mark.parametrize(("state", "line"), PROBLEMS.items(), ids=PROBLEMS.keys())
def test_a_problem_is_one_line(state: str, line: str) -> None:
    pi = judge(state).nodes[0]
    assert not pi.usable
    # Said once: taints that stand for a state already named don't come again.
    assert [str(problem) for problem in pi.problems] == [line]


@pytest.mark.fault("node just back, its taint not yet gone", row="NoExecute")
@pytest.mark.parametrize("effect", ["NoSchedule", "NoExecute"])
def test_the_taint_of_a_pi_that_has_just_come_back_is_not_to_be_removed_by_hand(effect: str) -> None:
    node = copy.deepcopy(NODES["ready_but_still_tainted"])
    node["spec"]["taints"][0]["effect"] = effect
    (problem,) = judged([node], ["pi-2"], "arm64", (), NOW).nodes[0].problems
    assert f"its taint away (node.kubernetes.io/not-ready:{effect})" in problem.what
    assert problem.next_step == "run again in some seconds"


@pytest.mark.fault(
    "node back for a while, its taint still there: the controller manager is dead",
    "pi-2: Ready for 10 min, but Kubernetes has not removed its taint (node.kubernetes.io/not-ready:…) "
    "[PS-305]. Next: possibly its controller manager does not work: on the K3s server, sudo journalctl "
    "-u k3s; …",
    kept="nothing begun",
)
def test_a_taint_that_stays_is_not_told_as_one_that_goes_by_itself() -> None:
    node = copy.deepcopy(NODES["ready_but_still_tainted"])
    ready = next(each for each in node["status"]["conditions"] if each["type"] == "Ready")
    ready["lastTransitionTime"] = (NOW - timedelta(minutes=10)).isoformat()
    (problem,) = judged([node], ["pi-2"], "arm64", (), NOW).nodes[0].problems
    assert str(problem).startswith("pi-2: Ready for 10 min, but Kubernetes has not removed its taint (")
    assert "Next: possibly its controller manager does not work: on the K3s server, sudo journ" in str(
        problem
    )


@pytest.mark.fault(
    "Pi in the inventory but not in the cluster",
    "pi-4: in the inventory but not in the cluster [PS-309]. Next: ssh pi-4 systemctl "
    "status k3s-agent, or correct the name (kubectl get nodes)",
    kept="nothing begun",
)
def test_a_pi_that_is_not_there_is_named() -> None:
    missing, there = judge("healthy", expected=["pi-4", "pi-2"]).nodes
    assert there.usable and not missing.usable
    assert str(missing.problems[0]).startswith(
        "pi-4: in the inventory but not in the cluster [PS-309]. Next: "
    )


def test_a_node_that_nobody_asked_for_is_named() -> None:
    assert judge("healthy", expected=["pi-1"]).not_in_inventory == ("pi-2",)


@pytest.mark.parametrize(
    ("toleration", "usable"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "CriticalAddonsOnly", "operator": "Exists"}, True),
        ({"key": "CriticalAddonsOnly", "operator": "Exists", "effect": "NoExecute"}, True),
        ({"key": "CriticalAddonsOnly", "operator": "Exists", "effect": "NoSchedule"}, False),
        ({"key": "CriticalAddonsOnly", "value": "true"}, True),
        ({"key": "CriticalAddonsOnly", "operator": "Equal", "value": "false"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
    ids=["all", "key", "key and effect", "another effect", "key and value", "another value", "another key"],
)
def test_a_taint_that_the_job_tolerates_is_no_problem(toleration: dict[str, str], usable: bool) -> None:
    assert judge("tainted", tolerations=[toleration]).nodes[0].usable is usable


@pytest.mark.parametrize(
    ("now", "age"),
    [
        ("2026-11-24T08:10:00+01:00", "for 4 min"),
        ("2026-11-27T08:06:00Z", "for 3 days"),
    ],
    ids=["another time zone", "days later"],
)
def test_age(now: str, age: str) -> None:
    assert age in judge("not_ready", now=datetime.fromisoformat(now)).nodes[0].problems[0].what


@pytest.mark.parametrize(
    ("expected", "message"),
    [([], "no Pi is expected"), (["pi-1", "pi-1"], "named twice")],
    ids=["nobody", "twice"],
)
def test_an_inventory_without_sense_is_refused(expected: list[str], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        judge("healthy", expected=expected)


def with_address(name: str, *addresses: str) -> Any:
    node = copy.deepcopy(NODES["healthy"])
    node["metadata"]["name"] = name
    node["status"]["addresses"] = [{"type": "InternalIP", "address": each} for each in addresses]
    return node


TWO = [with_address("pi-1", "192.168.1.101", "fd00::1"), with_address("pi-2", "192.168.1.102")]


def test_a_pi_may_be_named_by_its_address() -> None:
    found = judged(TWO, ["192.168.1.102", "fd00::1"], "arm64", (), NOW)
    assert [(node.name, node.host, node.usable) for node in found.nodes] == [
        ("pi-2", "192.168.1.102", True),
        ("pi-1", "fd00::1", True),
    ]
    assert found.not_in_inventory == ()
    assert judged(TWO, ["pi-1"], "arm64", (), NOW).nodes[0].host is None


def called(name: str, hostname: str = "", *addresses: str) -> Any:
    node = with_address(name, *(addresses or ("10.0.0.1",)))
    return {**node, "metadata": {**node["metadata"], "labels": {"kubernetes.io/hostname": hostname or name}}}


KNOWN = {
    "its name": "pi-1",
    "with a domain": "pi-1.local",
    "fully qualified": "pi-1.home.example",
    "with a dot at the end": "pi-1.local.",
    "its label": "raspi-kitchen",
    "an address": "192.168.1.101",
    "IPv6 in full": "fd00:0:0:0:0:0:0:1",
    "IPv6 in capitals": "FD00::1",
}


@pytest.mark.parametrize("host", KNOWN.values(), ids=KNOWN)
def test_a_pi_is_known_by_each_of_its_names(host: str) -> None:
    nodes = [called("pi-1", "raspi-kitchen", "192.168.1.101", "fd00::1"), called("pi-2")]
    assert [node.name for node in judged(nodes, [host], "arm64", (), NOW).nodes] == ["pi-1"]


REACHED = {
    "its address": ("kitchen", "192.168.1.101"),
    "its address in other words": ("kitchen", "fd00:0::0:1"),
    "its name": ("kitchen", "pi-1.local"),
    "a name that resolves to its address": ("kitchen", "localhost"),
    "the host's own name resolves": ("localhost", ""),
    "the host's own name goes first": ("pi-1", "10.0.0.1"),
}


@pytest.mark.parametrize(("host", "address"), REACHED.values(), ids=REACHED)
def test_a_pi_with_any_name_is_known_by_how_it_is_reached(host: str, address: str) -> None:
    nodes = [called("pi-1", "pi-1", "192.168.1.101", "fd00::1", "127.0.0.1"), called("pi-2")]
    (node,) = judged(nodes, [host], "arm64", (), NOW, {host: address}).nodes
    assert (node.name, node.inventory_name) == ("pi-1", host)


def test_a_node_with_a_domain_is_known_without_it() -> None:
    nodes = [called("pi-1.home.example"), called("pi-2.home.example")]
    assert [node.name for node in judged(nodes, ["pi-2"], "arm64", (), NOW).nodes] == ["pi-2.home.example"]


def test_a_name_of_several_nodes_is_not_guessed() -> None:
    nodes = [called("pi-1.home.example"), called("pi-1.work.example")]
    with pytest.raises(ProblemError) as caught:
        judged(nodes, ["pi-1"], "arm64", (), NOW)
    assert "pi-1: several nodes are called so: pi-1.home.example, pi-1.work.example [PS-112]" in str(
        caught.value
    )


@pytest.mark.parametrize("host", ["pi-1.home.example", "pi-11.local", "10.0.0.10"])
def test_another_pi_is_not_taken_for_it(host: str) -> None:
    (node,) = judged([called("pi-1.work.example"), called("pi-2")], [host], "arm64", (), NOW).nodes
    assert node.name == host and node.problems[0].code is Code.NODE_MISSING


def test_another_cluster_is_one_line(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "work.yml"
    kubeconfig.write_text("current-context: work\n")
    client: Any = SimpleNamespace(
        list_all=lambda path: ([called("pi-1"), called("pi-2")], ""),
        server="https://10.0.0.9:6443",
        kubeconfig=kubeconfig,
    )
    with pytest.raises(ProblemError) as caught:
        read_nodes(client, ["node1", "node2"], "arm64", now=NOW)
    assert str(caught.value).startswith(
        "inventory: none of its Pis (node1, node2) is a node of the cluster at https://10.0.0.9:6443 "
        f"(kubeconfig {kubeconfig}, context work), whose nodes are pi-1, pi-2 [PS-309]. "
        "Next: give the kubeconfig of their cluster"
    )


def test_an_address_that_no_node_has() -> None:
    (node,) = judged(TWO, ["192.168.1.109"], "arm64", (), NOW).nodes
    assert str(node.problems[0]).startswith(
        "192.168.1.109: no node of the cluster has this address [PS-309]. Next: "
    )


def test_a_pi_by_name_and_by_address_is_named_twice() -> None:
    with pytest.raises(
        ProblemError, match=r"^pi-1: it is pi-1, a second time \[PS-112\]\. Next: name each Pi once"
    ):
        judged(TWO, ["pi-1", "192.168.1.101"], "arm64", (), NOW)


class Refuses:
    """An API server that answers a request for its nodes with this status."""

    kubeconfig = Path("/home/me/config")

    def __init__(self, status: int) -> None:
        self.status = status

    def list_all(self, path: str) -> Any:
        body = json.dumps({"message": 'User "me" cannot list resource "nodes" in API group ""'}).encode()
        raise from_answer("https://pi-1:6443", str(self.kubeconfig), f"GET {path}", self.status, body)


def test_who_may_not_list_nodes_has_the_names_of_the_inventory() -> None:
    client: Any = Refuses(403)
    found = nodes_or_names(client, ["pi-1", "pi-2"], "arm64")
    assert not found.readable and found.not_in_inventory == ()
    assert found.nodes == (Node(name="pi-1"), Node(name="pi-2"))


@pytest.mark.fault(
    "403: nodes may not be listed, and a Pi is named by its address",
    "10.0.0.2, fd00::3: named by address, and kubeconfig … may not list nodes to tell "
    "whose it is [PS-113]. Next: give the name of its node and set ansible_host, or use a"
    " kubeconfig that may list nodes",
    kept="nothing begun",
)
def test_without_the_nodes_an_address_is_not_a_name() -> None:
    client: Any = Refuses(403)
    with pytest.raises(ProblemError) as caught:
        nodes_or_names(client, ["pi-1", "10.0.0.2", "fd00::3"], "arm64")
    assert str(caught.value) == (
        "10.0.0.2, fd00::3: named by address, and kubeconfig /home/me/config may not list nodes to tell "
        "whose it is [PS-113]. Next: give the name of its node and set ansible_host, or use a kubeconfig "
        "that may list nodes"
    )


@pytest.mark.parametrize("status", [401, 500])
def test_another_refusal_of_the_nodes_ends_the_run(status: int) -> None:
    client: Any = Refuses(status)
    with pytest.raises(KubeError):
        nodes_or_names(client, ["pi-1"], "arm64")
