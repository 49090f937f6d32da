"""What is removed from a real cluster and what stays, with faults while its removal is awaited."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.kube.access.client import Json, KubeClient
from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.follow.manifest import job_name
from pi_speedup.kube.owned import cleanup, owned
from pi_speedup.kube.owned.cleanup import clean_up
from pi_speedup.kube.owned.lease import LEASE_NAME, hold
from pi_speedup.kube.owned.owned import (
    POLICY_NAME,
    Place,
    labels,
    policy_to_apply,
    remove,
    to_apply,
)
from pi_speedup.problem import ProblemError
from tests.lab.fault_proxy import Fault, FaultProxy, answers, breaks, does_it_but, resets
from tests.lab.runs import driver, make_place, new_name, new_plan, put
from tests.manifests import job, namespace, owner, policy, slot_of

EXPIRED = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}


def new_configmap(client: KubeClient, place: Place, **metadata: object) -> Json:
    return client.create(place.configmaps, {"metadata": {"name": new_name("any"), **metadata}})


REMOVALS = {
    "watch ends early": Fault("WATCH /configmaps", answers(200)),
    "watch has expired": Fault("WATCH /configmaps", answers(200, EXPIRED)),
    "watch is ahead": Fault("WATCH /configmaps", answers(504, {"message": "Too large resource version"})),
    "watch breaks within a line": Fault("WATCH /configmaps", breaks(100)),
    "delete answers 500, but did delete": Fault("DELETE", does_it_but(answers(500))),
    "delete breaks off, but did delete": Fault("DELETE", does_it_but(resets)),
}


@pytest.mark.fault(
    "removal answered by 500 or a reset, but done",
    "survived",
    kept="the runs",
    row="delete answers 500, but did delete",
)
@pytest.mark.fault("removal answered by 500 or a reset, but done", row="delete breaks off, but did delete")
@pytest.mark.parametrize("fault", REMOVALS.values(), ids=REMOVALS)
def test_removal_under_a_fault_is_awaited(
    fault: Fault, proxy: FaultProxy, direct: KubeClient, place: Place
) -> None:
    item = new_configmap(direct, place)
    proxy.faults.append(fault)
    with KubeClient(proxy.kubeconfig) as client:
        remove(client, place.configmaps, [item], item["metadata"]["resourceVersion"])
    assert direct.find(f"{place.configmaps}/{item['metadata']['name']}") is None
    assert proxy.injected == [fault]
    assert proxy.asked("DELETE")[0].json["preconditions"] == {"uid": item["metadata"]["uid"]}


def test_removal_of_what_is_gone_waits_for_nothing(
    proxy: FaultProxy, direct: KubeClient, place: Place
) -> None:
    item = new_configmap(direct, place)
    path = f"{place.configmaps}/{item['metadata']['name']}"
    direct.delete(path, item["metadata"]["uid"], policy="Background")
    with KubeClient(proxy.kubeconfig) as client:
        remove(client, place.configmaps, [item], item["metadata"]["resourceVersion"])
    assert [exchange.request.method for exchange in proxy.exchanges] == ["DELETE"]


def test_namesake_that_came_in_between_stays(direct: KubeClient, place: Place) -> None:
    item = new_configmap(direct, place)
    path = f"{place.configmaps}/{item['metadata']['name']}"
    direct.delete(path, item["metadata"]["uid"], policy="Background")
    namesake = direct.create(place.configmaps, {"metadata": {"name": item["metadata"]["name"]}})
    remove(direct, place.configmaps, [item], item["metadata"]["resourceVersion"])
    assert direct.get(path)["metadata"]["uid"] == namesake["metadata"]["uid"]


@pytest.mark.fault(
    "cleanup: an object with a finalizer",
    "ConfigMap p: not gone after 60 s [PS-802]. Next: see who holds it "
    "(example.org/held), or give that up: kubectl -n ns patch configmap p --type=merge -p"
    ' \'{"metadata":{"finalizers":null}}\'; then run ansible-playbook cleanup.yml again',
    kept="the runs",
)
def test_what_does_not_go_is_told_and_named_with_the_command_that_helps(
    direct: KubeClient, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owned, "REMOVAL_SECONDS", 3.0)
    monkeypatch.setattr(owned, "TELL_SECONDS", 1.0)
    item = new_configmap(direct, place, finalizers=["example.org/held"])
    name, uid = item["metadata"]["name"], item["metadata"]["uid"]
    lines: list[str] = []
    with pytest.raises(KubeError) as caught:
        remove(direct, place.configmaps, [item], item["metadata"]["resourceVersion"], lines.append)
    assert str(caught.value).startswith(
        f"ConfigMap {name}: not gone after 3 s [PS-802]. Next: "
        "see who holds it (example.org/held), or give that up: "
        f"kubectl -n {place.namespace} patch configmap {name} --type=merge"
    )
    assert f"waiting for ConfigMap {name} to be gone" in lines
    direct.patch(f"{place.configmaps}/{name}", {"metadata": {"uid": uid, "finalizers": []}})


def cleaned(proxy: FaultProxy, place: Place, running: bool = False) -> tuple[list[str], list[str]]:
    """Return what a cleanup removed and what it told."""
    lines: list[str] = []
    with KubeClient(proxy.kubeconfig) as client:
        return clean_up(client, place, lines.append, running), lines


@pytest.mark.fault("cleanup twice, the second with nothing there")
def test_all_of_ours_goes_each_by_its_uid(proxy: FaultProxy, direct: KubeClient) -> None:
    place = make_place(direct)
    plan = new_plan(place)
    assert driver(direct, place, plan).run(slot_of(plan), 1).trial.problem is None
    name = job_name(plan, slot_of(plan), 1)
    paths = [f"{place.jobs}/{name}", place.owner_path, place.namespace_path]
    uids = [direct.get(path)["metadata"]["uid"] for path in paths]
    removed, _ = cleaned(proxy, place)
    assert removed == [
        f"Job {name} with 3 pods",
        "ConfigMap pi-speedup-owner",
        f"namespace {place.namespace}",
    ]
    assert direct.find(place.namespace_path) is None
    deletions = [
        exchange for exchange in proxy.asked("DELETE") if LEASE_NAME not in exchange.line.rsplit("/")
    ]
    assert [exchange.line for exchange in deletions] == [f"DELETE {path}" for path in paths]
    assert [exchange.json["preconditions"]["uid"] for exchange in deletions] == uids
    # And once more, with nothing there.
    assert cleaned(proxy, place) == ([], [])


def test_the_pods_are_cut_off_from_the_network_by_what_goes_with_its_owner(direct: KubeClient) -> None:
    place = make_place(direct)
    ours = policy(place)
    (wanted,) = policy_to_apply(direct, place, ours)
    put(direct, wanted)
    assert policy_to_apply(direct, place, ours) == []
    spec = direct.get(f"{place.policies}/{POLICY_NAME}")["spec"]
    labels = job()["spec"]["template"]["metadata"]["labels"]
    # Of every pod, in both directions, without an exception.
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    assert spec.keys() == {"podSelector", "policyTypes"}
    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    removed = clean_up(direct, place, lambda line: None, False)
    assert removed[:2] == [f"NetworkPolicy {POLICY_NAME}", "ConfigMap pi-speedup-owner"]


def test_a_policy_of_others_with_our_name_stays(direct: KubeClient) -> None:
    place = make_place(direct)
    theirs = policy(place)
    del theirs["metadata"]["ownerReferences"]
    version = direct.create(place.policies, theirs)["metadata"]["resourceVersion"]
    assert policy_to_apply(direct, place, theirs) == []
    lines: list[str] = []
    assert clean_up(direct, place, lines.append, False) == ["ConfigMap pi-speedup-owner"]
    (line,) = lines
    assert line.endswith(f" stays: it holds an object of others, such as networkpolicies/{POLICY_NAME}")
    assert direct.get(f"{place.policies}/{POLICY_NAME}")["metadata"]["resourceVersion"] == version


@pytest.mark.fault("cleanup beside a run")
def test_a_running_measurement_is_taken_away_only_when_told(proxy: FaultProxy, direct: KubeClient) -> None:
    place = make_place(direct)
    with hold(direct, place, "ann@laptop", "run-1"):
        with pytest.raises(
            ProblemError, match="a benchmark is measuring: run run-1 by ann@laptop since"
        ) as caught:
            cleaned(proxy, place)
        assert "cleanup_running=true" in str(caught.value)
        assert not proxy.asked("DELETE")
        removed, _ = cleaned(proxy, place, running=True)
    assert removed == [
        "Lease pi-speedup of run run-1",
        "ConfigMap pi-speedup-owner",
        f"namespace {place.namespace}",
    ]
    assert direct.find(place.namespace_path) is None


def test_nobody_begins_to_measure_while_it_is_cleaned_up(
    proxy: FaultProxy, direct: KubeClient, kubeconfig: Path
) -> None:
    place = make_place(direct)
    refusals: list[str] = []

    async def somebody_begins(exchange: Any) -> Any:
        with (
            KubeClient(kubeconfig) as client,
            pytest.raises(ProblemError) as caught,
            hold(client, place, "bob@desk", "run-2"),
        ):
            pass
        refusals.append(str(caught.value))
        return await exchange.forward()

    proxy.faults.append(Fault("GET /jobs?", somebody_begins))
    cleaned(proxy, place)
    assert [line.partition(" by ")[0] for line in refusals] == ["another benchmark is measuring: cleanup.yml"]


def unlabelled(namespace: Json) -> None:
    del namespace["metadata"]["labels"]


def remains(direct: KubeClient, path: str, before: Json) -> bool:
    """Say whether an object is there still and not on its way out."""
    now = direct.get(path)["metadata"]
    return bool(now["uid"] == before["metadata"]["uid"]) and "deletionTimestamp" not in now


def test_namespace_of_others_stays(proxy: FaultProxy, direct: KubeClient) -> None:
    place = make_place(direct, unlabelled)
    before = direct.get(place.namespace_path)
    assert cleaned(proxy, place) == (["ConfigMap pi-speedup-owner"], [])
    assert remains(direct, place.namespace_path, before)


@pytest.mark.fault("foreign objects with our name or label")
def test_namespace_that_holds_something_of_others_stays_and_says_so(
    proxy: FaultProxy, direct: KubeClient
) -> None:
    place = make_place(direct)
    before = direct.get(place.namespace_path)
    secret = direct.create(f"{place.namespace_path}/secrets", {"metadata": {"name": "theirs"}})
    removed, lines = cleaned(proxy, place)
    assert removed == ["ConfigMap pi-speedup-owner"]
    assert lines == [
        f"namespace {place.namespace} stays: it holds an object of others, such as secrets/theirs"
    ]
    assert remains(direct, place.namespace_path, before)
    assert direct.get(f"{place.namespace_path}/secrets/theirs") == secret


@pytest.mark.fault(
    "a pod of an earlier trial that cannot end, since its Pi lost its power",
    "… stays: pod …, which has our label, does not end; see who holds it (…), or give that up: kubectl …",
    kept="the runs",
    exit_code=0,
)
def test_namespace_stays_for_a_pod_of_an_earlier_trial_and_says_what_lets_it_go(
    proxy: FaultProxy, direct: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "SETTLE_SECONDS", 1.0)
    place = make_place(direct)
    # Held, as a pod whose sandbox cannot be removed; its Job was removed when the next trial began.
    metadata = {"name": "left", "labels": labels(), "finalizers": ["example.org/held"]}
    spec = {**job()["spec"]["template"]["spec"], "nodeSelector": {"on": "no-pi"}}
    pod = direct.create(place.pods, {"metadata": metadata, "spec": spec})
    direct.delete(f"{place.pods}/left", pod["metadata"]["uid"], "Background")
    removed, (line,) = cleaned(proxy, place)
    assert removed == ["ConfigMap pi-speedup-owner"]
    assert line.startswith(
        f"namespace {place.namespace} stays: pod left, which has our label, does not end; "
    )
    assert f"kubectl -n {place.namespace} patch pod left " in line
    direct.patch(f"{place.pods}/left", {"metadata": {"finalizers": None}})


def test_namespace_whose_contents_cannot_be_read_stays(proxy: FaultProxy, direct: KubeClient) -> None:
    place = make_place(direct)
    before = direct.get(place.namespace_path)
    fault = Fault("GET /secrets", answers(403, {"message": "no right"}))
    proxy.faults.append(fault)
    removed, lines = cleaned(proxy, place)
    assert removed == ["ConfigMap pi-speedup-owner"]
    assert "cannot be told" in lines[0]
    assert proxy.injected == [fault]
    assert remains(direct, place.namespace_path, before)


@pytest.mark.fault("foreign objects with our name or label")
def test_configmap_of_others_stays(proxy: FaultProxy, direct: KubeClient) -> None:
    place = make_place(direct, unlabelled)
    theirs: dict[str, Any] = new_configmap(direct, place, labels={"app.kubernetes.io/name": "pi-speedup"})
    other = Place(place.namespace, theirs["metadata"]["name"])
    assert cleaned(proxy, other) == ([], [])
    assert direct.get(other.owner_path) == theirs
    assert not proxy.asked("DELETE")


def test_what_is_there_already_is_not_applied_again(direct: KubeClient) -> None:
    place = Place(new_name())
    wanted = [namespace(place), owner(place)]
    assert to_apply(direct, place, *wanted) == wanted
    for manifest in wanted:
        put(direct, manifest)
    assert to_apply(direct, place, *wanted) == []
    direct.patch(place.namespace_path, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": None}}})
    assert to_apply(direct, place, *wanted) == wanted[:1]
    put(direct, wanted[0])
    assert to_apply(direct, place, *wanted) == []


@pytest.mark.fault(
    "namespace Terminating",
    "namespace ns: being deleted: … Some content has finalizers remaining: "
    "example.org/held [PS-414]. Next: see who holds it: kubectl -n ns get configmaps …; then run again",
    kept="nothing begun",
)
def test_a_namespace_that_is_going_says_what_holds_it(direct: KubeClient) -> None:
    place = make_place(direct)
    held = new_configmap(direct, place, finalizers=["example.org/held"])
    there = direct.get(place.namespace_path)
    direct.delete(place.namespace_path, there["metadata"]["uid"])
    deadline = time.monotonic() + 60
    while "configmaps. has 1" not in str(direct.get(place.namespace_path)["status"]):
        assert time.monotonic() < deadline
    with pytest.raises(KubeError, match=f"namespace {place.namespace}: being deleted") as caught:
        to_apply(direct, place, namespace(place), owner(place))
    assert f"kubectl -n {place.namespace} get configmaps -o " in str(caught.value)
    path = f"{place.configmaps}/{held['metadata']['name']}"
    direct.patch(path, {"metadata": {"finalizers": []}})
