"""A run that lost a Pi is followed by one on those that remain, or by none."""

from __future__ import annotations

from pathlib import Path

import pytest

from pi_speedup.codes import Code
from pi_speedup.measure.follow_up import begin_without, may_do_without_a_pi
from pi_speedup.measure.loop import Ended
from pi_speedup.model.host import HostLook
from pi_speedup.model.node import Node, Nodes
from pi_speedup.model.plan import LeftOut
from pi_speedup.problem import Problem
from pi_speedup.store import RunStore
from tests.unit.plan.factory import PIS, plan, trial

LOST = Problem(code=Code.NODE_LOST, subject="pi-3", what="lost", next_step="check its power")
FAILED = Ended("failed", LOST)


def nodes(*lost: str) -> Nodes:
    return Nodes(
        nodes=tuple(Node(name=pi, problems=(LOST,) if pi in lost else ()) for pi in PIS), not_in_inventory=()
    )


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """A run of which the first Job failed."""
    sealed = RunStore(tmp_path / "x")
    made = plan(order_seed=0)
    away = HostLook(pi="pi-4", when="before", state=None, problems=(LOST,))
    sealed.write({"nodes.json": nodes(), "hosts/pi-1.before.json": away.model_copy(update={"pi": "pi-1"})})
    sealed.seal(made)
    return sealed


def with_failed(store: RunStore, kind: str) -> RunStore:
    made = store.plan()
    slot = next(slot for slot in made.slots if made.cell(slot.cell).kind == kind)
    store.add(trial(made, slot, "failed"))
    return store


def test_only_the_failure_of_a_job_may_come_from_a_lost_pi(store: RunStore) -> None:
    assert not may_do_without_a_pi(store, FAILED, 2)
    assert may_do_without_a_pi(with_failed(store, "job"), FAILED, 2)
    assert not may_do_without_a_pi(store, Ended("interrupted", LOST), 2)
    assert not may_do_without_a_pi(store, Ended("complete"), 2)


def test_where_all_are_needed_the_cluster_is_not_asked_who_was_lost(store: RunStore) -> None:
    assert not may_do_without_a_pi(with_failed(store, "job"), FAILED, len(PIS))


def test_the_failure_of_a_base_case_is_no_lost_pi(store: RunStore) -> None:
    assert not may_do_without_a_pi(with_failed(store, "base"), FAILED, 2)


NONE = {
    "no Pi is lost": (nodes(), 2),
    "too few remain": (nodes("pi-3"), 3),
    "the one that works alone is lost": (nodes("pi-1"), 1),
}


@pytest.mark.parametrize(("now", "min_pis"), NONE.values(), ids=NONE)
def test_no_run_follows(store: RunStore, now: Nodes, min_pis: int) -> None:
    assert begin_without(store, now, min_pis=min_pis, first=store.folder, fresh_seed=1) is None
    assert [path.name for path in store.folder.parent.iterdir()] == ["x"]


def test_the_run_that_follows_is_sealed_and_the_latest(store: RunStore) -> None:
    begun = begin_without(store, nodes("pi-3"), min_pis=2, first=store.folder, fresh_seed=1)
    assert begun is not None
    following, lost = begun
    assert lost == (LeftOut(pi="pi-3", problem=LOST),)
    assert following.folder == store.folder.with_name("x-2")
    assert (store.folder.parent / "latest").resolve() == following.folder
    made = following.plan()
    assert (made.pis, made.left_out, made.run_id) == (("pi-1", "pi-2"), lost, "x-2")
    # What each was like before is known still.
    assert following.look("pi-1", "before") == store.look("pi-1", "before")


def test_what_follows_a_later_session_begins_with_that_sessions_looks(store: RunStore) -> None:
    made = store.plan()
    slot = next(slot for slot in made.slots if made.cell(slot.cell).kind == "job")
    store.add(trial(made, slot, "failed").model_copy(update={"session": 2}))
    look = HostLook(pi="pi-2", when="before", session=2, state=None, problems=(LOST,))
    store.write({look.file: look})
    begun = begin_without(store, nodes("pi-3"), min_pis=2, first=store.folder, fresh_seed=1)
    assert begun is not None
    following, _ = begun
    assert following.look("pi-2", "before") == look.model_copy(update={"session": 1})
    assert following.look("pi-1", "before") is None


def test_a_second_loss_is_added_to_the_first(store: RunStore) -> None:
    begun = begin_without(store, nodes("pi-3"), min_pis=1, first=store.folder, fresh_seed=1)
    assert begun is not None
    now = Nodes(nodes=nodes("pi-2").nodes[:2], not_in_inventory=())
    begun = begin_without(begun[0], now, min_pis=1, first=store.folder, fresh_seed=1)
    assert begun is not None
    following, lost = begun
    assert [each.pi for each in lost] == ["pi-2"]
    assert following.folder.name == "x-3"
    assert [each.pi for each in following.plan().left_out] == ["pi-3", "pi-2"]
    assert following.pi_of("pi-3") == "pi-3"
