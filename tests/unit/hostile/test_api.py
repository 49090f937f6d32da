"""Whatever answers in the place of the Kubernetes API: any status, header and body, objects of any form."""

from __future__ import annotations

import copy
import functools
import io
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pi_speedup.kube.access import client as client_module
from pi_speedup.kube.access.client import KubeClient
from pi_speedup.kube.follow.results import events, fetch_logs, last_line, workers
from pi_speedup.kube.follow.tracker import Tracker
from pi_speedup.kube.nodes.nodes import nodes_or_names, read_nodes
from pi_speedup.kube.owned.lease import claim_of, counts, refusal
from pi_speedup.kube.owned.owned import Place, is_managed, is_owned, letting_go, namespace_going
from pi_speedup.kube.owned.rights import require_to_measure
from pi_speedup.model.trial import Event, Worker
from pi_speedup.setup.inventory import choose, inventory_text
from tests.unit.hostile.made_up import (
    ANYTHING,
    LINES,
    ODD_TEXTS,
    as_json,
    changed,
    examples,
    is_line,
    sound,
    spoiled,
)
from tests.unit.kube.objects import JOB_UID, PLAN, SLOT, a_job, a_pod, a_report, an_event

STATES = sorted((Path(__file__).parents[1] / "kube/states").glob("*.yml"))
NODES = Path(__file__).parents[1] / "kube/nodes.yml"
PLACE = Place("pi-speedup")
PIS = ("pi-1", "pi-2", "pi-3")
# The words of the API server are shown at some length.
OF_THE_SERVER = 400
LEASE = {
    "metadata": {
        "name": "pi-speedup",
        "uid": "uid-of-the-lease",
        "resourceVersion": "7",
        "labels": {"pi-speedup/run-id": "run-1"},
        "annotations": {"pi-speedup/process": "boot pid:[1] 7 8"},
    },
    "spec": {
        "holderIdentity": "me@here",
        "leaseDurationSeconds": 40,
        "acquireTime": "2026-11-24T07:15:30.000000Z",
        "renewTime": "2026-11-24T07:15:30.000000Z",
    },
}
REVIEW = {
    "kind": "SelfSubjectRulesReview",
    "status": {
        "incomplete": False,
        "allowed": True,
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "resourceNames": ["x"]}],
    },
}
NAMESPACE = {
    "metadata": {
        "name": "pi-speedup",
        "uid": "uid-of-the-namespace",
        "labels": {"app.kubernetes.io/managed-by": "pi-speedup"},
        "finalizers": ["example.com/held"],
        "ownerReferences": [{"uid": "x"}],
        "deletionTimestamp": "2026-11-24T07:15:30Z",
    },
    "status": {
        "conditions": [{"type": "NamespaceFinalizersRemaining", "status": "True", "message": "some are left"}]
    },
}
HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "Date", "Content-Type", "Content-Length"]),
    st.one_of(
        st.sampled_from(
            [
                "nan",
                "-5",
                "inf",
                "9" * 500,
                "1",
                "Fri, 31 Dec 9999 23:59:59 -2300",
                "Mon, 01 Jan 100 00:00:00 +2300",
                "Tue, 24 Nov 2026 07:15:30 GMT",
            ]
        ),
        st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=20),
    ),
    max_size=2,
)
STATUSES = st.one_of(
    st.sampled_from([200, 201, 204, 301, 400, 401, 403, 404, 409, 410, 422, 429, 500, 503]),
    st.integers(100, 999),
)


