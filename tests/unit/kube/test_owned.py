"""What is in the cluster: whether it has all that a manifest sets, and what lets go what doesn't go."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.owned import owned as owned_module
from pi_speedup.kube.owned.documents import holds
from pi_speedup.kube.owned.owned import (
    Place,
    labels,
    letting_go,
    namespace_going,
    our_jobs,
    owner_reference,
    remove_jobs_beside,
)
from tests.unit.kube.objects import JOB_UID, a_job, a_pod

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


PLACE = Place("ns")


class Labelled:
    """A client that knows these Jobs and finds those with a label, as the API does."""

    def __init__(self, *jobs: Any) -> None:
        self._jobs = jobs

    def list_all(self, path: str, query: dict[str, str]) -> tuple[list[Any], str]:
        assert path == PLACE.jobs
        name, value = query["labelSelector"].split("=")
        return [job for job in self._jobs if job["metadata"].get("labels", {}).get(name) == value], "7"


OWNED = [owner_reference(PLACE, "uid-of-our-configmap")]
JOBS: dict[str, tuple[dict[str, Any], bool]] = {
    "our label, owned by our ConfigMap": ({"labels": labels(), "ownerReferences": OWNED}, True),
    "our label, owned by another's ConfigMap of the same name": (
        {"labels": labels(), "ownerReferences": [owner_reference(PLACE, "another-uid")]},
        False,
    ),
    "our label, owned by nobody": ({"labels": labels()}, False),
    "our ConfigMap's, without our label": ({"ownerReferences": OWNED}, False),
}


@pytest.mark.parametrize(("metadata", "ours"), JOBS.values(), ids=JOBS)
def test_a_job_is_ours_by_label_and_by_its_owners_uid(metadata: dict[str, Any], ours: bool) -> None:
    job = a_job(**metadata)
    client: Any = Labelled(job)
    assert our_jobs(client, PLACE, "uid-of-our-configmap") == ([job] if ours else [], "7")


class Ending:
    """A client whose Job's pods end one after the other, each at one of its pauses; `lost` ends never."""

    def __init__(self, *pods: Any, lost: str) -> None:
        self._pods, self._lost = list(pods), lost
        self.deleted: list[tuple[str, str, str]] = []
        self.seconds = 0.0

    def list_all(self, path: str) -> tuple[list[Any], str]:
        assert path == PLACE.pods
        return list(self._pods), "7"

    def delete(self, path: str, uid: str, policy: str) -> bool:
        self.deleted.append((path, uid, policy))
        return True

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        if on_others := [pod for pod in self._pods if pod["spec"]["nodeName"] != self._lost]:
            self._pods.remove(on_others[0])

    def monotonic(self) -> float:
        return self.seconds

    @property
    def pis(self) -> list[str]:
        """Where pods are left."""
        return [pod["spec"]["nodeName"] for pod in self._pods]


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> Ending:
    found = Ending(*(a_pod(index) for index in range(3)), lost="pi-2")
    clock = SimpleNamespace(sleep=found.sleep, monotonic=found.monotonic)
    monkeypatch.setattr(owned_module, "time", clock)
    return found


def test_for_a_pod_on_a_lost_pi_nobody_waits_but_for_the_others(ending: Ending) -> None:
    client: Any = ending
    remove_jobs_beside(client, PLACE, [a_job()], away={"pi-2"})
    assert ending.pis == ["pi-2"]
    assert ending.deleted == [(f"{PLACE.jobs}/job", JOB_UID, "Background")]


def test_a_pod_that_stays_on_a_pi_that_measures_is_an_error(ending: Ending) -> None:
    client: Any = ending
    with pytest.raises(KubeError, match=r"Job job: not gone after 60 s \(pod pod-1 on pi-2 doesn't end\)"):
        remove_jobs_beside(client, PLACE, [a_job()], away=set())


def test_where_nothing_is_left_to_be_let_go_the_step_is_to_run_again() -> None:
    # It went between the last look and the question what holds it.
    client: Any = SimpleNamespace(find=lambda path: None)
    error = owned_module._stuck(client, "/api/v1/namespaces/ns/configmaps", {"uid": "p"})
    assert str(error).endswith("Next: run ansible-playbook cleanup.yml again")


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


@pytest.mark.fault("cleanup: an object with a finalizer", row="a ConfigMap that another program holds")
@pytest.mark.fault(
    "cleanup: a pod on a lost Pi",
    "Job …: not gone after 60 s (pod p on pi-2 doesn't end) [PS-802]. Next: bring pi-2 "
    "back, or if it is lost for good: kubectl -n ns delete pod p --force; then run "
    "cleanup.yml again",
    kept="the runs",
    row="a pod on a lost Pi",
)
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
            "NamespaceContentRemaining": "Some resources are remaining: widgets.example.org has 2 resource "
            "instances, pods. has 1 resource instances",
            "NamespaceFinalizersRemaining": "Some content has finalizers remaining: example.org/held",
        },
        "finalizers remaining: example.org/held",
        "kubectl -n ns edit widgets.example.org,pods",
    ),
    "an extension that is away": (
        {"NamespaceDeletionDiscoveryFailure": "unable to retrieve the complete list of server APIs"},
        "unable to retrieve",
        "kubectl get apiservices",
    ),
}


@pytest.mark.fault("namespace Terminating", row="finalizers")
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
