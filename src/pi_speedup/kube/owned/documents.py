"""Objects that manifests describe: where they are in the API, and whether the API server would take them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pi_speedup.kube.access.client import Json, KubeClient
from pi_speedup.kube.access.errors import KubeError

_CORE = "/api/v1/namespaces"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_COLLECTIONS = {
    "Namespace": _CORE,
    "ConfigMap": _CORE + "/{}/configmaps",
    "ServiceAccount": _CORE + "/{}/serviceaccounts",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "Role": _RBAC + "/namespaces/{}/roles",
    "RoleBinding": _RBAC + "/namespaces/{}/rolebindings",
    "ClusterRole": _RBAC + "/clusterroles",
    "ClusterRoleBinding": _RBAC + "/clusterrolebindings",
}


@dataclass(frozen=True, slots=True)
class Document:
    """One object as its manifest describes it."""

    manifest: Json

    @property
    def collection(self) -> str:
        """The API path of all objects of its kind."""
        return _COLLECTIONS[self.manifest["kind"]].format(self.manifest["metadata"].get("namespace"))

    @property
    def path(self) -> str:
        """Its API path."""
        return f"{self.collection}/{self.manifest['metadata']['name']}"

    def __str__(self) -> str:
        return f"{self.manifest['kind']} {self.manifest['metadata']['name']}"


def holds(found: object, wanted: object) -> bool:
    """Say whether an object has all that a manifest sets; what else it has is the API server's business."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return all(key in found and holds(found[key], value) for key, value in wanted.items())
    return found == wanted


def dry_run(client: KubeClient, documents: Iterable[Document]) -> None:
    """Ask the API server to create or to change each object, without effect.

    KubeError for the first that it does not take. Silence and what passes by itself is waited for.
    """
    for document in documents:
        try:
            client.create(document.collection, document.manifest, dry_run=True)
        except KubeError as error:
            if error.status == 409:
                client.patch(document.path, document.manifest, dry_run=True)
            # Its namespace is not there yet, since that was a dry run as well.
            elif error.status != 404:
                raise
