"""Which objects in the cluster are ours, and their removal.

A Job is ours if it carries our label AND is owned by our ConfigMap's uid. A name or a label alone proves
nothing, since anyone may copy it. Every deletion carries the uid as its precondition.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pi_speedup.codes import Code
from pi_speedup.kube.access.client import Json, KubeClient
from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.access.shape import is_controlled_by
from pi_speedup.kube.owned.documents import holds
from pi_speedup.text import listed

APP = "pi-speedup"
MANAGED_BY = "app.kubernetes.io/managed-by"
RUN_ID_LABEL = "pi-speedup/run-id"
TRIAL_LABEL = "pi-speedup/trial"
# Of pods that our NetworkPolicy leaves alone.
NETWORK_LABEL = "pi-speedup/network"
# The ConfigMap that owns all else of ours; one a namespace.
OWNER_NAME = "pi-speedup-owner"
POLICY_NAME = "pi-speedup-pods"
# Foreground deletion takes about a second; a pod has 2 s to end, a Pi under load takes a little more.
REMOVAL_SECONDS = 60.0
TELL_SECONDS = 10.0
# As the namespace's controller words what is left: `configmaps. has 1 resource instances`.
_REMAINING = re.compile(r"\b([a-z0-9][a-z0-9.-]*?)\.? has \d+ resource instances")
# Put there by Kubernetes itself, and taken away by it.
_OWN_FINALIZERS = ("foregroundDeletion", "batch.kubernetes.io/job-tracking", "orphan", "kubernetes")

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace, and the name of the ConfigMap in it that owns our Jobs."""

    namespace: str
    owner: str = OWNER_NAME

    @property
    def namespace_path(self) -> str:
        """The API path of the namespace itself."""
        return f"/api/v1/namespaces/{self.namespace}"

    @property
    def configmaps(self) -> str:
        """The API path of the ConfigMaps."""
        return f"{self.namespace_path}/configmaps"

    @property
    def owner_path(self) -> str:
        """The API path of the owner."""
        return f"{self.configmaps}/{self.owner}"

    @property
    def jobs(self) -> str:
        """The API path of the Jobs."""
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    @property
    def pods(self) -> str:
        """The API path of the pods."""
        return f"{self.namespace_path}/pods"

    @property
    def events(self) -> str:
        """The API path of the events."""
        return f"{self.namespace_path}/events"

    @property
    def leases(self) -> str:
        """The API path of the Leases."""
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"

    @property
    def policies(self) -> str:
        """The API path of the NetworkPolicies."""
        return f"/apis/networking.k8s.io/v1/namespaces/{self.namespace}/networkpolicies"

    @property
    def subject(self) -> str:
        """The namespace as the subject of a problem."""
        return f"namespace {self.namespace}"


def labels() -> Json:
    """Return the labels that all our objects carry."""
    return {"app.kubernetes.io/name": APP, MANAGED_BY: APP}


def owner_reference(place: Place, uid: str) -> Json:
    """Return what makes an object owned by our ConfigMap of this uid."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": place.owner,
        "uid": uid,
        "blockOwnerDeletion": True,
    }


def is_managed(item: Json) -> bool:
    """Say whether an object carries our managed-by label."""
    return (item["metadata"].get("labels") or {}).get(MANAGED_BY) == APP


def is_owned(item: Json, uid: str) -> bool:
    """Say whether the object with this uid is among the item's owners."""
    return any(owner.get("uid") == uid for owner in item["metadata"].get("ownerReferences") or ())


def is_going(item: Json) -> bool:
    """Say whether an object is being deleted."""
    return "deletionTimestamp" in item["metadata"]


def find_owner(client: KubeClient, place: Place) -> Json | None:
    """Return our ConfigMap, None if absent; KubeError if another's has its name."""
    owner = client.find(place.owner_path)
    if owner and not is_managed(owner):
        raise KubeError(
            Code.OBJECT_OF_OTHERS,
            f"ConfigMap {place.owner} in namespace {place.namespace}",
            f"not ours (it has no label {MANAGED_BY}={APP})",
            "choose another benchmark_namespace, or remove that ConfigMap yourself",
        )
    return owner


def owner_uid(client: KubeClient, place: Place) -> str:
    """Return the uid of our ConfigMap; KubeError if it is gone or another's."""
    owner = find_owner(client, place)
    if owner is None:
        raise KubeError(
            Code.OBJECT_GONE_OR_CHANGED,
            f"ConfigMap {place.owner}",
            f"gone from namespace {place.namespace}",
            "run again",
        )
    return str(owner["metadata"]["uid"])


