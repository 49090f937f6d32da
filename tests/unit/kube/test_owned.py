"""What is in the cluster: whether it has all that a manifest sets, and what lets go what doesn't go."""

from __future__ import annotations

from typing import Any

import pytest

from pi_speedup.kube.owned import Place, holds, letting_go, namespace_going

HOLDS = {
    "equal": ({"a": {"b": 1}}, True),
    "more is there": ({"a": {"b": 1, "c": 2}, "d": 3}, True),
    "a value differs": ({"a": {"b": 2}}, False),
    "a value is missing": ({"a": {}}, False),
    "another type": ({"a": [1]}, False),
}


@pytest.mark.parametrize(("found", "expected"), HOLDS.values(), ids=HOLDS)
def test_holds(found: object, expected: bool) -> None:
    assert holds(found, {"a": {"b": 1}}) is expected


GOING = {"name": "p", "namespace": "ns", "deletionTimestamp": "2026-11-24T07:15:30Z"}
STAYING: dict[str, tuple[dict[str, Any], str, str]] = {
    "a pod on a lost Pi": (
        {
            "metadata": {**GOING, "finalizers": ["batch.kubernetes.io/job-tracking"]},
            "spec": {"nodeName": "pi-2"},
        },
        "pod",
        "bring pi-2 back, or if it is lost for good: kubectl -n ns delete pod p --force",
    ),
    "a pod that another program holds": (
        {"metadata": {**GOING, "finalizers": ["example.org/held"]}},
        "pod",
        "see who holds it (example.org/held), or give that up: kubectl -n ns patch pod p --type=merge "
        """-p '{"metadata":{"finalizers":null}}'""",
    ),
    "a pod that nobody deletes": (
        {"metadata": {"name": "p", "namespace": "ns"}},
        "pod",
        "see whether Kubernetes' controllers work (on the K3s server, sudo journalctl -u k3s)",
    ),
    "a ConfigMap that another program holds": (
        {"metadata": {**GOING, "finalizers": ["example.org/held", "foregroundDeletion"]}},
        "configmap",
        "see who holds it (example.org/held), or give that up: kubectl -n ns patch configmap p --type=merge "
        """-p '{"metadata":{"finalizers":null}}'""",
    ),
}


@pytest.mark.parametrize(("item", "kind", "command"), STAYING.values(), ids=STAYING)
def test_what_does_not_go_gets_the_command_that_helps(item: dict[str, Any], kind: str, command: str) -> None:
    assert letting_go(item, kind) == command


class Pods:
    """A client that knows one pod on its way out, and nothing else."""

    def list_all(self, path: str) -> tuple[list[dict[str, Any]], str]:
        assert path == "/api/v1/namespaces/ns/pods"
        return [{"metadata": GOING, "spec": {"nodeName": "pi-2"}}], "1"


CONDITIONS: dict[str, tuple[dict[str, str], str, str]] = {
    "nothing said": (
        {},
        "being deleted",
        "bring pi-2 back, or if it is lost for good: kubectl -n ns delete pod p",
    ),
    "content": (
        {"NamespaceContentRemaining": "Some resources are remaining: pods. has 1 resource instances"},
        "being deleted: Some resources are remaining: pods",
        "kubectl -n ns delete pod p --force",
    ),
    "finalizers": (
        {
            "NamespaceContentRemaining": "Some resources are remaining: pods. has 1 resource instances",
            "NamespaceFinalizersRemaining": "Some content has finalizers remaining: example.org/held",
        },
        "finalizers remaining: example.org/held",
        "kubectl -n ns patch RESOURCE NAME --type=merge",
    ),
    "an extension that is away": (
        {"NamespaceDeletionDiscoveryFailure": "unable to retrieve the complete list of server APIs"},
        "unable to retrieve",
        "kubectl get apiservices",
    ),
}


@pytest.mark.parametrize(("conditions", "what", "step"), CONDITIONS.values(), ids=CONDITIONS)
def test_a_namespace_that_is_going_says_what_it_waits_for(
    conditions: dict[str, str], what: str, step: str
) -> None:
    namespace = {
        "status": {
            "conditions": [
                {"type": kind, "status": "True", "message": message} for kind, message in conditions.items()
            ]
        }
    }
    problem = namespace_going(Pods(), Place("ns"), namespace).problem  # type: ignore[arg-type]
    assert problem.subject == "namespace ns"
    assert what in problem.what
    assert step in problem.next_step
