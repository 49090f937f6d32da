"""Take away all that is ours: Jobs with their pods, the ConfigMap with all else, the namespace if empty."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pi_speedup.codes import Code
from pi_speedup.kube.access.client import Json, KubeClient
from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.owned.lease import CLEANUP, LEASE_NAME, ClaimedError, claim_of, counts, hold, this_holder
from pi_speedup.kube.owned.owned import (
    APP,
    MANAGED_BY,
    POLICY_NAME,
    Place,
    Tell,
    is_going,
    is_managed,
    is_owned,
    letting_go,
    our_jobs,
    remove,
)
from pi_speedup.kube.owned.rights import require_to_clean_up
from pi_speedup.problem import Problem

_DISCOVERY = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    for version in ("v2", "v2beta1")
)
_NAMES_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
# Kubernetes puts these into every namespace; events and metrics only tell of other objects.
_ALWAYS_THERE = {("configmaps", "kube-root-ca.crt"), ("serviceaccounts", "default")}
_ONLY_TELLS = {("", "events"), ("events.k8s.io", "events"), ("metrics.k8s.io", "pods")}
# Kubernetes' garbage collector may still be taking away what an earlier, broken-off cleanup left to it.
SETTLE_SECONDS = 15.0


def clean_up(client: KubeClient, place: Place, tell: Tell, running: bool) -> list[str]:
    """Remove what is ours and wait until it is gone; return what was removed, empty if there was nothing.

    ProblemError, and nothing is removed, while a benchmark measures, unless `running` says to take it away
    too; and if something doesn't go. `tell` gets a line every 10 s of waiting, and one if the namespace is
    ours but stays, which is no error.
    """
    namespace = client.find(place.namespace_path)
    if namespace is None:
        return []
    removed = []
    owner = client.find(place.owner_path)
    if owner and is_managed(owner) and not is_going(namespace):
        removed += _remove_owned(client, place, owner, tell, running)
    if is_managed(namespace):
        kept_for = None if is_going(namespace) else what_else(client, place)
        if kept_for:
            tell(f"namespace {place.namespace} stays: {kept_for}")
        else:
            _remove_one(client, "/api/v1/namespaces", namespace, tell)
            removed.append(f"namespace {place.namespace}")
    return removed


def what_is_left(problem: str, place: Place) -> str:
    """Return the line of a clean-up that did not come to its end, with what removes the rest without it."""
    problem = problem.removesuffix("; then run again")
    by_hand = f"kubectl -n {place.namespace} delete configmap {place.owner}"
    again = "run ansible-playbook cleanup.yml again"
    then = "" if again in problem else f"; then {again}"
    if f"[{Code.NAMESPACE_GOING}]" in problem:
        # All that is in it goes with it.
        return f"{problem}{then}"
    return f"{problem}{then}, or remove what is left in the cluster by hand: {by_hand}"


def _remove_owned(client: KubeClient, place: Place, owner: Json, tell: Tell, running: bool) -> list[str]:
    uid = str(owner["metadata"]["uid"])
    require_to_clean_up(client, place)
    removed = _remove_lease(client, place, uid, running)
    # So that no benchmark begins while its objects are removed.
    with hold(client, place, this_holder(), CLEANUP):
        jobs, version = our_jobs(client, place, uid)
        if jobs:
            pods, _ = client.list_all(place.pods, {"labelSelector": f"{MANAGED_BY}={APP}"})
            for job in jobs:
                count = sum(is_owned(pod, job["metadata"]["uid"]) for pod in pods)
                removed.append(
                    f"Job {job['metadata']['name']} with {count} {'pod' if count == 1 else 'pods'}"
                )
            remove(client, place.jobs, jobs, version, tell)
        removed += _policy(client, place, uid)
        # In the foreground, so that what it owns goes first, our claim too.
        _remove_one(client, place.configmaps, owner, tell)
    return [*removed, f"ConfigMap {place.owner}"]


def _policy(client: KubeClient, place: Place, uid: str) -> list[str]:
    """Return in words our NetworkPolicy, which goes with its owner; nothing for who may not look."""
    try:
        found = client.find(f"{place.policies}/{POLICY_NAME}")
    except KubeError as error:
        if not error.is_missing_right:
            raise
        return []
    return [f"NetworkPolicy {POLICY_NAME}"] if found and is_owned(found, uid) else []


def _remove_lease(client: KubeClient, place: Place, uid: str, running: bool) -> list[str]:
    """Remove a claim if it has run out, or `running` says so; return in words what was removed."""
    path = f"{place.leases}/{LEASE_NAME}"
    found = client.find(path)
    if not found or not is_owned(found, uid):
        return []
    claim = claim_of(found)
    if counts(claim, client.now()) and claim.run_id != CLEANUP and not running:
        raise ClaimedError(
            Problem(
                code=Code.CLEANUP_DURING_RUN,
                subject="a benchmark is measuring",
                what=str(claim),
                next_step="wait for its end, or remove it too: ansible-playbook cleanup.yml -e "
                "cleanup_running=true",
            )
        )
    client.delete(path, claim.uid, "Background")
    return [f"Lease {LEASE_NAME} of {claim.whose}"]


def _remove_one(client: KubeClient, collection: str, item: Json, tell: Tell) -> None:
    remove(client, collection, [item], item["metadata"].get("resourceVersion", ""), tell)


def what_else(client: KubeClient, place: Place) -> str | None:
    """Return why the namespace must stay: what it holds, or that this can't be told; None if it is empty."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            left = list(_contents(client, place))
        except KubeError as error:
            if error.status is None:
                raise
            return f"what it holds cannot be told ({error.problem.what})"
        if not left:
            return None
        if time.monotonic() > deadline or not all(is_going(item) for _, item in left):
            stuck = [
                item for resource, item in left if resource == "pods" and is_managed(item) and is_going(item)
            ]
            if len(stuck) == len(left):
                # Its Job, which would prove it ours, is gone.
                pod = client.find(f"{place.pods}/{stuck[0]['metadata']['name']}") or stuck[0]
                name = pod["metadata"]["name"]
                return f"pod {name}, which has our label, does not end; {letting_go(pod, 'pod')}"
            resource, item = left[0]
            what = "an object" if len(left) == 1 else f"{len(left)} objects"
            return f"it holds {what} of others, such as {resource}/{item['metadata'].get('name', '')}"
        time.sleep(0.5)