class Answers:
    """In the place of urllib3's pool of connections: answers one after the other, the last for ever."""

    def __init__(self, *answers: tuple[int, dict[str, str], bytes]) -> None:
        self._answers = list(answers)

    def request(self, method: str, url: str, *, preload_content: bool, **how: Any) -> urllib3.HTTPResponse:
        status, headers, body = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return urllib3.HTTPResponse(
            io.BytesIO(body),
            headers=headers,
            status=status,
            preload_content=preload_content,
            enforce_content_length=False,
        )

    def clear(self) -> None:
        """As a pool has it."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeClient]:
    """A client whose pauses are looked at and not made."""

    def pause(seconds: float) -> None:
        assert 0 <= seconds <= 5

    path = tmp_path_factory.mktemp("kube") / "config"
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "x",
                "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
                "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}],
                "users": [{"name": "x", "user": {"token": "x"}}],
            }
        )
    )
    path.chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_module, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))
        with KubeClient(path) as found:
            yield found


def asked(
    client: KubeClient, *bodies: bytes, status: int = 200, headers: dict[str, str] | None = None
) -> KubeClient:
    """Return a client that gets these answers."""
    other = copy.copy(client)
    other._http = Answers(*((status, headers or {}, body) for body in bodies))  # type: ignore[assignment]
    return other


def watched(client: KubeClient, data: bytes) -> list[Any]:
    with client.with_patience(client_module.ONCE) as once:
        return list(asked(once, data).open_watch(PLACE.pods, {}))


@functools.cache
def recorded(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def a_list(items: Any, **metadata: Any) -> dict[str, Any]:
    return {"kind": "List", "metadata": {"resourceVersion": "7", **metadata}, "items": items}


REQUESTS: dict[str, Callable[[KubeClient], object]] = {
    "get": lambda client: client.get("/api/v1/x"),
    "find": lambda client: client.find("/api/v1/x"),
    "list": lambda client: client.list_all(PLACE.pods, {"labelSelector": "x"}),
    "create": lambda client: client.create(PLACE.jobs, {"metadata": {"name": "x"}}),
    "patch": lambda client: client.patch(f"{PLACE.jobs}/x", {"spec": {}}),
    "delete": lambda client: client.delete(f"{PLACE.jobs}/x", "uid"),
    "log": lambda client: client.log(f"{PLACE.pods}/x/log", 1.0, 100),
    "watch": lambda client: list(client.open_watch(PLACE.pods, {})),
    "rights": lambda client: require_to_measure(client, PLACE),
    "nodes": lambda client: nodes_or_names(client, PIS, "arm64"),
    "time": lambda client: (client.find("/api/v1/x"), client.now().isoformat()),
}
BODIES = spoiled(
    st.one_of(
        ANYTHING.map(as_json),
        changed(a_list([a_pod(0)], **{"continue": "more"})).map(as_json),
        changed({"kind": "Status", "message": "no", "reason": "Forbidden", "code": 403}).map(as_json),
        changed(REVIEW).map(as_json),
        LINES,
    )
)


@examples(50)
@given(what=st.sampled_from(sorted(REQUESTS)), status=STATUSES, headers=HEADERS, body=BODIES)
def test_any_answer(client: KubeClient, what: str, status: int, headers: dict[str, str], body: bytes) -> None:
    other = asked(client, body, status=status, headers=headers)
    sound(
        lambda: REQUESTS[what](other),
        ["API server http://127.0.0.1:1", f"kubeconfig {client.kubeconfig}"],
        longest=OF_THE_SERVER,
    )


@examples(25)
@given(
    lines=st.lists(
        st.one_of(
            changed({"type": "ADDED", "object": a_pod(0)}).map(as_json),
            changed({"type": "ERROR", "object": {"code": 410, "message": "too old"}}).map(as_json),
            st.just({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "8"}}}).map(as_json),
            ANYTHING.map(as_json),
            st.binary(max_size=40),
        ),
        max_size=4,
    )
)
def test_any_line_of_a_watch(client: KubeClient, lines: list[bytes]) -> None:
    found = sound(
        lambda: watched(client, b"".join(line + b"\n" for line in lines)),
        ["API server"],
        longest=OF_THE_SERVER,
    )
    for event in found or ():
        assert isinstance(event["object"]["metadata"], dict)


def judged(client: KubeClient, state: Any, logs: dict[str, bytes]) -> tuple[Any, ...]:
    """Do with a recorded state what following a Job does, all of it read through the client."""

    def listed(items: Any) -> list[Any]:
        return asked(client, as_json(a_list(items))).list_all(PLACE.pods)[0]

    job = asked(client, as_json(state["job"])).get("/job")
    tracker = Tracker(job, 3)
    for item in listed(state["events"]):
        tracker.see_event(item, 1)
    # One by one, so that a pod that is not one does not hide the others.
    tracker.see_pods(listed(state["pods"]), 1)
    endings = [tracker.ending(at) for at in (1.0, 60.0)]
    late = tracker.late(60.0)
    found, problems = workers(tracker, PLAN, SLOT, 1, logs)
    told = events(tracker.warnings)
    kept = fetch_logs(asked(client, b"said\n"), PLACE, tracker.pods)
    return endings, late, found, problems, told, tracker.out_of_time(5), kept


def own_state() -> dict[str, Any]:
    return {
        "job": a_job(1),
        "pods": [a_pod(index, "Succeeded", message=a_report(index)) for index in range(3)],
        "events": [an_event("FailedCreate", JOB_UID, "no", count=3, series={"count": 2})],
    }


@st.composite
def spoiled_state(draw: st.DrawFn) -> Any:
    """Return a recorded state, or one in which all pods have succeeded, with some of it spoiled."""
    path = draw(st.sampled_from([None, *STATES]))
    state = own_state() if path is None else recorded(path)
    # The recordings leave out the names of events, which the API does not.
    state = {
        "job": state["job"],
        "pods": state["pods"],
        "events": [
            {"type": "Warning", **each, "metadata": {"name": "event", **each["metadata"]}}
            for each in state["events"]
        ],
    }
    return draw(changed(state))


@examples(70)
@given(state=spoiled_state(), log=spoiled(st.just(a_report(0).encode())))
def test_any_state_of_a_job(client: KubeClient, state: Any, log: bytes) -> None:
    state = {"job": {}, "pods": [], "events": [], **state} if isinstance(state, dict) else own_state()
    found = sound(lambda: judged(client, state, {"pod-0": log}), ["API server"], longest=OF_THE_SERVER)
    if found is None:
        return
    endings, _, workers_found, problems, told, too_late, _ = found
    for ending in (*endings, too_late):
        if ending and ending.problem:
            is_line(ending.problem, ["pod ", "pods", "Job ", *PIS], longest=OF_THE_SERVER + 253)
    for problem in problems:
        is_line(problem, ["pod "], longest=OF_THE_SERVER + 253)
    # What is written can be read again.
    for worker in workers_found:
        assert Worker.model_validate_json(worker.text()) == worker
    for event in told:
        assert Event.model_validate_json(event.text()) == event
    assert last_line(log).isprintable() or not last_line(log)


@examples(25)
@given(nodes=changed(recorded(NODES)), expected=st.lists(st.sampled_from([*PIS, "10.0.0.1"]), max_size=3))
def test_any_nodes(client: KubeClient, nodes: Any, expected: Sequence[str]) -> None:
    items = list(nodes.values()) if isinstance(nodes, dict) else nodes
    other = asked(client, as_json(a_list(items)))
    named = ["API server", "inventory", "cluster", *PIS]
    found = sound(lambda: read_nodes(other, expected, "arm64"), named, longest=OF_THE_SERVER)
    for node in found.nodes if found else ():
        for problem in node.problems:
            is_line(problem, [node.name], longest=OF_THE_SERVER)
    chosen = sound(lambda: choose(other.list_all("/api/v1/nodes")[0]), named, longest=OF_THE_SERVER)
    if chosen is not None:
        assert yaml.safe_load(inventory_text(chosen, chosen.pis[0], "pi"))["pis"]["hosts"]


@examples(20)
@given(lease=changed(LEASE), namespace=changed(NAMESPACE), uid=ODD_TEXTS)
def test_any_claim_and_any_namespace(client: KubeClient, lease: Any, namespace: Any, uid: str) -> None:
    def claim() -> None:
        found = asked(client, as_json(lease)).get("/lease")
        counts(claim_of(found), client.now())
        is_line(refusal(claim_of(found)).problem, ["another benchmark"], longest=OF_THE_SERVER)

    def look() -> None:
        found = asked(client, as_json(namespace)).get("/namespace")
        is_managed(found), is_owned(found, uid), letting_go(found, "pod")
        pods = asked(client, as_json(a_list([namespace])))
        is_line(namespace_going(pods, PLACE, found).problem, ["namespace"], longest=OF_THE_SERVER)

    sound(claim, ["API server"], longest=OF_THE_SERVER)
    sound(look, ["API server"], longest=OF_THE_SERVER)
