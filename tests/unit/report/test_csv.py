"""report.csv: a row for each process, whatever the trials hold, and nothing in it that computes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from pi_speedup.catalogue import Catalogue
from pi_speedup.codes import Code
from pi_speedup.problem import Problem
from pi_speedup.report.build import build_report, report_files
from pi_speedup.report.csv_table import csv_text
from pi_speedup.report.evidence import Contents
from pi_speedup.workload.pi import Pi
from tests.unit.report import factory
from tests.unit.report.factory import Draft


def read(contents: Contents) -> list[dict[str, str]]:
    """Return the rows as a reader sees them."""
    return list(csv.DictReader(io.StringIO(_csv(contents))))


def _csv(contents: Contents) -> str:
    return csv_text(build_report(contents), contents.trials, Catalogue("en"))


def test_each_process_is_a_row_with_its_figures() -> None:
    plan = factory.plan(processes_per_pi=2, rounds=2, long_rounds=1)
    contents = factory.contents(plan)
    rows = read(contents)
    processes = [
        (trial, worker, told, number)
        for trial in contents.trials
        for worker in trial.workers
        for told in ([Pi().own(worker.report, worker.name)] if worker.report else [])
        for number in range(len(told.processes))
    ]
    assert len(rows) == len(processes) > 20
    for row, (trial, worker, told, number) in zip(rows, processes, strict=True):
        process = told.processes[number]
        assert (row["trial"], row["pi"], row["name"]) == (trial.name, worker.pi, worker.name)
        assert int(row["inside"]) == process.inside and int(row["end_epoch_ns"]) == process.end_epoch_ns
        assert float(row["samples_per_second"]) == pytest.approx(
            process.samples / process.duration_seconds, rel=1e-12
        )
        assert (row["stream"], row["process"]) == (told.streams[number], str(number))
        assert row["counted"] == ("no" if trial.slot.round == 0 else "yes")
    assert {row["process"] for row in rows} == {"0", "1"}
    assert rows[0]["pulled_seconds"] == rows[0]["celsius_after"] == ""


def _fails(draft: Draft) -> None:
    if draft.slot.round == 2 and not draft.base:
        draft.outcome = "failed"
        draft.problem = Problem(
            code=Code.POD_FAILED, subject="=cmd|'/c calc'!A1", what="two\nlines, and a comma"
        )


def test_a_trial_without_workers_is_a_row() -> None:
    rows = read(factory.contents(factory.plan(rounds=2, long_rounds=0), defect=_fails))
    (failed,) = [row for row in rows if row["outcome"] == "failed"]
    assert (failed["counted"], failed["pi"], failed["inside"]) == ("no", "", "")
    assert failed["problem"] == "'=cmd|'/c calc'!A1: two lines, and a comma [PS-521]"


def test_a_worker_without_a_result_is_a_row() -> None:
    contents = factory.contents(factory.plan(rounds=1, long_rounds=0))
    last = contents.trials[-1]
    hollow = last.model_copy(
        update={
            "outcome": "failed",
            "workers": tuple(worker.model_copy(update={"report": None}) for worker in last.workers),
        }
    )
    rows = read(Contents(contents.plan, (*contents.trials[:-1], hollow)))
    assert [row["pi"] for row in rows if row["outcome"] == "failed"] == [each.pi for each in last.workers]
    assert {row["stream"] for row in rows if row["outcome"] == "failed"} == {""}


def test_a_damaged_result_of_a_failed_trial_is_a_row_without_it() -> None:
    def damaged(draft: Draft) -> None:
        if draft.slot.round == 2:
            draft.outcome = "failed"
            draft.problem = Problem(code=Code.POD_FAILED, subject="pod 0", what="failed")

    plan = factory.plan(rounds=2, long_rounds=0)
    contents = factory.contents(plan, defect=damaged)
    whole = next(trial for trial in contents.trials if trial.outcome == "ok").workers
    assert whole[0].report is not None
    spoilt = whole[0].model_copy(update={"report": whole[0].report.model_copy(update={"stream": "../x"})})
    last = contents.trials[-1].model_copy(update={"workers": (spoilt,)})
    (row,) = [row for row in read(Contents(plan, (*contents.trials[:-1], last))) if row["trial"] == last.name]
    assert (row["pi"], row["process"], row["stream"], row["inside"]) == (spoilt.pi, "0", "", "")


@pytest.mark.parametrize("sign", "=+-@")
def test_what_a_spreadsheet_would_compute_is_text(sign: str) -> None:
    def defect(draft: Draft) -> None:
        for worker in draft.workers:
            worker.image = f"{sign}1+1"

    assert {row["image"] for row in read(factory.contents(defect=defect))} == {f"'{sign}1+1"}


def test_it_is_one_of_the_files(tmp_path: Path) -> None:
    contents = factory.contents()
    files = report_files(factory.write(tmp_path / "run", contents))
    assert files["report.csv"] == _csv(contents)
    assert "\r" not in files["report.csv"]
