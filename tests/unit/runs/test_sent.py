"""A report that somebody sent: what was edited in it is found out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.cli.runs import find_report
from pi_speedup.codes import Code
from pi_speedup.problem import ProblemError
from pi_speedup.report.build import build_report
from tests.unit.report import factory

Edit = Callable[[dict[str, Any]], object]


def _compute(report: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = report["comparisons"][0]
    return found


EDITS: dict[str, tuple[Edit, str]] = {
    "the speedup": (lambda report: _compute(report)["speedup"].update(value=3.1), "compute figures"),
    "the interval": (
        lambda report: _compute(report)["speedup"]["interval"].update(statistical_low=2.95),
        "compute figures",
    ),
    "the time of all": (
        lambda report: _compute(report)["all_pis"]["seconds"].update(geometric_mean=5.0),
        "compute figures",
    ),
    "one round": (
        lambda report: _compute(report)["rounds"][2].update(all_pis_seconds=5.0),
        "compute figures",
    ),
    "a round that is gone": (lambda report: _compute(report)["rounds"].pop(), "compute figures"),
    "what a person waits for": (
        lambda report: report["comparisons"][1]["one_pi"]["seconds"].update(geometric_mean=99.0),
        "end_to_end figures",
    ),
    "the verdict": (lambda report: report["verdict"].update(status="sound", because=[]), "its verdict"),
}


@pytest.mark.parametrize(("edit", "words"), EDITS.values(), ids=EDITS)
def test_what_was_edited_is_refused(edit: Edit, words: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    # Doubtful: its trials are short.
    report = build_report(factory.contents(factory.plan(samples_per_process=1_000_000)))
    path.write_text(report.text())
    assert find_report(str(path), tmp_path) == report
    edited = json.loads(report.text())
    edit(edited)
    path.write_text(json.dumps(edited))
    with pytest.raises(ProblemError, match=words) as refused:
        find_report(str(path), tmp_path)
    assert refused.value.problem.code == Code.FILE_SPOILT
