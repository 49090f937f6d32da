"""A benchmark ends in a line and with all that it measured, whatever ends it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.codes import Code
from pi_speedup.measure.loop import Ended
from pi_speedup.measure.session import Session
from pi_speedup.model.node import Node, Nodes
from pi_speedup.model.run import Run
from pi_speedup.model.settings import Settings
from pi_speedup.problem import Interrupted, Problem, ProblemError, refuse
from pi_speedup.store import RUN_FILE, RunStore
from tests.unit.plan.factory import PIS, plan, trial

LOST = Problem(code=Code.NODE_LOST, subject="pi-3", what="lost", next_step="check its power")


def begun(folder: Path, min_pis: int = 2, **settings: Any) -> Session:
    """Return a benchmark whose run is about to be measured."""
    store = RunStore(folder / "x")
    run = Run(
        door="benchmark",
        dir=str(store.folder),
        runs_dir=str(folder),
        kubeconfig="",
        fetch_from="",
        worker="",
        pis=PIS,
        base_pi=PIS[0],
        min_pis=min_pis,
        continues=False,
        settings=Settings(**settings),
    )
    store.write({RUN_FILE: run})
    store.seal(plan())
    return Session([store.folder], lambda line: None)


def measured(session: Session, how: Callable[[Path, Run], Ended], *lost: str) -> tuple[Ended, list[str]]:
    nodes = Nodes(
        nodes=tuple(Node(name=pi, problems=(LOST,) if pi in lost else ()) for pi in PIS), not_in_inventory=()
    )
    return session.measure(how, lambda store, run: nodes, nullcontext(), lambda: None)


def complete(folder: Path, run: Run) -> Ended:
    return Ended("complete")


def a_job_fails(folder: Path, run: Run) -> Ended:
    """Fail the first run's first Job; what follows it is measured."""
    if folder.name != "x":
        return Ended("complete")
    store = RunStore(folder)
    of = store.plan()
    store.add(trial(of, next(slot for slot in of.slots if of.cell(slot.cell).kind == "job"), "failed"))
    return Ended("failed", LOST)


def test_a_run_that_is_complete_has_its_pis_looked_at_again(tmp_path: Path) -> None:
    session = begun(tmp_path)
    assert measured(session, complete) == (Ended("complete"), list(PIS))
    assert (session.runs, session.warnings) == ([tmp_path / "x"], [])


def test_nobody_looks_at_pis_where_that_was_not_wanted(tmp_path: Path) -> None:
    assert measured(begun(tmp_path, host_checks=False), complete)[1] == []


def test_a_lost_pi_is_left_out_of_a_run_that_follows(tmp_path: Path) -> None:
    session = begun(tmp_path)
    assert measured(session, a_job_fails, "pi-3") == (Ended("complete"), ["pi-1", "pi-2"])
    assert session.runs == [tmp_path / "x", tmp_path / "x-2"]
    (line,) = session.warnings
    assert line.startswith("pi-3: lost; run x-2 went on without it (benchmark_min_pis: 2)")
    assert session.last.plan().pis == ("pi-1", "pi-2")
    assert session.last.run().dir == str(tmp_path / "x-2")


def _not_answered(store: RunStore, run: Run) -> Nodes:
    raise refuse(Code.API_UNREACHABLE, "API server", "does not answer")


def test_a_cluster_that_is_gone_does_not_hide_what_failed(tmp_path: Path) -> None:
    session = begun(tmp_path)
    ended, _ = session.measure(a_job_fails, _not_answered, nullcontext(), lambda: None)
    assert (ended, len(session.runs)) == (Ended("failed", LOST), 1)


def test_an_interruption_after_the_end_does_not_hide_what_failed(tmp_path: Path) -> None:
    def interrupted(store: RunStore, run: Run) -> Nodes:
        raise Interrupted("Ctrl-C")

    ended, look_at = begun(tmp_path).measure(a_job_fails, interrupted, nullcontext(), lambda: None)
    assert (ended, look_at) == (Ended("failed", LOST), [])


@pytest.mark.parametrize(
    ("raised", "why", "line"),
    [
        (Interrupted("Ctrl-C"), "interrupted", "run x: stopped by Ctrl-C"),
        (ProblemError(LOST), "failed", "pi-3: lost"),
        (KeyError("x"), "failed", "run x: stopped by a mistake in this program (KeyError: 'x')"),
    ],
    ids=["interrupted", "a problem", "a mistake"],
)
def test_whatever_ends_it_is_one_line(tmp_path: Path, raised: BaseException, why: str, line: str) -> None:
    def ends(folder: Path, run: Run) -> Ended:
        raise raised

    mistakes: list[str] = []
    session = begun(tmp_path)
    ended, look_at = session.measure(
        ends,
        lambda store, run: Nodes(nodes=(), not_in_inventory=()),
        nullcontext(),
        lambda: mistakes.append(""),
    )
    assert (ended.why, look_at) == (why, [])
    assert str(ended.problem).startswith(line)
    assert bool(mistakes) == isinstance(raised, KeyError)
