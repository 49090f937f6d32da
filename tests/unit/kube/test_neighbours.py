"""Who else uses the Pis: other benchmarks by their claims, pods of others by what they request."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pi_speedup.clock import boot_seconds
from pi_speedup.kube.access.errors import from_answer
from pi_speedup.kube.follow.neighbours import LEASES, PODS, Neighbours
from pi_speedup.kube.owned.lease import CLEANUP
from pi_speedup.kube.owned.owned import Place, labels
from pi_speedup.model.trial import OtherPods
from tests.unit.plan.factory import plan, trial

PLACE = Place("pi-speedup")
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FORBIDDEN = from_answer("https://x", "/home/me/config", f"GET {PODS}", 403, b"")


def claim(run_id: str = "other", age: float = 60.0, **values: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "pi-speedup",
            "namespace": values.get("namespace", "bench"),
            "uid": f"uid-{run_id}",
            "labels": {"pi-speedup/run-id": run_id},
            "annotations": {"pi-speedup/pis": values["pis"]} if "pis" in values else {},
        },
        "spec": {
            "holderIdentity": "ann@laptop",
            "leaseDurationSeconds": 40,
            "acquireTime": (NOW - timedelta(seconds=age)).isoformat(),
            "renewTime": (NOW - timedelta(seconds=values.get("renewed", 1))).isoformat(),
        },
    }


def pod(name: str, pi: str, *requests: str, ours: bool = False, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "bench",
            "uid": name,
            "labels": labels() if ours else {},
            **metadata,
        },
        "spec": {
            "nodeName": pi,
            "containers": [{"resources": {"requests": {"cpu": cpu}}} for cpu in requests] or [{}],
        },
    }


class Api:
    """An API server with these claims and pods; `more` events come once `go_on` is set."""

    def __init__(
        self,
        claims: Sequence[dict[str, Any]] | Exception = (),
        pods: Sequence[dict[str, Any]] | Exception = (),
        more: Sequence[tuple[str, dict[str, Any]]] = (),
    ) -> None:
        self.claims, self.pods, self.more = claims, pods, more
        self.go_on, self.heard, self.lists = threading.Event(), threading.Event(), 0

    def now(self) -> datetime:
        return NOW

    def with_patience(self, _patience: object) -> Api:
        return self

    def list_all(self, path: str, query: dict[str, str]) -> tuple[list[Any], str]:
        found = self.pods
        if path == LEASES:
            assert "metadata.namespace!=pi-speedup" in query["fieldSelector"]
            found = self.claims
        else:
            assert (path, query) == (PODS, {"fieldSelector": "status.phase=Running"})
            self.lists += 1
        if isinstance(found, Exception):
            raise found
        return list(found), "1"

    def open_watch(self, path: str, query: dict[str, str]) -> Api:
        if isinstance(self.claims, Exception):
            raise self.claims
        return self

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.go_on.wait(10)
        yield from ({"type": kind, "object": each} for kind, each in self.more)
        self.heard.set()
        threading.Event().wait()

    def close(self) -> None:
        self.go_on.set()


def neighbours(api: Any, tell: Any = lambda line: None) -> Neighbours:
    return Neighbours(api, PLACE, plan(), tell)


def after(seconds: float, of: Neighbours) -> Any:
    """Return a trial that began so many seconds ago, with what was seen beside it."""
    one = trial(plan(), plan().slots[0])
    moment = one.started.model_copy(update={"boot_seconds": boot_seconds() - seconds})
    return of.seen(one.model_copy(update={"started": moment}))


@pytest.mark.parametrize(
    ("given", "pis", "where"),
    [
        ({}, ("pi-1", "pi-2", "pi-3"), "on pi-1, pi-2, pi-3"),
        ({"pis": "pi-3,pi-9"}, ("pi-3",), "on pi-3"),
        ({"pis": "pi-8,pi-9"}, (), "on other Pis"),
    ],
    ids=["it does not say on which Pis", "on one of ours", "on others"],
)
def test_another_benchmark_is_told_once_and_kept(given: Any, pis: tuple[str, ...], where: str) -> None:
    lines: list[str] = []
    with neighbours(Api([claim(**given)]), lines.append) as found:
        for number in (0, 1):
            found.look(number)
            (run,) = after(20, found).other_runs
            assert (run.pis, round(run.seconds)) == (pis, 20)
            assert run.what == "run other by ann@laptop in namespace bench"
    assert lines == [
        f"another benchmark measures {where}: run other by ann@laptop in namespace bench; "
        "the report says for how long"
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"run_id": CLEANUP},
        {"renewed": 60},
        {"namespace": "pi-speedup"},
    ],
    ids=["a clean-up", "one that has run out", "our own"],
)
def test_what_is_no_other_benchmark_is_not_told(given: Any) -> None:
    lines: list[str] = []
    with neighbours(Api([claim(**given)]), lines.append) as found:
        found.look(0)
        assert after(20, found).other_runs == ()
    assert lines == []


def test_one_that_ended_meanwhile_counts_until_then_and_not_for_the_next_trial() -> None:
    api = Api([claim(age=5)], more=[("DELETED", claim(age=5))])
    with neighbours(api) as found:
        found.look(0)
        api.go_on.set()
        assert api.heard.wait(10)
        (run,) = after(20, found).other_runs
        # Begun 5 s ago, so 15 s of the trial were ours alone.
        assert round(run.seconds) == 5
        assert after(0, found).other_runs == ()


def test_pods_of_others_are_listed_once_a_round_and_told_once() -> None:
    lines: list[str] = []
    ours = pod("pi-speedup-x-0", "pi-1", "1", namespace="pi-speedup")
    ours["metadata"]["labels"] = {**labels(), "pi-speedup/run-id": "x"}
    api = Api(
        pods=[
            ours,
            pod("web", "pi-2", "250m", "500m"),
            pod("idle", "pi-2"),
            pod("dns", "pi-1", "100m"),
            pod("elsewhere", "pi-9", "4"),
            pod("worker", "pi-3", "400m", ours=True),
        ]
    )
    with neighbours(api, lines.append) as found:
        for number in (0, 0, 1):
            found.look(number)
        assert after(1, found).other_pods == (
            OtherPods(pi="pi-1", what="bench/dns", cores=0.1, runs=0),
            OtherPods(pi="pi-2", what="bench/web, bench/idle", cores=0.75, runs=0),
            OtherPods(pi="pi-3", what="bench/worker", cores=0.4, runs=1),
        )
    assert api.lists == 2
    assert lines == [
        "pods of others run on pi-2 (0.75 cores: bench/web, bench/idle), pi-3 (0.4 cores: bench/worker)"
    ]


@pytest.mark.parametrize(
    ("api", "unheard"),
    [
        (lambda: Api(), ()),
        (lambda: Api(claims=FORBIDDEN), ("claims",)),
        (lambda: Api(pods=FORBIDDEN), ("pods",)),
        (lambda: Api(FORBIDDEN, FORBIDDEN), ("claims", "pods")),
    ],
    ids=["all may be read", "no claims", "no pods", "neither"],
)
def test_what_may_not_be_read_is_known(api: Any, unheard: tuple[str, ...]) -> None:
    with neighbours(api()) as found:
        for number in (0, 1):
            found.look(number)
            assert after(1, found).unheard == unheard
