"""Which trials count, and which are refused since they are not what they say."""

from __future__ import annotations

from typing import Any

import pytest

from pi_speedup.model.base import load
from pi_speedup.model.trial import Trial
from pi_speedup.problem import ProblemError
from pi_speedup.report.evidence import Contents, Evidence
from tests.unit.report import factory


def _evidence(**how: Any) -> Evidence:
    return Evidence(factory.contents(**how))


def test_only_complete_rounds_count_and_never_the_warm_up() -> None:
    plan = factory.plan()
    # The last trial of round 6 is lost, so the first one of it counts for nothing.
    trials = tuple(t for t in factory.trials(plan) if (t.slot.round, t.slot.position) != (6, 1))
    found = Evidence(Contents(plan, trials))
    assert found.rounds == (1, 2, 3, 4, 5, 7)
    assert {measurement.round for measurement in found.measured} == {1, 2, 3, 4, 5, 7}


def test_the_last_attempt_that_went_well_counts() -> None:
    plan = factory.plan(rounds=1)
    trials = list(factory.trials(plan))
    place = next(i for i, t in enumerate(trials) if t.slot.cell == "together-3" and t.slot.round == 1)
    lost = trials[place].model_copy(update={"outcome": "failed", "workers": ()})
    name = trials[place].slot.name
    # Each attempt draws from streams of its own.
    again = load(Trial, trials[place].text().replace(f"{name}.1.", f"{name}.2."), "again")
    again = again.model_copy(update={"attempt": 2})
    found = Evidence(Contents(plan, (*trials[:place], lost, again, *trials[place + 1 :])))
    (job,) = found.jobs
    assert job.trial.attempt == 2


def test_no_round_is_left_out_for_its_values() -> None:
    def outlier(draft: factory.Draft) -> None:
        if draft.slot.round == 3:
            for worker in draft.workers:
                worker.seconds *= 10

    assert len(_evidence(defect=outlier).rounds) == 7


def _of_pod(**values: Any) -> factory.Defect:
    def defect(draft: factory.Draft) -> None:
        if draft.slot.round == 2 and not draft.base:
            draft.workers[1].report = values.get("report", {})
            draft.workers[1].process = values.get("process", {})

    return defect


def _one_pod_short(draft: factory.Draft) -> None:
    if draft.slot.round == 2 and not draft.base:
        del draft.workers[1]


REFUSED: dict[str, tuple[factory.Defect, str]] = {
    "another run": (
        _of_pod(report={"run_id": "other"}),
        "is of another trial (run: other instead of 20261124-071530-3fa2)",
    ),
    "another engine": (_of_pod(report={"engine": "numpy"}), "(engine: numpy instead of seed)"),
    "another Pi": (_of_pod(report={"node": "nas"}), "(Pi: nas instead of pi-2)"),
    "another trial": (
        _of_pod(report={"stream": "r001-00-alone.1.0"}),
        "(streams: r001-00-alone.1.0.0 instead of r002-00-together-3.1.1.0)",
    ),
    "another size": (
        _of_pod(process={"samples": 10, "inside": 8, "stretch": (2,) * 4}),
        "(samples: 10 instead of 10000000)",
    ),
    "impossible counts": (
        _of_pod(process={"inside": 20_000_000}),
        "is damaged (processes.0 is",
    ),
    "a pod short": (_one_pod_short, "2 workers, but together-3 has 3"),
}


@pytest.mark.parametrize(("defect", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_of_this_run_is_refused(defect: factory.Defect, words: str) -> None:
    with pytest.raises(ProblemError) as caught:
        _evidence(defect=defect)
    line = str(caught.value)
    assert line.startswith("trials/r002-") and words in line and "Next: " in line


def test_a_trial_that_went_well_holds_all_results() -> None:
    plan = factory.plan()
    trials = list(factory.trials(plan))
    hollow = trials[5].workers[0].model_copy(update={"report": None})
    for update, words in (
        ({"wall_seconds": None}, "no wall time"),
        ({"workers": (hollow, *trials[5].workers[1:])}, "no result of"),
    ):
        changed = [*trials[:5], trials[5].model_copy(update=update), *trials[6:]]
        with pytest.raises(ProblemError, match=words):
            Evidence(Contents(plan, tuple(changed)))


def test_several_processes_on_a_pi_are_one_worker() -> None:
    plan = factory.plan(processes_per_pi=4)
    found = Evidence(Contents(plan, factory.trials(plan)))
    (work,) = found.alone[0].works
    assert len(work.report.processes) == 4 and found.alone[0].seconds == pytest.approx(10, rel=0.1)


def test_cores_are_told_by_the_cluster_or_by_the_pi() -> None:
    plan = factory.plan()
    nodes = factory.all_nodes(plan, cores=None)
    assert Evidence(factory.contents(plan, nodes=nodes)).cores("pi-2") is None
    assert Evidence(factory.contents(plan, nodes=nodes, hosts=factory.hosts(plan))).cores("pi-2") == 4
    assert _evidence().cores("pi-1") == 4
