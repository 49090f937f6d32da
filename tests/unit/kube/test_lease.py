"""Who measures: a claim counts until it runs out, by the API server's clock."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pi_speedup.clock import boot_seconds
from pi_speedup.codes import Code
from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.owned import lease
from pi_speedup.kube.owned.lease import (
    CLEANUP,
    LEASE_SECONDS,
    Hold,
    acquire,
    claim_of,
    counts,
    hold,
    this_process,
    who_measures,
)
from pi_speedup.kube.owned.owned import Place, labels
from pi_speedup.measure.again import what_to_say
from pi_speedup.measure.loop import Ended
from pi_speedup.problem import ProblemError
from tests.unit.plan import factory

PLACE = Place("ns")
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Cluster:
    """One Lease and one ConfigMap, with the API's preconditions; `before_delete` is somebody in between."""

    def __init__(self) -> None:
        self.lease: Any = None
        self.time = NOON
        self.before_delete: Callable[[], None] = lambda: None
        self._uids = 0
        self.renewals = 0

    def now(self) -> datetime:
        return self.time

    def find(self, path: str) -> Any:
        if path == PLACE.owner_path:
            return {"metadata": {"uid": "owner", "labels": labels()}}
        assert path == f"{PLACE.leases}/pi-speedup"
        return copy.deepcopy(self.lease)

    def create(self, path: str, body: Any) -> Any:
        assert path == PLACE.leases
        if self.lease:
            raise KubeError(Code.OBJECT_GONE_OR_CHANGED, "x", "already exists", status=409)
        self._uids += 1
        self.lease = copy.deepcopy(body)
        self.lease["metadata"] |= {"uid": f"uid-{self._uids}", "resourceVersion": "1"}
        return copy.deepcopy(self.lease)

    def renew(self) -> None:
        self.lease["spec"]["renewTime"] = self.time.isoformat()
        self.lease["metadata"]["resourceVersion"] += "1"

    def patch(self, path: str, body: Any) -> Any:
        self.renewals += 1
        if not self.lease or self.lease["metadata"]["uid"] != body["metadata"]["uid"]:
            raise KubeError(Code.OBJECT_GONE_OR_CHANGED, "x", "another's", status=409)
        self.lease["spec"] |= body["spec"]

    def with_patience(self, patience: Any) -> Cluster:
        return self

    def delete(self, path: str, uid: str, policy: str, version: str = "") -> bool:
        self.before_delete()
        found = self.lease["metadata"] if self.lease else {}
        if found.get("uid") != uid or (version and found["resourceVersion"] != version):
            return False
        self.lease = None
        return True

    def take(self, holder: str, run_id: str) -> Any:
        return acquire(self, PLACE, holder, run_id)  # type: ignore[arg-type]


def test_a_claim_is_ours_by_label_and_owner() -> None:
    taken = Cluster().take("me@here", "run-1")
    assert taken["metadata"]["labels"] == {**labels(), "pi-speedup/run-id": "run-1"}
    assert [owner["uid"] for owner in taken["metadata"]["ownerReferences"]] == ["owner"]


def test_the_second_of_two_is_told_who_measures() -> None:
    cluster = Cluster()
    cluster.take("ann@laptop", "run-1")
    cluster.time += timedelta(seconds=LEASE_SECONDS)
    with pytest.raises(ProblemError) as refused:
        cluster.take("bob@desk", "run-2")
    since, until = (
        (NOON + timedelta(seconds=seconds)).astimezone().strftime(form)
        for seconds, form in ((0, "%H:%M"), (LEASE_SECONDS, "%H:%M:%S"))
    )
    assert str(refused.value) == (
        f"another benchmark is measuring: run run-1 by ann@laptop since {since}, its claim counts until "
        f"{until} [PS-421]. Next: wait for it; if it is dead, its claim runs out by itself at {until}"
    )


def test_a_claim_that_has_run_out_is_taken_over() -> None:
    cluster = Cluster()
    first = cluster.take("ann@laptop", "run-1")
    cluster.time += timedelta(seconds=LEASE_SECONDS + 2)
    assert who_measures(cluster, PLACE) is None  # type: ignore[arg-type]
    second = cluster.take("bob@desk", "run-2")
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    claim = who_measures(cluster, PLACE)  # type: ignore[arg-type]
    assert claim is not None and claim.run_id == "run-2"


def test_a_claim_that_is_renewed_just_then_is_not_taken_over() -> None:
    cluster = Cluster()
    cluster.take("ann@laptop", "run-1")
    cluster.time += timedelta(seconds=LEASE_SECONDS + 2)
    cluster.before_delete = cluster.renew
    with pytest.raises(ProblemError, match="run run-1 by ann@laptop"):
        cluster.take("bob@desk", "run-2")