def _contents(client: KubeClient, place: Place) -> Iterator[tuple[str, Json]]:
    """Yield plural name and object of all that the namespace holds and isn't there by itself."""
    for group, version, resource in _listable(client, place):
        if (group, resource) in _ONLY_TELLS:
            continue
        prefix = f"/apis/{group}/{version}" if group else f"/api/{version}"
        path = f"{prefix}/namespaces/{place.namespace}/{resource}"
        for item in client.get(path, {"limit": 20}, accept=_NAMES_ONLY).get("items") or ():
            if (resource, item["metadata"].get("name")) not in _ALWAYS_THERE:
                yield resource, item


def _listable(client: KubeClient, place: Place) -> Iterator[tuple[str, str, str]]:
    """Yield group, version and plural name of each kind that a namespace can hold and list."""
    for path in ("/api", "/apis"):
        answer = client.get(path, accept=_DISCOVERY)
        if answer.get("kind") != "APIGroupDiscoveryList":
            raise KubeError(
                Code.API_TOO_OLD,
                f"API server {client.server}",
                "too old to say what a namespace holds (Kubernetes 1.27 is needed)",
                f"kubectl -n {place.namespace} get all,configmaps,secrets,persistentvolumeclaims shows most "
                f"of it; if none of that is needed, kubectl delete namespace {place.namespace}",
                status=200,
            )
        for group in answer.get("items") or ():
            name = group["metadata"].get("name", "")
            # A kind may be served in several versions: one of them shows all its objects.
            versions = {
                resource["resource"]: version["version"]
                for version in reversed(group.get("versions") or ())
                for resource in version.get("resources") or ()
                if resource["scope"] == "Namespaced" and "list" in resource["verbs"]
            }
            yield from ((name, version, resource) for resource, version in versions.items())
