"""Each state of a Node against the one line that a person reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pi_speedup.node_readiness import Readiness, node_readiness

NODES: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "fixtures" / "nodes.yml").read_text())
NOW = "2026-11-24T07:10:00Z"


def judge(*states: str, **options: Any) -> Readiness:
    given: dict[str, Any] = {"expected": ["pi-2"], "architecture": "arm64", "now": NOW, **options}
    return node_readiness([NODES[state] for state in states], **given)


def test_a_healthy_pi_is_usable_and_described() -> None:
    readiness = judge("healthy")
    pi = readiness.nodes[0]
    assert pi.usable and pi.problems == () and readiness.not_in_inventory == ()
    assert (pi.architecture, pi.kubelet_version, pi.cpu) == ("arm64", "v1.34.4+k3s1", "4")


PROBLEMS = {
    "not_ready": (
        "pi-2 is not Ready (KubeletNotReady: container runtime network not ready: [31mcni plugin not "
        "initialized, for 4 min). Next: ssh pi-2 systemctl status k3s-agent"
    ),
    "not_ready_server": (
        "pi-2 is not Ready (KubeletNotReady: container runtime network not ready: [31mcni plugin not "
        "initialized, for 4 min). Next: ssh pi-2 systemctl status k3s"
    ),
    "lost": (
        "pi-2 is lost: its kubelet stopped reporting (NodeStatusUnknown: Kubelet stopped posting node "
        "status, for 45 s). Next: check its power and network, then ssh pi-2 systemctl status k3s-agent"
    ),
    "silent": ("pi-2 has not reported whether it is Ready. Next: ssh pi-2 systemctl status k3s-agent"),
    "cordoned": ("pi-2 is cordoned (unschedulable). Next: kubectl uncordon pi-2"),
    "thirty_two_bit": (
        "pi-2 runs a 32-bit system (architecture arm), the Job wants arm64. Next: install the 64-bit "
        "Raspberry Pi OS on pi-2 (Pi 3 and later can), or take it out of the inventory"
    ),
    "other_architecture": (
        "pi-2 has the architecture amd64, the Job wants arm64. Next: set the architecture in the "
        "inventory, or take pi-2 out of it"
    ),
    "no_architecture": (
        "pi-2 has no label kubernetes.io/arch, so the Job's pods cannot go there. Next: ssh pi-2 "
        "systemctl status k3s-agent"
    ),
    "disk_pressure": (
        "pi-2 is short of disk space (DiskPressure; KubeletHasDiskPressure: kubelet has disk pressure, "
        "for 2 h). Next: ssh pi-2 df -h"
    ),
    "memory_pressure": (
        "pi-2 is short of memory (MemoryPressure; KubeletHasInsufficientMemory). Next: ssh pi-2 free -h"
    ),
    "no_network": (
        "pi-2 has no pod network (NetworkUnavailable; NoRouteCreated). Next: ssh pi-2 journalctl -u k3s-agent"
    ),
    "too_many_processes": (
        "pi-2 has too many processes (PIDPressure; KubeletHasInsufficientPID). Next: ssh pi-2 ps aux"
    ),
    "tainted": (
        "pi-2 has the taint CriticalAddonsOnly=true:NoExecute, which the Job doesn't tolerate. Next: "
        "kubectl taint nodes pi-2 CriticalAddonsOnly:NoExecute-"
    ),
    "ready_but_still_tainted": (
        "pi-2 has the taint node.kubernetes.io/not-ready:NoSchedule, which the Job doesn't tolerate. "
        "Next: kubectl taint nodes pi-2 node.kubernetes.io/not-ready:NoSchedule-"
    ),
    "clock_ahead": (
        "pi-2 is not Ready (KubeletNotReady, since 2026-11-24T08:00:00Z). Next: ssh pi-2 systemctl status"
        " k3s-agent"
    ),
}


@pytest.mark.parametrize(("state", "line"), PROBLEMS.items(), ids=PROBLEMS.keys())
def test_a_problem_is_one_line(state: str, line: str) -> None:
    pi = judge(state).nodes[0]
    assert not pi.usable
    # Said once: taints that stand for a state already named don't come again.
    assert pi.problems == (line,)


def test_a_pi_that_is_not_there_is_named() -> None:
    readiness = judge("healthy", expected=["pi-4", "pi-2"])
    assert [(pi.name, pi.usable) for pi in readiness.nodes] == [("pi-4", False), ("pi-2", True)]
    assert (
        readiness.nodes[0].problems[0].startswith("pi-4 is in the inventory but not in the cluster. Next: ")
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
        (1795504200, "for 4 min"),
        ("2026-11-24T08:10:00+01:00", "for 4 min"),
        ("2026-11-27T08:06:00Z", "for 3 days"),
    ],
    ids=["epoch", "another time zone", "days later"],
)
def test_age(now: float | str, age: str) -> None:
    assert age in judge("not_ready", now=now).nodes[0].problems[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expected": []}, "no Pi is expected"),
        ({"expected": ["pi-1", "pi-1"]}, "named twice"),
        ({"now": "2026-11-24T07:10:00"}, "has no offset"),
        ({"now": "noon"}, "is no time in ISO 8601"),
        ({"tolerations": ["x"]}, "must be a list of objects"),
    ],
    ids=["nobody", "twice", "no time zone", "no time", "no tolerations"],
)
def test_arguments_without_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge("healthy", **options)
