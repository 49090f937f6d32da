"""Fewer Pis than the inventory names: they are left out where that is enough, and everything says so."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.codes import Code
from pi_speedup.kube.access.client import KubeClient
from pi_speedup.kube.owned.owned import Place
from pi_speedup.model.plan import LeftOut
from pi_speedup.problem import Problem
from pi_speedup.store import RunStore
from tests.lab.lab import Lab, Outcome
from tests.lab.runs import driver, new_plan
from tests.manifests import PIS, slot_of
from tests.virtual import await_that

FAULT = "virtual-pi/fault"


@contextlib.contextmanager
def cordoned(lab: Lab, *pis: str) -> Iterator[None]:
    lab.kubectl("cordon", *pis)
    try:
        yield
    finally:
        lab.kubectl("uncordon", *pis)


def report_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "report.json").read_text())
    return found


def warnings_of(outcome: Outcome) -> list[str]:
    return [line for line in outcome.output.splitlines() if line.startswith("[WARNING]")]


@pytest.mark.fault(
    "node cordoned, and two of three Pis are enough",
    "pi-3: cordoned (unschedulable); measuring without it (benchmark_min_pis: 2) "
    "[PS-302]. Next: kubectl uncordon pi-3",
    kept="all, of the two; the report names the third",
    exit_code=0,
)
def test_a_cordoned_pi_is_left_out_and_the_run_goes_on_without_it(lab: Lab) -> None:
    two = {"benchmark_min_pis": 2, "benchmark_run_id": "two-of-three", "benchmark_rounds": 1}
    with cordoned(lab, "pi-3"):
        outcome = lab.play("benchmark.yml", **two)
    assert outcome.exit_code == 0, outcome.output
    assert warnings_of(outcome) == [
        "[WARNING]: pi-3: cordoned (unschedulable); measuring without it (benchmark_min_pis: 2) [PS-302]. "
        "Next: kubectl uncordon pi-3"
    ]
    assert re.search(r"^Run two-of-three: 2 of 3 Pis, 1 round ", outcome.output, re.MULTILINE)
    assert "  without pi-3: cordoned (unschedulable)" in outcome.output
    report = report_of(outcome.run_dir)
    assert (report["pis"], [node["name"] for node in report["nodes"]]) == (["pi-1", "pi-2"], ["pi-1", "pi-2"])
    assert report["headline"].startswith("2 of 3 Pis were ")
    assert [check["effect"] for check in report["checks"] if check["status"] == "flag"].count("none") >= 1
    left_out = next(check for check in report["checks"] if check["code"] == "left_out")
    assert left_out["status"] == "flag" and "pi-3 was left out (cordoned" in left_out["found"]

    # It is back, and the run has one trial to measure again: with the Pis of its plan.
    last = RunStore(outcome.run_dir.resolve()).trials()[-1]
    (outcome.run_dir / f"trials/{last.name}.json").unlink()
    outcome = lab.play("benchmark.yml", **two)
    assert outcome.exit_code == 0, outcome.output
    assert warnings_of(outcome) == []
    assert report_of(outcome.run_dir)["pis"] == ["pi-1", "pi-2"]
    assert [each["pi"] for each in report_of(outcome.run_dir)["left_out"]] == ["pi-3"]


@pytest.mark.fault(
    "two nodes cordoned, and two of three Pis are wanted",
    "benchmark_min_pis: 1 of 3 Pis is fit (pi-1), and 2 are wanted [PS-107]. Next: do "
    "what the lines above say, or set it lower",
    kept="nothing begun",
)
def test_with_too_few_pis_each_has_its_line_and_nothing_begins(lab: Lab, tmp_path: Path) -> None:
    with cordoned(lab, "pi-2", "pi-3"):
        outcome = lab.play("benchmark.yml", benchmark_min_pis=2, benchmark_runs_dir=tmp_path)
    assert outcome.exit_code == 2, outcome.output
    assert outcome.output.splitlines() == [
        "pi-2: cordoned (unschedulable) [PS-302]. Next: kubectl uncordon pi-2",
        "pi-3: cordoned (unschedulable) [PS-302]. Next: kubectl uncordon pi-3",
        "benchmark_min_pis: 1 of 3 Pis is fit (pi-1), and 2 are wanted [PS-107]. Next: do what the lines "
        "above say, or set it lower",
    ]
    assert list(tmp_path.rglob("plan.json")) == []


@pytest.mark.fault(
    "node cordoned while it is measured, and two of three Pis are enough",
    "pi-3: cordoned (unschedulable); run …-2 went on without it (benchmark_min_pis: 2) "
    "[PS-302]. Next: kubectl uncordon pi-3",
    kept="trials, and a second run of the two",
    exit_code=0,
)
def test_a_pi_lost_amid_a_run_is_followed_by_a_run_of_those_that_remain(lab: Lab) -> None:
    playing = lab.start(
        "benchmark.yml", benchmark_rounds=5, benchmark_min_pis=2, benchmark_run_id="loses-one"
    )
    first, second = (playing.run_dir.parent / name for name in ("loses-one", "loses-one-2"))
    await_that(lambda: list(first.glob("trials/r001-*.json")), "a first round is measured")
    with cordoned(lab, "pi-3"):
        outcome = playing.end(within_seconds=120)
    assert outcome.exit_code == 0, outcome.output
    assert (
        outcome.output.count("\npi-3: cordoned (unschedulable); going on without it as run loses-one-2\n")
        == 1
    )
    assert warnings_of(outcome) == [
        "[WARNING]: pi-3: cordoned (unschedulable); run loses-one-2 went on without it (benchmark_min_pis: "
        "2) [PS-302]. Next: kubectl uncordon pi-3"
    ]
    # Both have reports, and no figure is of rounds of both.
    assert (outcome.run_dir.resolve().name, report_of(first)["pis"]) == ("loses-one-2", list(PIS))
    assert report_of(first)["progress"]["ending"]["kind"] == "failed"
    report = report_of(second)
    assert (report["pis"], [each["pi"] for each in report["left_out"]]) == (["pi-1", "pi-2"], ["pi-3"])
    assert report["progress"]["rounds_complete"] == 5
    assert {trial.run_id for trial in RunStore(second).trials()} == {"loses-one-2"}


def test_a_pod_that_does_not_end_on_a_pi_that_is_left_out_holds_nothing_up(
    lab: Lab, place: Place, direct: KubeClient
) -> None:
    endless = new_plan(place, samples=10**9, timeout_seconds=3)
    lines: list[str] = []
    first = driver(direct, place, endless)
    lab.kubectl("annotate", "node", "pi-3", f"{FAULT}=lost")
    try:
        assert first.run(slot_of(endless), 1).trial.outcome == "failed"
        lost = LeftOut(pi="pi-3", problem=Problem(code=Code.NODE_LOST, subject="pi-3", what="lost"))
        without = new_plan(place, pis=PIS[:2]).model_copy(update={"left_out": (lost,)})
        following = driver(direct, place, without, lines.append)
        following.prepare()
        stuck = [
            pod["spec"]["nodeName"]
            for pod in direct.list_all(place.pods)[0]
            if pod["metadata"]["labels"]["pi-speedup/run-id"] == endless.run_id
        ]
        assert stuck == ["pi-3"]
        assert following.run(slot_of(without), 1).trial.outcome == "ok"
    finally:
        lab.kubectl("annotate", "node", "pi-3", f"{FAULT}-")
    await_that(lambda: lab.is_ready("pi-3"), "pi-3 is back")
