"""A run that went well: a pod on each Pi in each trial of all, and a report that holds what was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from testinfra.host import Host

PIS = {"pi-1", "pi-2", "pi-3"}
PROJECT = Path(__file__).parents[3]


@pytest.fixture(name="report")
def fixture_report(latest_run: Path) -> Any:
    return json.loads((latest_run / "report.json").read_text())


def test_every_trial_of_the_plan_went_well(latest_run: Path, trials: list[dict[str, Any]]) -> None:
    plan = json.loads((latest_run / "plan.json").read_text())
    planned = [(number, cell) for number, cells in enumerate(plan["order"]) for cell in cells]
    assert [(trial["slot"]["round"], trial["slot"]["cell"]) for trial in trials] == planned
    assert {trial["outcome"] for trial in trials} == {"ok"}


def test_each_pi_ran_one_pod_of_each_job(trials: list[dict[str, Any]]) -> None:
    jobs = [trial["workers"] for trial in trials if trial["slot"]["cell"] == "together-3"]
    assert jobs
    for workers in jobs:
        assert sorted(worker["pi"] for worker in workers) == sorted(PIS)
        assert {worker["runtime"] for worker in workers} == {"kubernetes"}


def test_the_namespace_holds_pods_to_the_restricted_level(kubectl: Callable[..., Any]) -> None:
    labels = kubectl("get", "namespace", "pi-speedup")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_report_is_valid_by_its_schema(report: Any) -> None:
    (schema,) = (PROJECT / "src/pi_speedup").rglob("report.schema.json")
    jsonschema.validate(report, json.loads(schema.read_text()))


def test_the_report_repeats_what_the_workers_measured(report: Any, trials: list[dict[str, Any]]) -> None:
    accounts = [
        process
        for trial in trials
        if trial["slot"]["cell"] == "together-3" and trial["slot"]["round"] > 0
        for worker in trial["workers"]
        for process in worker["report"]["processes"]
    ]
    assert len({account["rng_seed"] for account in accounts}) == len(accounts) >= 3
    samples = sum(account["samples"] for account in accounts)
    inside = sum(account["inside"] for account in accounts)
    assert report["result"]["samples"] == samples
    assert report["result"]["estimate"] == pytest.approx(4 * inside / samples)


@pytest.mark.parametrize("name", ["report.md", "report.json"])
def test_the_caveat_stands_wherever_numbers_are(latest_run: Path, name: str) -> None:
    assert "virtual Pis: says nothing about real hardware" in (latest_run / name).read_text()


def test_the_logs_are_those_of_the_warm_up_and_of_the_pi_alone(
    latest_run: Path, trials: list[dict[str, Any]]
) -> None:
    # The other pods' termination messages hold all that their logs would.
    logged = [trial for trial in trials if not (trial["slot"]["round"] and len(trial["workers"]) > 1)]
    logs = [path.read_text() for path in latest_run.glob("logs/*/*.log")]
    assert len(logs) == sum(len(trial["workers"]) for trial in logged) > 3
    assert all(text.startswith("Estimated Pi: 3.") for text in logs)


def test_the_runs_folder_is_private(control_host: Host, latest_run: Path) -> None:
    for path in [latest_run.resolve(), *latest_run.resolve().rglob("*")]:
        assert control_host.file(str(path)).mode == (0o700 if path.is_dir() else 0o600), path
