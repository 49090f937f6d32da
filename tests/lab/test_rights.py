"""The rights of rbac.yml on a real API server: they are enough, and each that is missing is named."""

from __future__ import annotations

import contextlib
import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.kube.access.client import Json, KubeClient
from pi_speedup.kube.owned.cleanup import clean_up
from pi_speedup.kube.owned.owned import MANAGED_BY, Place
from pi_speedup.kube.owned.rights import Allowed, Right, require_to_measure
from pi_speedup.problem import ProblemError
from pi_speedup.setup.rbac import BY_US, rights_in, take_away, write_kubeconfig
from tests.lab.fault_proxy import Fault, FaultProxy, answers
from tests.lab.lab import Lab
from tests.lab.runs import grant, make_place, new_name, put
from tests.manifests import rights
from tests.virtual import assert_told, await_that


@pytest.fixture(scope="module")
def granted(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig that rbac.yml has made; all of it is taken away again."""
    path = tmp_path_factory.mktemp("granted") / "kubeconfig"
    outcome = lab.play("rbac.yml", rbac_kubeconfig=path)
    assert outcome.exit_code == 0, outcome.output
    assert f"export KUBECONFIG={path}" in outcome.output
    yield path
    outcome = lab.play("rbac.yml", rbac_kubeconfig=path, rbac_state="absent")
    assert outcome.exit_code == 0, outcome.output
    assert f"removed {path}" in outcome.output


def asked_by(lab: Lab, namespace: str) -> list[dict[str, Any]]:
    """Return all requests of a namespace's ServiceAccount."""
    user = f"system:serviceaccount:{namespace}:pi-speedup"
    lines = (lab.folder / "audit.log").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if entry["user"]["username"] == user]


def test_a_whole_run_and_its_cleanup_need_no_more(lab: Lab, granted: Path) -> None:
    assert stat.S_IMODE(granted.stat().st_mode) == 0o600
    outcome = lab.play("benchmark.yml", benchmark_kubeconfig=granted)
    assert outcome.exit_code == 0, outcome.output
    # One that fails asks for more: logs, events, an end of the Job.
    fails = {"benchmark_image": "no.such/image:1", "benchmark_order_seed": 0}
    outcome = lab.play("benchmark.yml", benchmark_kubeconfig=granted, **fails)
    assert_told(outcome, r"^pod \d on pi-\d: ErrImagePull")
    outcome = lab.play("cleanup.yml", benchmark_kubeconfig=granted)
    assert outcome.exit_code == 0, outcome.output
    assert "removed NetworkPolicy pi-speedup-pods" in outcome.output
    assert lab.left_behind() == []
    refused = [
        each["requestURI"] for each in asked_by(lab, "pi-speedup") if each["responseStatus"]["code"] == 403
    ]
    assert refused == []


def test_an_administrators_door_says_so_to_others(lab: Lab, granted: Path, tmp_path: Path) -> None:
    outcome = lab.play("rbac.yml", benchmark_kubeconfig=granted, rbac_kubeconfig=tmp_path / "mine")
    assert_told(outcome, r"cannot get resource.* \[PS-407\]\. Next: give an administrator's kubeconfig: ")
    assert not (tmp_path / "mine").exists()


def granted_place(client: KubeClient) -> Iterator[Place]:
    place = Place(new_name("rights"))
    manifests = rights(place)
    grant(client, manifests)
    yield place
    for each in reversed(manifests):
        # Not waited for: a namespace takes 6 s to go.
        if found := client.find(each.path):
            client.delete(each.path, found["metadata"]["uid"], "Background")


@pytest.fixture
def place(direct: KubeClient) -> Iterator[Place]:
    """A namespace in which the rights are granted."""
    yield from granted_place(direct)


@dataclass(frozen=True)
class User:
    """Somebody with the rights of one namespace."""

    place: Place
    kubeconfig: Path

    def lacks(self) -> tuple[Right, ...]:
        """Return the rights of rbac.yml that are missing."""
        with KubeClient(self.kubeconfig) as client:
            return Allowed(client, self.place).missing(rights_in(rights(self.place)))

    def complaint(self) -> str:
        """Return what is said of missing rights, an empty text if nothing is."""
        with KubeClient(self.kubeconfig) as client:
            try:
                return "\n".join(require_to_measure(client, self.place))
            except ProblemError as error:
                return str(error)