def to_apply(client: KubeClient, place: Place, namespace: Json, owner: Json) -> list[Json]:
    """Return which of the two manifests must be applied, since they are absent or differ.

    A namespace that is another's is used as it is. KubeError if the ConfigMap is another's, or while the
    namespace is being deleted.
    """
    found = client.find(place.namespace_path)
    if found is None:
        return [namespace, owner]
    if is_going(found):
        raise namespace_going(client, place, found)
    wanted = [namespace] if is_managed(found) and not holds(found, namespace) else []
    if not holds(find_owner(client, place) or {}, owner):
        wanted.append(owner)
    return wanted


def policy_to_apply(client: KubeClient, place: Place, policy: Json) -> list[Json]:
    """Return our NetworkPolicy, owned by our ConfigMap, where it must be applied, else nothing.

    Another's of this name stays as it is: trials are the same without it.
    """
    uid = owner_uid(client, place)
    metadata = {**policy["metadata"], "ownerReferences": [owner_reference(place, uid)]}
    wanted = {**policy, "metadata": metadata}
    found = client.find(f"{place.policies}/{POLICY_NAME}")
    return [] if found and (holds(found, wanted) or not is_owned(found, uid)) else [wanted]


def our_jobs(client: KubeClient, place: Place, uid: str) -> tuple[list[Json], str]:
    """Return our Jobs, and the resource version from which their removal can be watched."""
    jobs, version = client.list_all(place.jobs, {"labelSelector": f"{MANAGED_BY}={APP}"})
    return [job for job in jobs if is_owned(job, uid)], version


def remove(
    client: KubeClient, collection: str, items: Sequence[Json], version: str, tell: Tell = lambda line: None
) -> None:
    """Delete objects and all they own, and wait until they are gone.

    `version` is the resource version of the list they were read from; `tell` gets a line every 10 s.
    KubeError after REMOVAL_SECONDS: it names what stays, and the command that helps.
    """
    deadline = time.monotonic() + REMOVAL_SECONDS
    # Sorted out of the dict below when seen gone.
    left = {item["metadata"]["uid"]: item["metadata"]["name"] for item in items}
    # Of one alone no right is needed to read the others.
    alone = {"fieldSelector": f"metadata.name={next(iter(left.values()))}"} if len(left) == 1 else {}
    for uid, name in list(left.items()):
        if not client.delete(f"{collection}/{name}", uid):
            del left[uid]
    while left:
        seconds = min(TELL_SECONDS, deadline - time.monotonic())
        if seconds < 1:
            raise _stuck(client, collection, left)
        try:
            for event in client.open_watch(collection, {**alone, "resourceVersion": version}, int(seconds)):
                if event["type"] == "DELETED":
                    left.pop(event["object"]["metadata"]["uid"], None)
                if not left:
                    return
        except KubeError:
            # A watch may break or have expired: what is left is read anew, and that read may fail for good.
            time.sleep(0.5)
        now_there, version = client.list_all(collection, alone)
        left = {uid: name for uid, name in left.items() if uid in _uids(now_there)}
        if left:
            tell(f"waiting for {listed(_named(client, collection, left))} to be gone")


def remove_jobs_beside(
    client: KubeClient,
    place: Place,
    jobs: Sequence[Json],
    away: Collection[str],
    tell: Tell = lambda line: None,
) -> None:
    """Delete Jobs, and wait until their pods are gone, but for those on the Pis that are `away`.

    A pod on a lost Pi goes only once the Pi is back; where nothing is measured it disturbs nobody. KubeError
    after REMOVAL_SECONDS.
    """
    deadline = time.monotonic() + REMOVAL_SECONDS
    told = time.monotonic()
    left = {job["metadata"]["uid"]: job["metadata"]["name"] for job in jobs}
    for uid, name in left.items():
        client.delete(f"{place.jobs}/{name}", uid, "Background")
    while pods := [
        pod for pod in _pods_of(client, place.jobs, left) if pod.get("spec", {}).get("nodeName") not in away
    ]:
        if time.monotonic() > deadline:
            raise _stuck(client, place.jobs, left)
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            tell(f"waiting for {listed(pod['metadata']['name'] for pod in pods)} to be gone")
        time.sleep(0.5)


def _uids(items: Iterable[Json]) -> set[str]:
    return {item["metadata"]["uid"] for item in items}


def _kind(collection: str) -> str:
    return {"jobs": "Job", "configmaps": "ConfigMap", "namespaces": "namespace", "leases": "Lease"}.get(
        collection.rsplit("/", 1)[1], collection.rsplit("/", 1)[1]
    )


