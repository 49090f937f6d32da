"""The rights that a benchmark needs: rbac.yml grants just these, and all that are missing are named."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from pi_speedup.kube.access.errors import from_answer
from pi_speedup.kube.access.kubeconfig import current_cluster
from pi_speedup.kube.owned.owned import Place
from pi_speedup.kube.owned.rights import (
    Allowed,
    Right,
    allows,
    require_to_measure,
    to_clean_up,
    to_isolate,
    to_measure,
    to_say_why,
    to_see_neighbours,
)
from pi_speedup.problem import ProblemError
from pi_speedup.setup.rbac import days_of, kubeconfig_path, remove_kubeconfig, rights_in
from tests.manifests import rights

PI_SPEEDUP, BENCH = Place("pi-speedup"), Place("bench")


@pytest.mark.parametrize("place", [PI_SPEEDUP, BENCH], ids=lambda place: place.namespace)
def test_the_file_grants_what_is_asked_for_and_nothing_else(place: Place) -> None:
    optional = {*to_say_why(place), *to_isolate(place), *to_see_neighbours(place)}
    asked_for = {*to_measure(place), *to_clean_up(place), *optional}
    # Not asked for beforehand: the nodes are read, and who may not measures the Pis of the inventory.
    assert rights_in(rights(place)) == {*asked_for, Right("list", "", "nodes")}


def test_for_another_namespace_all_is_there_and_in_its_name() -> None:
    here, there = rights(PI_SPEEDUP), rights(BENCH)
    paths = [document.path for document in there]
    assert "/api/v1/namespaces/bench" in paths
    assert len(set(paths)) == len(paths) == len(here)
    # Two namespaces on one cluster share no object.
    assert not {document.path for document in here} & set(paths)
    for document in there:
        for subject in document.manifest.get("subjects", ()):
            assert subject["namespace"] == "bench"


JOBS = {"verbs": ["create", "list"], "apiGroups": ["batch"], "resources": ["jobs"]}
NAMED = {"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["ours"]}
ALL = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
RULES: dict[str, tuple[dict[str, Any], Right, bool]] = {
    "the same": (JOBS, Right("list", "batch", "jobs"), True),
    "another verb": (JOBS, Right("delete", "batch", "jobs"), False),
    "another group": (JOBS, Right("list", "", "jobs"), False),
    "another resource": (JOBS, Right("list", "batch", "cronjobs"), False),
    "any one for a named one": (JOBS, Right("list", "batch", "jobs", "ns", "x"), True),
    "a named one": (NAMED, Right("get", "", "configmaps", "ns", "ours"), True),
    "another name": (NAMED, Right("get", "", "configmaps", "ns", "theirs"), False),
    "a named one for any": (NAMED, Right("get", "", "configmaps", "ns"), False),
    "all": (ALL, Right("get", "", "pods/log", "ns"), True),
    "a resource without its part": (
        {**ALL, "resources": ["pods"]},
        Right("get", "", "pods/log", "ns"),
        False,
    ),
    "a part of all": ({**ALL, "resources": ["*/log"]}, Right("get", "", "pods/log", "ns"), True),
    "a rule without resources": ({"verbs": ["get"], "nonResourceURLs": ["/"]}, Right("get", "", "x"), False),
}


@pytest.mark.parametrize(("rule", "right", "expected"), RULES.values(), ids=RULES)
def test_what_a_rule_allows(rule: dict[str, Any], right: Right, expected: bool) -> None:
    assert allows(rule, right) is expected


class Reviews:
    """An API server that answers reviews: the rules that it lists, and the verbs that it allows if asked."""

    def __init__(self, rules: list[dict[str, Any]], verbs: str = "", forbids: bool = False) -> None:
        self.rules, self.verbs, self.forbids = rules, verbs.split(), forbids
        self.kubeconfig = Path("/home/me/config")
        self.asked: list[str] = []

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(path.rpartition("/")[2])
        if self.forbids:
            raise from_answer("https://pi-1:6443", "/home/me/config", f"POST {path}", 403, b"")
        if body["kind"] == "SelfSubjectRulesReview":
            return {"status": {"resourceRules": self.rules, "incomplete": True}}
        return {"status": {"allowed": body["spec"]["resourceAttributes"]["verb"] in self.verbs}}

    def find(self, path: str) -> None:
        assert path == "/api/v1/namespaces/pi-speedup"


def test_who_may_do_all_is_asked_for_once_a_namespace() -> None:
    reviews: Any = Reviews([ALL], verbs="list watch")
    assert require_to_measure(reviews, PI_SPEEDUP) == ()
    # All in one namespace need not be all in each.
    assert reviews.asked == ["selfsubjectrulesreviews"] * 2 + ["selfsubjectaccessreviews"] * 3


def test_what_the_list_lacks_is_asked_for_one_by_one() -> None:
    reviews: Any = Reviews([JOBS], verbs="watch")
    wanted = [Right(verb, "batch", "jobs", "pi-speedup") for verb in ("create", "watch", "delete")]
    assert Allowed(reviews, PI_SPEEDUP).missing(wanted) == (wanted[2],)
    assert reviews.asked == ["selfsubjectrulesreviews", *["selfsubjectaccessreviews"] * 2]


def test_where_nobody_may_ask_the_request_itself_will_tell() -> None:
    reviews: Any = Reviews([], forbids=True)
    assert require_to_measure(reviews, PI_SPEEDUP) == ()


def test_one_line_names_all_that_is_missing() -> None:
    reviews: Any = Reviews([{**ALL, "verbs": ["get", "list"]}])
    with pytest.raises(ProblemError) as caught:
        require_to_measure(reviews, PI_SPEEDUP)
    assert str(caught.value) == (
        "kubeconfig /home/me/config: lacks rights in namespace pi-speedup: configmaps (create, patch), "
        "leases (create, patch, delete), jobs (create, watch, patch, delete), pods (watch), "
        "namespaces (create) [PS-407]. Next: as administrator, ansible-playbook rbac.yml makes a kubeconfig "
        "that has them"
    )


def test_what_only_says_why_is_no_reason_to_refuse() -> None:
    reviews: Any = Reviews([{**ALL, "resources": ["namespaces", "configmaps", "jobs", "pods"]}])
    reviews.rules.append({**ALL, "resources": ["leases"], "verbs": ["create", "get", "patch", "delete"]})
    assert require_to_measure(reviews, PI_SPEEDUP) == (
        "kubeconfig /home/me/config lacks pods/log (get), events (list, watch), "
        "leases in kube-node-lease (list, watch): a failure will be told less well",
        "kubeconfig /home/me/config lacks networkpolicies (create, get, patch): its pods are not cut off "
        "from the network",
        "kubeconfig /home/me/config lacks leases in all namespaces (list, watch), pods in all namespaces "
        "(list): nobody sees whether others use the Pis meanwhile",
    )


@pytest.mark.parametrize("given", ["0", "3651", "soon", "", None, 1.5], ids=repr)
def test_days_that_are_not_valid_are_refused(given: object) -> None:
    with pytest.raises(
        ProblemError, match=r"^rbac_days: .* is not a number from 1 to 3650 \[PS-101\]\. Next: "
    ):
        days_of(given)


def of_one(name: str) -> dict[str, Any]:
    kinds = {"contexts": "context", "clusters": "cluster", "users": "user"}
    return {"current-context": name} | {many: [{"name": name, one: {}}] for many, one in kinds.items()}


# As `kubectl config set-context` leaves it.
MERGED = of_one("pi-speedup-rbac@bench")
MERGED["contexts"].append({"name": "work", "context": {}})

PATHS = {
    "usual": ("", "/home/me/.kube/bench.kubeconfig"),
    "of the home folder": ("~/x.yml", "/home/me/x.yml"),
    "absolute": ("/etc/x.yml", "/etc/x.yml"),
    "relative": ("x.yml", f"{Path.cwd()}/x.yml"),
}


@pytest.mark.parametrize(("given", "expected"), PATHS.values(), ids=PATHS)
def test_where_the_kubeconfig_is_written(given: str, expected: str) -> None:
    assert str(kubeconfig_path(given, BENCH, Path("/home/me"))) == expected


def test_the_way_to_the_cluster_holds_no_key_and_no_path(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("PEM")
    kubeconfig = tmp_path / "config"
    cluster = {"server": "https://pi-1:6443", "certificate-authority": "ca.crt", "tls-server-name": "pi"}
    document = {
        "current-context": "b",
        "contexts": [{"name": "a", "context": {"cluster": "y"}}, {"name": "b", "context": {"cluster": "x"}}],
        "clusters": [{"name": "y", "cluster": {}}, {"name": "x", "cluster": cluster}],
        "users": [{"name": "b", "user": {"client-key-data": "secret"}}],
    }
    kubeconfig.write_text(yaml.safe_dump(document))
    assert current_cluster(kubeconfig) == {
        "server": "https://pi-1:6443",
        "tls-server-name": "pi",
        "certificate-authority-data": base64.b64encode(b"PEM").decode(),
    }
    (tmp_path / "ca.crt").unlink()
    with pytest.raises(ProblemError, match=r"malformed: .* \[PS-434\]\. Next: "):
        current_cluster(kubeconfig)


@pytest.mark.parametrize(
    ("text", "goes"),
    [
        (yaml.safe_dump(of_one("pi-speedup-rbac@bench")), True),
        (yaml.safe_dump(of_one("pi-speedup-rbac@other")), False),
        (yaml.safe_dump(MERGED), False),
        ("current-context: pi-speedup-rbac@bench", False),
        ("current-context: default", False),
        ("a: [", False),
    ],
    ids=[
        "ours",
        "of another namespace",
        "with another cluster",
        "of nothing",
        "of others",
        "not a kubeconfig",
    ],
)
def test_only_our_kubeconfig_is_removed(tmp_path: Path, text: str, goes: bool) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    assert remove_kubeconfig(path, BENCH) is goes
    assert path.exists() is not goes


def test_a_kubeconfig_that_cannot_be_removed_says_which_folder_to_look_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(of_one("pi-speedup-rbac@bench")))

    def refusing(_path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    # As root, whom no mode of a folder stops.
    monkeypatch.setattr(Path, "unlink", refusing)
    with pytest.raises(ProblemError, match=rf"holds a key \[PS-705\]\. Next: ls -ld {tmp_path} shows"):
        remove_kubeconfig(path, BENCH)


def test_a_link_to_our_kubeconfig_stays(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(of_one("pi-speedup-rbac@bench")))
    link = tmp_path / "link"
    link.symlink_to(path)
    assert not remove_kubeconfig(link, BENCH)
    assert link.is_symlink() and path.exists()
