"""A pod that exits with 1: named with its Pi and its last words, and nothing measured is lost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(name="failed")
def fixture_failed(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """The trial that failed, which is the last one that there is."""
    (failed,) = [trial for trial in trials if trial["outcome"] == "failed"]
    return failed


@pytest.mark.fault("exit 1 in one of three pods")
def test_one_line_names_the_pod_its_pi_and_the_cause(output: str) -> None:
    last = output.strip().splitlines()[-1]
    for words in (r"pod 1\b", r"pi-[123]", "exit code 1", "the worker's last words", "Next: "):
        assert re.search(words, last), last


@pytest.mark.fault(
    "terminal codes in a log",
    'pod 1 on pi-2: exit code 1, Error; its last log line: "[2Jred" [PS-521]. Next: read the pod\'s log …',
    kept="trials",
)
def test_the_words_of_a_pod_cannot_colour_the_terminal(output: str) -> None:
    assert "\x1b" not in output


@pytest.mark.fault(
    "Jinja in a log",
    "pod 1 on pi-2: exit code 1, Error; its last log line: \"the worker's last words {{ "
    "7*7 }} [31m\" [PS-521]. Next: read the pod's log …",
    kept="trials",
)
def test_the_words_of_a_pod_are_not_a_template(output: str) -> None:
    assert "the worker's last words {{ 7*7 }}" in output.strip().splitlines()[-1]


def test_what_the_other_pods_measured_is_on_disk(failed: dict[str, Any]) -> None:
    measured = [worker["report"] for worker in failed["workers"] if worker["report"]]
    assert {report["completion_index"] for report in measured} == {0, 2}


def test_the_log_of_the_failed_pod_is_on_disk(latest_run: Path) -> None:
    logs = [path.read_text() for path in latest_run.glob("logs/*/*.log")]
    assert len([text for text in logs if "the worker's last words" in text]) == 1


def test_it_was_not_tried_again(failed: dict[str, Any]) -> None:
    assert (failed["attempt"], failed["passes_by_itself"]) == (1, False)


def test_no_speedup_is_made_of_a_failed_trial(latest_run: Path) -> None:
    path = latest_run / "report.json"
    assert not path.exists() or '"comparisons": []' in path.read_text()


def test_no_traceback_is_shown(output: str) -> None:
    assert "Traceback" not in output
