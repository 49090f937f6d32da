"""What is told of a Job whose pods find no Pi, where the nodes may not be listed."""

from __future__ import annotations

import pytest

from pi_speedup.codes import Code
from pi_speedup.kube.follow.job import without_nodes
from pi_speedup.kube.follow.states import PodState
from pi_speedup.kube.follow.tracker import JobEnding
from pi_speedup.problem import Problem

PIS = ("pi-1", "pi-2", "pi-9")
UNSCHEDULABLE = Problem(
    code=Code.POD_UNSCHEDULABLE,
    subject="pod 2",
    what="Unschedulable: 0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. "
    "preemption: 0/3 nodes are available: 3 Preemption is not help\N{HORIZONTAL ELLIPSIS}",
    next_step="make room on the Pis",
)
MISPLACED = Problem(
    code=Code.PODS_MISPLACED, subject="Job x", what="completed, but pi-1 ran 2 pods instead of 1 (and 1 more)"
)
NEXT = (
    "and the kubeconfig may not list nodes to see why [{}]. Next: ask somebody who may (kubectl get nodes) "
    "whether each Pi is there under its name, Ready and not cordoned, then run again"
)

LINES = {
    "no room": (
        UNSCHEDULABLE,
        ["pi-1", "pi-2", None],
        "pi-9: got no pod (pod 2: Unschedulable: 0/3 nodes are available: 3 node(s) didn't match pod "
        f"anti-affinity rules. preemption: 0/\N{HORIZONTAL ELLIPSIS}), {NEXT.format('PS-511')}",
    ),
    "none is taken": (
        MISPLACED,
        [],
        "pi-1, pi-2, pi-9: got no pod (Job x: completed, but pi-1 ran 2 pods instead of 1 (and 1 more)), "
        f"{NEXT.format('PS-535')}",
    ),
    "two on one Pi": (
        MISPLACED,
        ["pi-1", "pi-2", "pi-1"],
        "pi-9: got no pod (Job x: completed, but pi-1 ran 2 pods instead of 1 (and 1 more)), "
        f"{NEXT.format('PS-535')}",
    ),
    "each had one before": (
        Problem(
            code=Code.POD_UNSCHEDULABLE,
            subject="pod 2",
            what="Unschedulable: no room",
            next_step="make room on the Pis",
        ),
        ["pi-1", "pi-2", "pi-9", None],
        f"pod 2: Unschedulable: no room, {NEXT.format('PS-511')}",
    ),
}


@pytest.mark.fault(
    "403: nodes may not be listed, and a Pi of the inventory is not in the cluster", row="no room"
)
@pytest.mark.parametrize(("problem", "taken", "line"), LINES.values(), ids=LINES)
def test_the_pis_without_a_pod_are_named(problem: Problem, taken: list[str | None], line: str) -> None:
    states = [PodState(f"pod-{index}", index, pi, "running") for index, pi in enumerate(taken)]
    ending = without_nodes(JobEnding("Unschedulable", problem, pod_name="pod-2"), PIS, states)
    assert str(ending.problem) == line
    assert (ending.reason, ending.pod_name) == ("Unschedulable", "pod-2")
