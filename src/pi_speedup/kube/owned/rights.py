"""What a benchmark must be allowed, and what of it somebody lacks, before anything is created.

roles/rbac/templates/rbac.yml.j2 grants just this; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pi_speedup.codes import Code
from pi_speedup.kube.access.client import Json, KubeClient
from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.nodes.nodes import NODE_LEASE_NAMESPACE
from pi_speedup.kube.owned.lease import LEASE_NAME
from pi_speedup.kube.owned.owned import APP, POLICY_NAME, Place
from pi_speedup.problem import ProblemError, refuse

_REVIEWS = "/apis/authorization.k8s.io/v1"
# Of what a right for the whole cluster means all namespaces.
_NAMESPACED = ("leases", "pods")


@dataclass(frozen=True, slots=True)
class Right:
    """To do `verb` with a resource ("pods/log" for a part of it), in a namespace or, if empty, the cluster.

    With a `name` only with the object of this name.
    """

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""


def to_measure(place: Place) -> tuple[Right, ...]:
    """Return the rights without which a benchmark does not come to its end.

    Listing nodes is not among them: who may not, measures the Pis of the inventory (`nodes_or_names`).
    """
    return (
        Right("get", "", "namespaces", place.namespace, place.namespace),
        *_rights(place, "", "configmaps", "create"),
        *_rights(place, "", "configmaps", "get patch", place.owner),
        *_rights(place, "coordination.k8s.io", "leases", "create"),
        *_rights(place, "coordination.k8s.io", "leases", "get patch delete", LEASE_NAME),
        *_rights(place, "batch", "jobs", "create get list watch patch delete"),
        *_rights(place, "", "pods", "list watch"),
    )


def to_make_the_namespace() -> tuple[Right, ...]:
    """Return what a benchmark needs besides where its namespace is not there yet."""
    return (Right("create", "", "namespaces"),)


def to_clean_up(place: Place) -> tuple[Right, ...]:
    """Return the rights without which cleanup.yml leaves something in a namespace."""
    return (
        *_rights(place, "", "configmaps", "get list watch delete", place.owner),
        *_rights(place, "coordination.k8s.io", "leases", "create"),
        *_rights(place, "coordination.k8s.io", "leases", "get patch delete", LEASE_NAME),
        *_rights(place, "batch", "jobs", "list watch delete"),
        *_rights(place, "", "pods", "list"),
    )


def to_say_why(place: Place) -> tuple[Right, ...]:
    """Return the rights without which a benchmark goes well, but says less of what went wrong."""
    return (
        *_rights(place, "", "pods/log", "get"),
        *_rights(place, "", "events", "list watch"),
        Right("list", "coordination.k8s.io", "leases", NODE_LEASE_NAMESPACE),
        Right("watch", "coordination.k8s.io", "leases", NODE_LEASE_NAMESPACE),
    )


def to_isolate(place: Place) -> tuple[Right, ...]:
    """Return the rights without which a benchmark goes well, but its pods could use the network."""
    group = "networking.k8s.io"
    return (
        *_rights(place, group, "networkpolicies", "create"),
        *_rights(place, group, "networkpolicies", "get patch", POLICY_NAME),
    )


def to_see_neighbours(_place: Place) -> tuple[Right, ...]:
    """Return the rights without which nobody sees who else uses the Pis."""
    return (
        Right("list", "coordination.k8s.io", "leases", name=LEASE_NAME),
        Right("watch", "coordination.k8s.io", "leases", name=LEASE_NAME),
        Right("list", "", "pods"),
    )


# What a benchmark does without, and what that means for it.
_DISPENSABLE = (
    (to_say_why, "a failure will be told less well"),
    (to_isolate, "its pods are not cut off from the network"),
    (to_see_neighbours, "nobody sees whether others use the Pis meanwhile"),
)


def _rights(place: Place, group: str, resource: str, verbs: str, name: str = "") -> Iterator[Right]:
    for verb in verbs.split():
        yield Right(verb, group, resource, place.namespace, name)


class Allowed:
    """What the identity of a client may do, as the API server says."""

    def __init__(self, client: KubeClient, place: Place) -> None:
        self._client, self._place = client, place
        self._rules: dict[str, Sequence[Json]] = {}

    def missing(self, wanted: Iterable[Right]) -> tuple[Right, ...]:
        """Return those of the rights that are missing.

        One request for each namespace says what is allowed there. Its list need not be whole, so what is not
        in it is asked for one by one; and so is what is meant for all namespaces.
        """
        return tuple(right for right in wanted if not self._listed(right) and not _may(self._client, right))

    def _listed(self, right: Right) -> bool:
        if not right.namespace and right.resource in _NAMESPACED:
            return False
        # The rules for a namespace hold those for the whole cluster.
        where = right.namespace or self._place.namespace
        if where not in self._rules:
            self._rules[where] = _rules(self._client, where)
        return any(allows(rule, right) for rule in self._rules[where])


def require_to_measure(client: KubeClient, place: Place) -> tuple[str, ...]:
    """Raise ProblemError, in one line, with all rights that are missing for a benchmark.

    Returns a line for each kind of right that is missing and without which it goes less well.
    """
    allowed = Allowed(client, place)
    lacking = allowed.missing(to_measure(place))
    may_look = not any(right.resource == "namespaces" for right in lacking)
    if may_look and client.find(place.namespace_path) is None:
        lacking += allowed.missing(to_make_the_namespace())
    if lacking:
        raise _refusal(client, place, lacking)
    return tuple(
        f"kubeconfig {client.kubeconfig} lacks {in_words(missing)}: {so}"
        for rights, so in _DISPENSABLE
        if (missing := allowed.missing(rights(place)))
    )


def may_isolate(client: KubeClient, place: Place) -> bool:
    """Say whether a NetworkPolicy may be made; where not, `require_to_measure` has said what that means."""
    return not Allowed(client, place).missing(to_isolate(place))


def require_to_clean_up(client: KubeClient, place: Place) -> None:
    """Raise ProblemError, in one line, with all rights that are missing to take everything of ours away."""
    if lacking := Allowed(client, place).missing(to_clean_up(place)):
        raise _refusal(client, place, lacking)


def _refusal(client: KubeClient, place: Place, lacking: Iterable[Right]) -> ProblemError:
    return refuse(
        Code.API_RIGHT_MISSING,
        f"kubeconfig {client.kubeconfig}",
        f"lacks rights in namespace {place.namespace}: {in_words(lacking)}",
        f"as administrator, {command_for(place)} makes a kubeconfig that has them",
    )


def allows(rule: Mapping[str, Any], right: Right) -> bool:
    """Say whether a rule, as a Role has it, grants a right."""
    names = rule.get("resourceNames") or ()
    _, slash, part = right.resource.partition("/")
    resources = {"*", right.resource, f"*/{part}" if slash else "*"}
    return (
        _has(rule, "verbs", {"*", right.verb})
        and _has(rule, "apiGroups", {"*", right.group})
        and _has(rule, "resources", resources)
        and (not names or right.name in names)
    )


def _has(rule: Mapping[str, Any], part: str, words: set[str]) -> bool:
    return not words.isdisjoint(rule.get(part) or ())


def _rules(client: KubeClient, namespace: str) -> Sequence[Json]:
    status = _ask(client, "SelfSubjectRulesReview", {"namespace": namespace})
    return status.get("resourceRules") or () if status else ()


def _may(client: KubeClient, right: Right) -> bool:
    resource, _, part = right.resource.partition("/")
    attributes = {
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
        "subresource": part,
        "namespace": right.namespace,
        "name": right.name,
    }
    status = _ask(client, "SelfSubjectAccessReview", {"resourceAttributes": attributes})
    # Where even this may not be asked, the request itself will tell.
    return status is None or bool(status.get("allowed"))


def _ask(client: KubeClient, kind: str, spec: Json) -> Json | None:
    """Return the status of a review, None if it may not be asked for."""
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    try:
        return dict(client.create(f"{_REVIEWS}/{kind.lower()}s", body).get("status") or {})
    except KubeError as error:
        if error.status in (403, 404):
            return None
        raise


def in_words(rights: Iterable[Right]) -> str:
    """Return rights by resource: `jobs (create, delete), pods (watch)`."""
    verbs: dict[str, list[str]] = {}
    for right in rights:
        place = f" in {right.namespace}" if right.namespace == NODE_LEASE_NAMESPACE else ""
        if not right.namespace and right.resource in _NAMESPACED:
            place = " in all namespaces"
        verbs.setdefault(f"{right.resource}{place}", []).append(right.verb)
    return ", ".join(f"{resource} ({', '.join(dict.fromkeys(found))})" for resource, found in verbs.items())


def command_for(place: Place) -> str:
    """Return the command with which an administrator grants all of this."""
    named = "" if place.namespace == APP else f" -e benchmark_namespace={place.namespace}"
    return f"ansible-playbook rbac.yml{named}"