@pytest.fixture(scope="module")
def user(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """Somebody who has all rights, of whom a test may take one."""
    kubeconfig = tmp_path_factory.mktemp("user") / "kubeconfig"
    with KubeClient(lab.folder / "kubeconfig") as client:
        for place in granted_place(client):
            write_kubeconfig(client, place, kubeconfig, 1, rights(place))
            yield User(place, kubeconfig)


def rules() -> dict[str, tuple[int, int]]:
    """Return the place of each rule in the file, by what it allows: the number of its Role, and its own."""
    found = {}
    for document, each in enumerate(rights(Place("pi-speedup"))):
        for number, rule in enumerate(each.manifest.get("rules", ())):
            names = " of ours" if "resourceNames" in rule else ""
            found[f"{', '.join(rule['verbs'])} {rule['resources'][0]}{names}"] = document, number
    return found


# What a line says that names the missing rule, by the rule; the others are told, and the run goes on.
NAMED = {
    "get namespaces of ours": "namespaces (get)",
    "create configmaps": "configmaps (create)",
    "get, list, watch, patch, delete configmaps of ours": "configmaps (get, patch)",
    "create leases": "leases (create)",
    "get, patch, delete leases of ours": "leases (get, patch, delete)",
    "create, get, list, watch, patch, delete jobs": "jobs (create, get, list, watch, patch, delete)",
    # Listing those of all namespaces is another rule's.
    "list, watch pods": "pods (watch)",
}
TOLD = {
    "create networkpolicies": "networkpolicies (create)",
    "get, patch networkpolicies of ours": "networkpolicies (get, patch)",
    "get pods/log": "pods/log (get)",
    "list, watch events": "events (list, watch)",
    "list, watch leases": "leases in kube-node-lease (list, watch)",
    "list, watch leases of ours": "leases in all namespaces (list, watch)",
    "list pods": "pods in all namespaces (list)",
}
# Not asked for beforehand.
NODES = "list nodes"


def test_every_rule_is_in_the_tables() -> None:
    assert set(rules()) == {*NAMED, *TOLD, NODES}


@contextlib.contextmanager
def without(client: KubeClient, user: User, rule: str) -> Iterator[None]:
    """Take one rule away while the block lasts."""
    document, number = rules()[rule]
    role = rights(user.place)[document]
    del role.manifest["rules"][number]
    put(client, role.manifest)
    try:
        await_that(user.lacks, "the API server knows that a right is gone")
        yield
    finally:
        grant(client, rights(user.place))
        await_that(lambda: not user.lacks(), "the API server knows that it is there again")


@pytest.mark.fault(
    "403: one rule of the rights is missing (each in turn)",
    "kubeconfig …: lacks rights in namespace …: jobs (create, get, list, watch, patch, "
    "delete) [PS-407]. Next: as administrator, ansible-playbook rbac.yml …",
    kept="nothing begun",
    row="create, get, list, watch, patch, delete jobs",
)
@pytest.mark.fault(
    "403: one rule of the rights is missing (each in turn)",
    row=[
        "list, watch pods",
        "create configmaps",
        "get namespaces of ours",
        "get, list, watch, patch, delete configmaps of ours",
        "create leases",
        "get, patch, delete leases of ours",
    ],
)
@pytest.mark.parametrize(("rule", "words"), NAMED.items(), ids=NAMED)
def test_without_one_rule_the_line_names_it(rule: str, words: str, direct: KubeClient, user: User) -> None:
    namespace = user.place.namespace
    with without(direct, user, rule):
        assert user.complaint() == (
            f"kubeconfig {user.kubeconfig}: lacks rights in namespace {namespace}: {words} [PS-407]. "
            "Next: as "
            f"administrator, ansible-playbook rbac.yml -e benchmark_namespace={namespace} makes a kubeconfig "
            "that has them"
        )


@pytest.mark.fault(
    "403: logs, events or node Leases may not be read", "survived", kept="all", row="get pods/log"
)
@pytest.mark.fault(
    "403: logs, events or node Leases may not be read", row=["list, watch events", "list, watch leases"]
)
@pytest.mark.fault(
    "403: Leases or pods of other namespaces may not be read",
    "survived",
    kept="all; one line says so, and the check neighbours is unknown",
    row=["list, watch leases of ours", "list pods"],
)
@pytest.mark.parametrize(("rule", "words"), TOLD.items(), ids=TOLD)
def test_without_one_that_only_says_why_the_run_goes_on(
    rule: str, words: str, direct: KubeClient, user: User
) -> None:
    with without(direct, user, rule):
        assert user.complaint().startswith(f"kubeconfig {user.kubeconfig} lacks {words}: ")


@pytest.mark.fault(
    "403: nodes may not be listed",
    "survived",
    kept="all; the verdict says that the Pis are those of the inventory",
)
def test_who_may_not_list_nodes_measures_the_pis_of_the_inventory(
    direct: KubeClient, user: User, lab: Lab
) -> None:
    mine = {"benchmark_kubeconfig": user.kubeconfig, "benchmark_namespace": user.place.namespace}
    before = len(asked_by(lab, user.place.namespace))
    with without(direct, user, NODES):
        outcome = lab.play("benchmark.yml", **mine)
    assert outcome.exit_code == 0, outcome.output
    told = f"kubeconfig {user.kubeconfig} may not list nodes: the Pis are those of the inventory, and nobody"
    assert [line.startswith(told) for line in outcome.output.splitlines()].count(True) == 1, outcome.output
    report = json.loads((outcome.run_dir / "report.json").read_text())
    assert {"nodes", "system_differs"} <= set(report["verdict"]["not_looked_at"])
    assert "The Pis are those of the inventory: nothing is known" in report["verdict"]["words"]
    assert report["pis"] == ["pi-1", "pi-2", "pi-3"] and report["nodes"] == []
    asked = asked_by(lab, user.place.namespace)[before:]
    of_nodes = [each for each in asked if each["requestURI"].startswith("/api/v1/nodes")]
    assert [each["responseStatus"]["code"] for each in of_nodes] == [403]


@pytest.mark.fault(
    "403: nodes may not be listed, and a Pi of the inventory is not in the cluster",
    "pi-9: got no pod (pod 3: Unschedulable: 0/3 nodes are available: 3 node(s) didn't "
    "match pod anti-affinity rules. preemption: 0/…), and the kubeconfig may not list "
    "nodes to see why [PS-511]. Next: ask somebody who may (kubectl get nodes) whether "
    "each Pi is there under its name, Ready and not cordoned, then run again",
    kept="trials",
    row="its pod waits",
)
@pytest.mark.fault(
    "403: nodes may not be listed, and a Pi of the inventory is not in the cluster",
    row="its pod goes to another",
)
@pytest.mark.parametrize(
    ("samples", "line"),
    [
        (10**9, r"^pi-9: got no pod \(pod \d: Unschedulable: 0/3 nodes are .*\), and the .* Next: "),
        (
            1000,
            r"^pi-9: got no pod \(.*\), and the .* may not list nodes to see why \[PS-535\]\. Next: ask ",
        ),
    ],
    ids=["its pod waits", "its pod goes to another"],
)
def test_a_pi_that_is_not_in_the_cluster_is_named_without_the_nodes(
    samples: int, line: str, direct: KubeClient, user: User, lab: Lab, tmp_path: Path
) -> None:
    more = tmp_path / "more.yml"
    more.write_text("pis: {hosts: {pi-9: {}}}\n")
    mine = {"benchmark_kubeconfig": user.kubeconfig, "benchmark_namespace": user.place.namespace}
    job_first = {"benchmark_order_seed": 0, "benchmark_samples_per_process": samples}
    with without(direct, user, NODES):
        outcome = lab.play("benchmark.yml", "-i", str(more), **mine, **job_first)
    assert_told(outcome, line)


def test_the_right_to_list_nodes_may_be_left_out_of_the_file(direct: KubeClient, tmp_path: Path) -> None:
    place = Place(new_name("rights"))
    fewer = [each for each in rights(place) if not each.manifest["kind"].startswith("ClusterRole")]
    grant(direct, fewer)
    assert write_kubeconfig(direct, place, tmp_path / "kubeconfig", 1, fewer)
    for each in reversed(fewer):
        direct.delete(each.path, direct.get(each.path)["metadata"]["uid"], "Background")


def test_granted_twice_changes_nothing_and_taken_away_leaves_nothing(
    proxy: FaultProxy, direct: KubeClient, place: Place
) -> None:
    manifests = rights(place)
    with KubeClient(proxy.kubeconfig) as client:
        assert grant(client, manifests) == []
        assert {exchange.request.method for exchange in proxy.exchanges} == {"GET"}
        removed = take_away(client, place, manifests, lambda line: None)
        assert removed == [str(each) for each in reversed(manifests)]
        assert take_away(client, place, manifests, lambda line: None) == []
    assert [each for each in manifests if direct.find(each.path)] == []


def test_a_namespace_that_holds_something_stays_without_the_rights(direct: KubeClient, place: Place) -> None:
    direct.create(place.configmaps, {"metadata": {"name": "theirs"}})
    lines: list[str] = []
    take_away(direct, place, rights(place), lines.append)
    assert lines == [
        f"namespace {place.namespace} stays: it holds an object of others, such as configmaps/theirs"
    ]
    there = [each.manifest["kind"] for each in rights(place) if direct.find(each.path)]
    assert there == ["Namespace"]


def unlabelled(namespace: Json) -> None:
    del namespace["metadata"]["labels"]


def test_a_namespace_of_others_is_used_and_stays_as_it_is(direct: KubeClient) -> None:
    place = make_place(direct, unlabelled)
    before = direct.get(place.namespace_path)
    manifests = rights(place)
    assert "Namespace" not in {each["kind"] for each in grant(direct, manifests)}
    assert "Namespace" not in {
        word.partition(" ")[0] for word in take_away(direct, place, manifests, lambda line: None)
    }
    assert direct.get(place.namespace_path) == before


def test_a_namespace_that_a_benchmark_made_is_kept_from_its_cleanup(direct: KubeClient) -> None:
    place = make_place(direct)
    grant(direct, rights(place))
    assert clean_up(direct, place, lambda line: None, False) == ["ConfigMap pi-speedup-owner"]
    assert direct.find(place.namespace_path)
    assert direct.get(place.namespace_path)["metadata"]["labels"][MANAGED_BY] == BY_US
    for each in rights(place):
        direct.delete(each.path, direct.get(each.path)["metadata"]["uid"], "Background")


def test_nothing_is_granted_where_a_name_is_taken(direct: KubeClient) -> None:
    place = Place(new_name("rights"))
    manifests = rights(place)
    taken = next(each for each in manifests if each.manifest["kind"] == "ClusterRoleBinding")
    theirs = direct.create(
        taken.collection, {**taken.manifest, "metadata": {"name": taken.manifest["metadata"]["name"]}}
    )
    with pytest.raises(ProblemError, match=rf"^{taken}: not ours \(it has no label .* \[PS-412\]\. Next: "):
        grant(direct, manifests)
    assert [each for each in manifests if direct.find(each.path)] == [taken]
    assert take_away(direct, place, manifests, lambda line: None) == []
    assert direct.get(taken.path) == theirs
    direct.delete(taken.path, theirs["metadata"]["uid"])


def test_no_kubeconfig_of_others_is_overwritten(direct: KubeClient, place: Place, tmp_path: Path) -> None:
    theirs = tmp_path / "config"
    theirs.write_text("current-context: default\n")
    with pytest.raises(ProblemError, match="there already, and not a kubeconfig"):
        write_kubeconfig(direct, place, theirs, 1, rights(place))
    assert theirs.read_text() == "current-context: default\n"


@pytest.mark.fault(
    "quota on ConfigMaps",
    "API server https://127.0.0.1:6443: forbids POST …/configmaps (403): … exceeded "
    "quota: … [PS-413]. Next: raise the quota (kubectl describe quota -A), or choose another"
    " benchmark_namespace",
    kept="nothing begun",
)
def test_a_quota_sends_nobody_for_another_kubeconfig(lab: Lab) -> None:
    lab.kubectl("create", "namespace", "no-configmaps")
    # Kubernetes' own is there already.
    lab.kubectl("create", "quota", "none", "--hard=configmaps=1", "--namespace=no-configmaps")
    await_that(
        lambda: lab.get("quota", "none", "--namespace=no-configmaps").get("status", {}).get("used"),
        "the quota is counted",
    )
    outcome = lab.play("benchmark.yml", benchmark_namespace="no-configmaps")
    lab.kubectl("delete", "namespace", "no-configmaps", "--wait=false")
    assert_told(
        outcome,
        r"forbids POST .*exceeded quota.* \[PS-413\]\. Next: raise the quota \(kubectl describe quota -A\)",
    )
    assert "kubeconfig" not in outcome.errors[0]
    # Asked for once.
    lines = (lab.folder / "audit.log").read_text().splitlines()
    asked = [
        entry
        for entry in map(json.loads, lines)
        if entry["verb"] == "create"
        and "/no-configmaps/configmaps" in entry["requestURI"]
        and not entry["userAgent"].startswith("kube-controller-manager")
    ]
    # By kubernetes.core, and once more without effect for the reason.
    assert ["dryRun" in entry["requestURI"] for entry in asked] == [False, True]


@pytest.mark.fault(
    "the API is away while the namespace is made",
    "survived",
    kept="the runs",
)
def test_a_moment_without_the_api_costs_no_run(lab: Lab, proxy: FaultProxy) -> None:
    # Twice: what asks why it failed meets it too.
    proxy.faults.append(Fault("POST /api/v1/namespaces", answers(503, {"message": "starting"}), times=2))
    outcome = lab.play(
        "benchmark.yml",
        benchmark_namespace=new_name("moment"),
        benchmark_kubeconfig=proxy.kubeconfig,
        benchmark_rounds=1,
    )
    assert outcome.exit_code == 0, outcome.output
    asked = [exchange.line for exchange in proxy.asked("POST") if "/api/v1/namespaces" in exchange.line]
    assert len(asked) >= 4
