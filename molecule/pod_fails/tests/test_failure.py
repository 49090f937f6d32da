"""A pod that exits with 1: named with its Pi and its last words, and nothing measured is lost."""

from __future__ import annotations

import json
import re
from pathlib import Path


def test_one_line_names_the_pod_its_pi_and_the_cause(output: str) -> None:
    assert re.search(r"pod 1 on pi-[123].*exit code 1.*the worker's last words.*Next: ", output)


def test_the_words_of_a_pod_cannot_colour_the_terminal(output: str) -> None:
    assert "\x1b" not in output


def test_what_the_other_pods_measured_is_on_disk(latest_run: Path) -> None:
    assert {path.name for path in latest_run.glob("results/*.json")} == {"pod-0.json", "pod-2.json"}


def test_the_log_of_the_failed_pod_is_on_disk(latest_run: Path) -> None:
    failed = [path for path in latest_run.glob("logs/*.log") if "the worker's last words" in path.read_text()]
    assert len(failed) == 1


def test_the_job_is_recorded_as_failed(latest_run: Path) -> None:
    assert json.loads((latest_run / "job.json").read_text())["outcome"] == "failed"


def test_no_speedup_is_made_of_a_failed_run(latest_run: Path) -> None:
    assert not (latest_run / "report.json").exists()


def test_no_traceback_is_shown(output: str) -> None:
    assert "Traceback" not in output
