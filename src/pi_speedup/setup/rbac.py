"""For an administrator: the rights of rbac.yml.j2, a kubeconfig that has them, and their removal."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import yaml

from pi_speedup.codes import Code
from pi_speedup.files import make_private_folder, read_file, write_file
from pi_speedup.kube.access.client import Json, KubeClient
from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.access.kubeconfig import MAX_KUBECONFIG_BYTES, current_cluster
from pi_speedup.kube.owned.cleanup import what_else
from pi_speedup.kube.owned.documents import Document, holds
from pi_speedup.kube.owned.owned import APP, MANAGED_BY, Place, Tell, is_going, is_managed, remove
from pi_speedup.kube.owned.rights import Allowed, Right, in_words, to_clean_up, to_measure
from pi_speedup.problem import refuse
from pi_speedup.store import not_written
from pi_speedup.text import one_line

# What carries it was put there by rbac.yml.
BY_US = "pi-speedup-rbac"
_ACCOUNT = APP
# The API server's authorizer learns of a new binding by a watch.
_LEARNING_SECONDS = 15.0
_SECONDS_A_DAY = 86_400


def rights_in(manifests: Iterable[Document]) -> set[Right]:
    """Return each single right that their Roles grant."""
    return {
        Right(verb, group, resource, document.manifest["metadata"].get("namespace", ""), name)
        for document in manifests
        for rule in document.manifest.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", ("",))
        for verb in rule["verbs"]
    }


@contextlib.contextmanager
def as_administrator(wanted: bool = True) -> Iterator[None]:
    """Say of each right that is missing within the block that an administrator has it, where wanted."""
    try:
        yield
    except KubeError as error:
        if not wanted or not error.is_missing_right:
            raise
        raise refuse(
            Code.API_RIGHT_MISSING,
            error.problem.subject,
            error.problem.what,
            "give an administrator's kubeconfig: -e benchmark_kubeconfig=FILE; or unset KUBECONFIG, and that "
            "of the K3s server is fetched",
        ) from None


def kubeconfig_path(given: str, place: Place, home: Path) -> Path:
    """Return where the kubeconfig is written, the usual place for an empty text."""
    if not given:
        return home / f".kube/{place.namespace}.kubeconfig"
    return (home / given[2:] if given.startswith("~/") else Path(given)).absolute()


def days_of(given: object) -> int:
    """Return rbac_days as a number; ProblemError if it is not one from 1 to 3650."""
    try:
        days = int(str(given))
    except ValueError:
        days = 0
    if not 1 <= days <= 3650:
        raise refuse(
            Code.SETTING_NOT_VALID,
            "rbac_days",
            f"{one_line(repr(given), 40)} is not a number from 1 to 3650",
            "ansible-playbook rbac.yml -e rbac_days=90",
        )
    return days


def to_grant(client: KubeClient, wanted: Iterable[Document]) -> list[Json]:
    """Return the manifests of what is absent or differs.

    A namespace of others is used as it is. ProblemError if one of the names is taken.
    """
    return [document.manifest for document in wanted if _is_to_do(client, document)]


def _is_to_do(client: KubeClient, document: Document) -> bool:
    found = client.find(document.path)
    if found is None:
        return True
    if _is_by_us(found):
        return not holds(found, document.manifest)
    if document.manifest["kind"] == "Namespace":
        # One that a benchmark has made is cleaned up with it, and the rights would go too.
        return is_managed(found)
    raise refuse(
        Code.OBJECT_OF_OTHERS,
        str(document),
        f"not ours (it has no label {MANAGED_BY}={BY_US})",
        "choose another benchmark_namespace, or rename it",
    )


def _is_by_us(item: Json) -> bool:
    return (item["metadata"].get("labels") or {}).get(MANAGED_BY) == BY_US


def take_away(client: KubeClient, place: Place, granted: Sequence[Document], tell: Tell) -> list[str]:
    """Delete what rbac.yml has put there, the namespace too if it is empty; return in words what that was."""
    removed = []
    for document in reversed(granted):
        found = client.find(document.path)
        if found is None or not _is_by_us(found) or is_going(found):
            continue
        if document.manifest["kind"] == "Namespace":
            if kept_for := what_else(client, place):
                tell(f"namespace {place.namespace} stays: {kept_for}")
                continue
            remove(client, document.collection, [found], found["metadata"].get("resourceVersion", ""), tell)
        else:
            client.delete(document.path, found["metadata"]["uid"], "Background")
        removed.append(str(document))
    return removed


def write_kubeconfig(
    client: KubeClient, place: Place, path: Path, days: int, granted: Sequence[Document]
) -> str:
    """Write a kubeconfig for who has been granted the rights, private; return until when its token counts.

    ProblemError if a file is there that is not one of these, or the rights are not what they should be.
    """
    _refuse_other_file(path)
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": days * _SECONDS_A_DAY},
    }
    accounts = f"{place.namespace_path}/serviceaccounts"
    status = client.create(f"{accounts}/{_ACCOUNT}/token", request)["status"]
    name = _name(place)
    text = yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": current_cluster(client.kubeconfig)}],
            "users": [{"name": name, "user": {"token": status["token"]}}],
            "contexts": [
                {"name": name, "context": {"cluster": name, "user": name, "namespace": place.namespace}}
            ],
            "current-context": name,
        },
        sort_keys=False,
    )
    try:
        make_private_folder(path.parent)
        write_file(path, text.encode())
    except OSError as error:
        raise not_written(path, error) from None
    # What is not needed to measure may be left out of the file.
    _see_that_it_works(path, place, {*to_measure(place), *to_clean_up(place), *rights_in(granted)})
    return one_line(status["expirationTimestamp"], 40)


def _see_that_it_works(path: Path, place: Place, wanted: Iterable[Right]) -> None:
    deadline = time.monotonic() + _LEARNING_SECONDS
    with KubeClient(path) as client:
        while lacking := Allowed(client, place).missing(wanted):
            if time.monotonic() > deadline:
                raise refuse(
                    Code.API_RIGHT_WITHOUT_EFFECT,
                    f"kubeconfig {path}",
                    f"lacks rights that were granted: {in_words(lacking)}",
                    "see whether the API server uses RBAC (authorization-mode), and what else forbids it",
                )
            time.sleep(0.2)


def remove_kubeconfig(path: Path, place: Place) -> bool:
    """Remove the kubeconfig that was written for a namespace; False if there is none. Others stay."""
    if _name_in(path) != _name(place):
        return False
    try:
        path.unlink()
    except OSError as error:
        what = f"cannot be removed ({error.strerror}) and holds a key"
        step = f"ls -ld {shlex.quote(str(path.parent))} shows whose folder it is; then the same command again"
        raise refuse(Code.KEY_NOT_REMOVED, one_line(path), what, step) from None
    return True


def _refuse_other_file(path: Path) -> None:
    if os.path.lexists(path) and not _name_in(path).startswith(BY_US):
        raise refuse(
            Code.FILE_IN_THE_WAY,
            str(path),
            "there already, and not a kubeconfig that rbac.yml made",
            "move it away, or give -e rbac_kubeconfig=FILE",
        )


def _name_in(path: Path) -> str:
    """Return the one name in a kubeconfig that has a single context, else an empty text.

    So one into which somebody has put other clusters is no longer one of these.
    """
    try:
        document = yaml.safe_load(read_file(path, MAX_KUBECONFIG_BYTES))
        names = [each["name"] for kind in ("contexts", "clusters", "users") for each in document[kind]]
        (name,) = {str(document["current-context"]), *map(str, names)}
        return name if len(names) == 3 else ""
    except (OSError, ValueError, TypeError, LookupError, RecursionError, yaml.YAMLError):
        return ""


def _name(place: Place) -> str:
    return f"{BY_US}@{place.namespace}"