def _named(client: KubeClient, collection: str, left: Mapping[str, str]) -> list[str]:
    """Return in words what is left: of Jobs their pods, which are what takes time."""
    pods = _pods_of(client, collection, left)
    if not pods:
        return [f"{_kind(collection)} {name}" for name in sorted(left.values())]
    return [
        f"pod {pod['metadata']['name']} on {pod.get('spec', {}).get('nodeName', 'no Pi')}" for pod in pods
    ]


def _pods_of(client: KubeClient, collection: str, left: Mapping[str, str]) -> list[Json]:
    if not collection.endswith("/jobs"):
        return []
    path = collection.replace("/apis/batch/v1", "/api/v1").removesuffix("jobs") + "pods"
    pods, _ = client.list_all(path)
    return [pod for pod in pods if any(is_controlled_by(pod, uid) for uid in left)]


def _stuck(client: KubeClient, collection: str, left: Mapping[str, str]) -> KubeError:
    """Name what does not go, and the command that lets it go."""
    subject = f"{_kind(collection)} {listed(sorted(left.values()), most=3)}"
    if collection == "/api/v1/namespaces":
        namespace = client.find(f"{collection}/{next(iter(left.values()))}")
        if namespace:
            return namespace_going(client, Place(namespace["metadata"]["name"]), namespace)
    pods = _pods_of(client, collection, left)
    where = f" ({listed(_named(client, collection, left), most=3)} doesn't end)" if pods else ""
    if pods:
        commands = [letting_go(pod, "pod") for pod in pods[:3]]
    else:
        found = [client.find(f"{collection}/{name}") for name in list(left.values())[:3]]
        commands = [
            letting_go(item, _kind(collection).lower())
            for item in found
            if item and item["metadata"]["uid"] in left
        ]
    # Nothing is left of it where it went just now.
    again = "run ansible-playbook cleanup.yml again"
    return KubeError(
        Code.OBJECT_NOT_GONE,
        subject,
        f"not gone after {REMOVAL_SECONDS:.0f} s{where}",
        "; then ".join(("; ".join(dict.fromkeys(commands)), again) if commands else (again,)),
    )


def letting_go(item: Json, kind: str) -> str:
    """Return the command that lets an object go which is being deleted and stays."""
    metadata = item["metadata"]
    name, namespace = metadata["name"], metadata.get("namespace", "")
    held = [each for each in metadata.get("finalizers") or () if each not in _OWN_FINALIZERS]
    if held:
        # Another program's promise to be kept first; --force does not release it.
        return (
            f"see who holds it ({held[0]}), or give that up: kubectl -n {namespace} patch {kind} "
            f'{name} --type=merge -p \'{{"metadata":{{"finalizers":null}}}}\''
        )
    if not is_going(item) or kind != "pod":
        return "see whether Kubernetes' controllers work (on the K3s server, sudo journalctl -u k3s)"
    pi = item.get("spec", {}).get("nodeName", "its Pi")
    return f"bring {pi} back, or if it is lost for good: kubectl -n {namespace} delete pod {name} --force"


def namespace_going(client: KubeClient, place: Place, namespace: Json) -> KubeError:
    """Return the problem of a namespace that is being deleted: what it waits for, as Kubernetes says."""
    conditions = {
        each["type"]: str(each.get("message") or "")
        for each in namespace.get("status", {}).get("conditions") or ()
        if each.get("status") == "True"
    }
    name = place.namespace
    if message := conditions.get("NamespaceFinalizersRemaining"):
        # Without what is left, pods are a guess, but the command can be typed.
        left = ",".join(_REMAINING.findall(conditions.get("NamespaceContentRemaining", ""))) or "pods"
        next_step = (
            f"see who holds it: kubectl -n {name} get {left} -o custom-columns=KIND:.kind,"
            "NAME:.metadata.name,HELD:.metadata.finalizers; to give that up, remove these finalizers: "
            f"kubectl -n {name} edit {left}"
        )
    elif message := conditions.get("NamespaceDeletionDiscoveryFailure") or conditions.get(
        "NamespaceDeletionGroupVersionParsingFailure"
    ):
        next_step = "kubectl get apiservices names the extension that does not answer: repair or delete it"
    else:
        message = conditions.get("NamespaceContentRemaining") or conditions.get(
            "NamespaceDeletionContentFailure", ""
        )
        pods = [pod for pod in client.list_all(place.pods)[0] if is_going(pod)]
        next_step = "; ".join(letting_go(pod, "pod") for pod in pods[:3]) or (
            f"wait until it is gone (kubectl get namespace {name})"
        )
    return KubeError(
        Code.NAMESPACE_GOING,
        place.subject,
        f"being deleted{': ' + message if message else ''}",
        f"{next_step}; then run again",
    )
