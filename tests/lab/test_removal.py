"""What is removed from a real cluster and what stays, with faults while its removal is awaited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pi_kube import ours
from pi_kube.cleanup import clean_up
from pi_kube.client import Json, KubeClient
from pi_kube.errors import KubeError
from pi_kube.ours import Place, remove
from tests.lab.fault_proxy import Fault, FaultProxy, answers, breaks, does_it_but, resets
from tests.lab.lab import Lab
from tests.lab.runs import make_place, manifest, new_name, run

EXPIRED = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}


def configmaps(place: Place) -> str:
    return f"{place.namespace_path}/configmaps"


def new_configmap(client: KubeClient, place: Place, **metadata: object) -> Json:
    return client.create(configmaps(place), {"metadata": {"name": new_name("any"), **metadata}})


REMOVALS = {
    "watch ends early": Fault("WATCH /configmaps", answers(200)),
    "watch has expired": Fault("WATCH /configmaps", answers(200, EXPIRED)),
    "watch is ahead": Fault("WATCH /configmaps", answers(504, {"message": "Too large resource version"})),
    "watch breaks within a line": Fault("WATCH /configmaps", breaks(100)),
    "delete answers 500, but did delete": Fault("DELETE", does_it_but(answers(500))),
    "delete breaks off, but did delete": Fault("DELETE", does_it_but(resets)),
}


@pytest.mark.parametrize("fault", REMOVALS.values(), ids=REMOVALS)
def test_removal_under_a_fault_is_awaited(
    fault: Fault, proxy: FaultProxy, direct: KubeClient, place: Place
) -> None:
    item = new_configmap(direct, place)
    proxy.faults.append(fault)
    with KubeClient(proxy.kubeconfig) as client:
        remove(client, configmaps(place), [item], item["metadata"]["resourceVersion"])
    assert direct.find(f"{configmaps(place)}/{item['metadata']['name']}") is None
    assert proxy.injected == [fault]
    assert proxy.asked("DELETE")[0].json["preconditions"] == {"uid": item["metadata"]["uid"]}


def test_removal_of_what_is_gone_waits_for_nothing(
    proxy: FaultProxy, direct: KubeClient, place: Place
) -> None:
    item = new_configmap(direct, place)
    path = f"{configmaps(place)}/{item['metadata']['name']}"
    direct.delete(path, item["metadata"]["uid"], policy="Background")
    with KubeClient(proxy.kubeconfig) as client:
        remove(client, configmaps(place), [item], item["metadata"]["resourceVersion"])
    assert [exchange.request.method for exchange in proxy.exchanges] == ["DELETE"]


def test_namesake_that_came_in_between_stays(direct: KubeClient, place: Place) -> None:
    item = new_configmap(direct, place)
    path = f"{configmaps(place)}/{item['metadata']['name']}"
    direct.delete(path, item["metadata"]["uid"], policy="Background")
    namesake = direct.create(configmaps(place), {"metadata": {"name": item["metadata"]["name"]}})
    remove(direct, configmaps(place), [item], item["metadata"]["resourceVersion"])
    assert direct.get(path)["metadata"]["uid"] == namesake["metadata"]["uid"]


def test_what_does_not_go_is_named(direct: KubeClient, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "REMOVAL_SECONDS", 2.0)
    item = new_configmap(direct, place, finalizers=["example.org/held"])
    name, uid = item["metadata"]["name"], item["metadata"]["uid"]
    with pytest.raises(KubeError, match=f"configmaps {name} not gone after 2 s. Next: "):
        remove(direct, configmaps(place), [item], item["metadata"]["resourceVersion"])
    direct.patch(f"{configmaps(place)}/{name}", {"metadata": {"uid": uid, "finalizers": []}})


def cleaned(proxy: FaultProxy, place: Place) -> tuple[list[str], list[str]]:
    """Return what a cleanup removed and what it told."""
    lines: list[str] = []
    with KubeClient(proxy.kubeconfig) as client:
        return clean_up(client, place, lines.append), lines


def test_all_of_ours_goes_each_by_its_uid(
    lab: Lab, proxy: FaultProxy, direct: KubeClient, tmp_path: Path
) -> None:
    place = make_place(direct)
    job = manifest(place)
    run(lab.folder / "kubeconfig", place, tmp_path, job)
    name = job["metadata"]["name"]
    paths = [f"{place.jobs}/{name}", place.worker_path, place.namespace_path]
    uids = [direct.get(path)["metadata"]["uid"] for path in paths]
    removed, lines = cleaned(proxy, place)
    assert removed == [f"Job {name}", "ConfigMap pi-speedup-worker", f"Namespace {place.namespace}"]
    assert lines == []
    assert direct.find(place.namespace_path) is None
    deletions = proxy.asked("DELETE")
    assert [exchange.line for exchange in deletions] == [f"DELETE {path}" for path in paths]
    assert [exchange.json["preconditions"]["uid"] for exchange in deletions] == uids
    # And once more, with nothing there.
    assert cleaned(proxy, place) == ([], [])


def unlabelled(namespace: Json) -> None:
    del namespace["metadata"]["labels"]


def remains(direct: KubeClient, path: str, before: Json) -> bool:
    """Say whether an object is there still and not on its way out."""
    now = direct.get(path)["metadata"]
    return bool(now["uid"] == before["metadata"]["uid"]) and "deletionTimestamp" not in now


def test_namespace_of_others_stays(proxy: FaultProxy, direct: KubeClient) -> None:
    place = make_place(direct, unlabelled)
    before = direct.get(place.namespace_path)
    assert cleaned(proxy, place) == (["ConfigMap pi-speedup-worker"], [])
    assert remains(direct, place.namespace_path, before)


def test_namespace_that_holds_something_of_others_stays_and_says_so(
    proxy: FaultProxy, direct: KubeClient
) -> None:
    place = make_place(direct)
    before = direct.get(place.namespace_path)
    secret = direct.create(f"{place.namespace_path}/secrets", {"metadata": {"name": "theirs"}})
    removed, lines = cleaned(proxy, place)
    assert removed == ["ConfigMap pi-speedup-worker"]
    assert lines == [
        f"namespace {place.namespace} stays: it holds 1 objects of others, such as secrets/theirs"
    ]
    assert remains(direct, place.namespace_path, before)
    assert direct.get(f"{place.namespace_path}/secrets/theirs") == secret


def test_namespace_whose_contents_cannot_be_read_stays(proxy: FaultProxy, direct: KubeClient) -> None:
    place = make_place(direct)
    before = direct.get(place.namespace_path)
    fault = Fault("GET /secrets", answers(403, {"message": "no right"}))
    proxy.faults.append(fault)
    removed, lines = cleaned(proxy, place)
    assert removed == ["ConfigMap pi-speedup-worker"]
    assert "cannot be told" in lines[0]
    assert proxy.injected == [fault]
    assert remains(direct, place.namespace_path, before)


def test_configmap_of_others_stays(proxy: FaultProxy, direct: KubeClient) -> None:
    place = make_place(direct, unlabelled)
    theirs: dict[str, Any] = new_configmap(direct, place, labels={"app.kubernetes.io/name": "pi-speedup"})
    other = Place(place.namespace, theirs["metadata"]["name"])
    assert cleaned(proxy, other) == ([], [])
    assert direct.get(other.worker_path) == theirs
    assert not proxy.asked("DELETE")
