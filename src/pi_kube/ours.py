"""Which objects in the cluster are ours, and their removal.

A Job is ours if it carries our label AND is owned by our ConfigMap's uid. A name or a label alone proves
nothing, since anyone may copy it. Every deletion carries the uid as its precondition.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pi_kube.client import WATCH_SECONDS, Json, KubeClient
from pi_kube.errors import KubeError
from pi_speedup.job_progress import is_controlled_by

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "pi-speedup"
# Foreground deletion takes about a second; a pod has 5 s to end, a Pi under load a little more.
REMOVAL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace and the name of the ConfigMap in it that holds the worker and owns our Jobs."""

    namespace: str
    worker: str

    @property
    def namespace_path(self) -> str:
        """Return the API path of the namespace itself."""
        return f"/api/v1/namespaces/{self.namespace}"

    @property
    def worker_path(self) -> str:
        """Return the API path of the ConfigMap."""
        return f"{self.namespace_path}/configmaps/{self.worker}"

    @property
    def jobs(self) -> str:
        """Return the API path of the Jobs."""
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    @property
    def pods(self) -> str:
        """Return the API path of the pods."""
        return f"{self.namespace_path}/pods"


def is_managed(item: Json) -> bool:
    """Say whether an object carries our managed-by label."""
    return (item["metadata"].get("labels") or {}).get(MANAGED_BY) == MANAGER


def is_owned(item: Json, uid: str) -> bool:
    """Say whether the object with this uid is among the item's owners."""
    return any(owner.get("uid") == uid for owner in item["metadata"].get("ownerReferences") or ())


def to_apply(client: KubeClient, place: Place, namespace: Json, worker: Json) -> list[Json]:
    """Return which of the two manifests must be applied, since they are absent or differ.

    A namespace that is another's is used as it is. KubeError if the ConfigMap is another's, or while the
    namespace is being deleted.
    """
    found = client.find(place.namespace_path)
    if found is None:
        return [namespace, worker]
    if found["metadata"].get("deletionTimestamp"):
        raise KubeError(
            f"namespace {place.namespace} is being deleted. Next: wait until it is gone "
            f"(kubectl get namespace {place.namespace}), run again"
        )
    wanted = [namespace] if is_managed(found) and not holds(found, namespace) else []
    if not holds(find_worker(client, place) or {}, worker):
        wanted.append(worker)
    return wanted


def holds(found: object, wanted: object) -> bool:
    """Say whether an object has all that a manifest sets; what else it has is the API server's business."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return all(key in found and holds(found[key], value) for key, value in wanted.items())
    return found == wanted


def find_worker(client: KubeClient, place: Place) -> Json | None:
    """Return our ConfigMap, None if absent; KubeError if another's has its name."""
    worker = client.find(place.worker_path)
    if worker and not is_managed(worker):
        raise KubeError(
            f"ConfigMap {place.worker} in namespace {place.namespace} is not ours (no label {MANAGED_BY}="
            f"{MANAGER}). Next: choose another namespace, or remove that ConfigMap yourself"
        )
    return worker


def our_jobs(client: KubeClient, place: Place, worker_uid: str) -> tuple[list[Json], str]:
    """Return our Jobs, and the resource version from which their removal can be watched."""
    jobs, version = client.list_all(place.jobs, {"labelSelector": f"{MANAGED_BY}={MANAGER}"})
    return [job for job in jobs if is_owned(job, worker_uid)], version


def remove(client: KubeClient, collection: str, items: Sequence[Json], version: str) -> None:
    """Delete objects and all they own, and wait until they are gone.

    `version` is the resource version of the list they were read from. KubeError after REMOVAL_SECONDS.
    """
    deadline = time.monotonic() + REMOVAL_SECONDS
    # Sorted out of the dict below when seen gone.
    left = {item["metadata"]["uid"]: item["metadata"]["name"] for item in items}
    for uid, name in list(left.items()):
        if not client.delete(f"{collection}/{name}", uid):
            del left[uid]
    while left:
        seconds = int(min(WATCH_SECONDS, deadline - time.monotonic()))
        if seconds < 1:
            raise _stuck(client, collection, left)
        try:
            for event in client.open_watch(collection, {"resourceVersion": version}, seconds):
                if event["type"] == "DELETED":
                    left.pop(event["object"]["metadata"]["uid"], None)
                if not left:
                    return
        except KubeError:
            # A watch may break or have expired: what is left is read anew, and that read may fail for good.
            time.sleep(0.5)
        now_there, version = client.list_all(collection)
        left = {uid: name for uid, name in left.items() if uid in _uids(now_there)}


def _uids(items: Iterable[Json]) -> set[str]:
    return {item["metadata"]["uid"] for item in items}


def _stuck(client: KubeClient, collection: str, left: dict[str, str]) -> KubeError:
    """Name the pods that keep their owners from going, and their Pis."""
    where = ""
    if collection.endswith("/jobs"):
        pods, _ = client.list_all(
            collection.replace("/apis/batch/v1", "/api/v1").removesuffix("jobs") + "pods"
        )
        held = [
            f"pod {pod['metadata']['name']} on {pod['spec'].get('nodeName', 'no Pi')}"
            for pod in pods
            if any(is_controlled_by(pod, uid) for uid in left)
        ]
        where = f" ({', '.join(held[:3])} doesn't end)" if held else ""
    return KubeError(
        f"{collection.rsplit('/', 1)[1]} {', '.join(sorted(left.values())[:3])} not gone after "
        f"{REMOVAL_SECONDS:.0f} s{where}. Next: look whether that Pi is up; if it is lost for good, "
        "kubectl delete pod --force, then run again"
    )
