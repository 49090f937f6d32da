"""A run that went well: one pod on each Pi, and a report that holds what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from testinfra.host import Host

PIS = {"pi-1", "pi-2", "pi-3"}


def test_each_pi_ran_one_pod_by_the_words_of_the_api(kubectl) -> None:
    pods = kubectl("get", "pods", "--namespace=pi-speedup")["items"]
    assert sorted(pod["spec"]["nodeName"] for pod in pods) == sorted(PIS)
    assert {pod["status"]["phase"] for pod in pods} == {"Succeeded"}


def test_the_namespace_holds_pods_to_the_restricted_level(kubectl) -> None:
    labels = kubectl("get", "namespace", "pi-speedup")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_report_is_valid_by_its_schema(latest_run: Path) -> None:
    schema = json.loads((Path(__file__).parents[3] / "src/pi_speedup/report.schema.json").read_text())
    jsonschema.validate(json.loads((latest_run / "report.json").read_text()), schema)


def test_the_report_repeats_what_the_workers_measured(latest_run: Path) -> None:
    report = json.loads((latest_run / "report.json").read_text())
    pods = [json.loads(path.read_text()) for path in sorted(latest_run.glob("results/pod-*.json"))]
    assert {pod["host"] for pod in pods} == PIS
    assert len({pod["worker"]["rng_seed"] for pod in pods}) == 3
    samples = sum(pod["worker"]["samples"] for pod in pods)
    inside = sum(pod["worker"]["inside"] for pod in pods)
    assert report["pi"]["estimate"] == pytest.approx(4 * inside / samples)


@pytest.mark.parametrize("name", ["report.md", "report.json"])
def test_the_caveat_stands_wherever_numbers_are(latest_run: Path, name: str) -> None:
    assert "virtual Pis: says nothing about real hardware" in (latest_run / name).read_text()


def test_each_pod_and_baseline_left_its_log(latest_run: Path) -> None:
    logs = {path.name: path.read_text() for path in latest_run.glob("logs/*.log")}
    assert len(logs) == 5
    assert all(text.startswith("Estimated Pi: 3.") for text in logs.values())


def test_the_runs_folder_is_private(control_host: Host, latest_run: Path) -> None:
    for path in [latest_run.resolve(), *latest_run.resolve().rglob("*")]:
        assert control_host.file(str(path)).mode == (0o700 if path.is_dir() else 0o600), path
