"""Take away everything of ours: Jobs with their pods, the ConfigMap, and the namespace if ours and empty."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from pi_kube.client import Json, KubeClient
from pi_kube.errors import KubeError
from pi_kube.ours import Place, is_managed, our_jobs, remove

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


def clean_up(client: KubeClient, place: Place, report: Callable[[str], None]) -> list[str]:
    """Remove what is ours and wait until it is gone; return what was removed, empty if there was nothing.

    `report` gets a line if the namespace is ours but stays, which is no error.
    """
    namespace = client.find(place.namespace_path)
    if namespace is None:
        return []
    removed = []
    worker = client.find(place.worker_path)
    if worker and is_managed(worker) and not _is_going(namespace):
        uid = worker["metadata"]["uid"]
        jobs, version = our_jobs(client, place, uid)
        remove(client, place.jobs, jobs, version)
        removed += [f"Job {job['metadata']['name']}" for job in jobs]
        _remove_one(client, f"{place.namespace_path}/configmaps", worker)
        removed.append(f"ConfigMap {place.worker}")
    if is_managed(namespace):
        kept_for = None if _is_going(namespace) else _foreign(client, place)
        if kept_for:
            report(f"namespace {place.namespace} stays: {kept_for}")
        else:
            _remove_one(client, "/api/v1/namespaces", namespace)
            removed.append(f"Namespace {place.namespace}")
    return removed


def _is_going(item: Json) -> bool:
    return "deletionTimestamp" in item["metadata"]


def _remove_one(client: KubeClient, collection: str, item: Json) -> None:
    remove(client, collection, [item], item["metadata"]["resourceVersion"])


def _foreign(client: KubeClient, place: Place) -> str | None:
    """Return why the namespace must stay: what it holds, or that this can't be told; None if it is empty."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            left = list(_contents(client, place))
        except KubeError as error:
            if error.status is None:
                raise
            return f"what it holds cannot be told: {error}"
        if not left:
            return None
        if time.monotonic() > deadline or not all(_is_going(item) for _, item in left):
            resource, item = left[0]
            return f"it holds {len(left)} objects of others, such as {resource}/{item['metadata']['name']}"
        time.sleep(0.5)


def _contents(client: KubeClient, place: Place) -> Iterator[tuple[str, Json]]:
    """Yield plural name and object of all that the namespace holds and isn't there by itself."""
    for group, version, resource in _listable(client):
        if (group, resource) in _ONLY_TELLS:
            continue
        prefix = f"/apis/{group}/{version}" if group else f"/api/{version}"
        path = f"{prefix}/namespaces/{place.namespace}/{resource}"
        for item in client.get(path, {"limit": 20}, accept=_NAMES_ONLY).get("items") or ():
            if (resource, item["metadata"]["name"]) not in _ALWAYS_THERE:
                yield resource, item


def _listable(client: KubeClient) -> Iterator[tuple[str, str, str]]:
    """Yield group, version and plural name of each kind that a namespace can hold and list."""
    for path in ("/api", "/apis"):
        answer = client.get(path, accept=_DISCOVERY)
        if answer.get("kind") != "APIGroupDiscoveryList":
            raise KubeError(
                f"API server {client.server} is too old to say what a namespace holds (Kubernetes 1.27 is "
                "needed). Next: look yourself, then kubectl delete namespace"
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