def test_of_two_that_take_over_one_succeeds() -> None:
    cluster = Cluster()
    cluster.take("ann@laptop", "run-1")
    cluster.time += timedelta(seconds=LEASE_SECONDS + 2)

    def somebody_is_faster() -> None:
        cluster.before_delete = lambda: None
        cluster.take("eve@phone", "run-3")

    cluster.before_delete = somebody_is_faster
    with pytest.raises(ProblemError, match="run run-3 by eve@phone"):
        cluster.take("bob@desk", "run-2")


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Cluster, Hold]]:
    """A claim that nobody renews by itself."""
    monkeypatch.setattr(lease, "RENEW_SECONDS", 3600.0)
    cluster = Cluster()
    with hold(cluster, PLACE, "ann@laptop", "run-1") as claim:  # type: ignore[arg-type]
        yield cluster, claim


def test_a_claim_that_was_renewed_in_time_is_not_asked_for(held: tuple[Cluster, Hold]) -> None:
    cluster, claim = held
    claim.check()
    assert cluster.renewals == 0
    # At the end of a trial it is, however short the trial was.
    claim.check(boot_seconds())
    claim.check(boot_seconds())
    assert cluster.renewals == 2


def test_who_was_taken_over_a_moment_ago_is_told(held: tuple[Cluster, Hold]) -> None:
    cluster, claim = held
    cluster.lease = None
    cluster.take("bob@desk", "run-2")
    with pytest.raises(ProblemError, match=r"taken over by run run-2 by bob@desk .*PS-422") as caught:
        claim.check(boot_seconds())
    # As the line of the run's end has it.
    line = what_to_say(factory.plan(), (), Ended("failed", caught.value.problem), "ansible-playbook x")
    assert line.endswith(" Next: see who else measures there, then ansible-playbook x")


@pytest.mark.fault("control host suspended between two trials", "survived", kept="all")
def test_a_suspended_machine_has_not_renewed_its_claim(
    held: tuple[Cluster, Hold], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, claim = held
    monkeypatch.setattr(lease, "boot_seconds", lambda: boot_seconds() + LEASE_SECONDS + 1)
    claim.check()
    assert cluster.renewals == 1


LEASES: dict[str, tuple[dict[str, Any], bool]] = {
    "just renewed": ({"renewTime": "2026-11-24T12:00:00.000000Z", "leaseDurationSeconds": 40}, True),
    "about to run out": ({"renewTime": "2026-11-24T11:59:20.000000Z", "leaseDurationSeconds": 40}, True),
    "run out": ({"renewTime": "2026-11-24T11:59:10.000000Z", "leaseDurationSeconds": 40}, False),
    "never renewed": ({"leaseDurationSeconds": 40}, False),
    "nonsense": ({"renewTime": "noon", "leaseDurationSeconds": "long"}, False),
    "empty": ({}, False),
}


@pytest.mark.parametrize(("spec", "expected"), LEASES.values(), ids=LEASES)
def test_a_claim_counts_until_it_runs_out(spec: dict[str, Any], expected: bool) -> None:
    claim = claim_of({"metadata": {"uid": "x"}, "spec": spec})
    assert counts(claim, NOON) is expected


def test_cleanup_is_told_from_a_run() -> None:
    cluster = Cluster()
    cluster.take("ann@laptop", CLEANUP)
    with pytest.raises(ProblemError, match=r"is measuring: cleanup\.yml by ann@laptop since"):
        cluster.take("bob@desk", "cleanup")


def claim_by(process: str) -> Any:
    cluster = Cluster()
    cluster.take("me@here", "x")
    cluster.lease["metadata"]["annotations"]["pi-speedup/process"] = process
    return claim_of(cluster.lease)


@pytest.mark.fault("Lease stale")
def test_a_claim_whose_process_was_killed_does_not_count() -> None:
    holder = subprocess.Popen(["sleep", "60"])
    claim = claim_by(this_process(holder.pid))
    assert counts(claim, NOON)
    holder.kill()
    holder.wait()
    assert not counts(claim, NOON)


@pytest.mark.parametrize(
    "change",
    [
        lambda words: ["another-boot", *words[1:]],
        lambda words: [words[0], "pid:[1]", *words[2:]],
        lambda _: [],
    ],
    ids=["another machine", "another container", "a holder that says nothing"],
)
def test_of_a_process_elsewhere_nothing_is_assumed(change: Callable[[list[str]], list[str]]) -> None:
    holder = subprocess.Popen(["true"])
    words = this_process(holder.pid).split(" ")
    holder.wait()
    assert counts(claim_by(" ".join(change(words))), NOON)


def test_a_number_that_another_process_has_now_is_not_the_holder() -> None:
    words = this_process().split(" ")
    assert not counts(claim_by(" ".join([*words[:-1], "1"])), NOON)
