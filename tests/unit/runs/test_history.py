"""The history: which folders are runs, what each line says, and when a report.json is taken as it is."""

from __future__ import annotations

from pathlib import Path

from pi_speedup.model.base import load
from pi_speedup.model.compared import Past
from pi_speedup.report.build import build_report
from pi_speedup.runs.history import past, report_of, run_folders
from pi_speedup.store import RunStore
from tests.unit.report import factory


def test_each_run_is_found_and_nothing_else(tmp_path: Path) -> None:
    factory.write(tmp_path / "whole", factory.contents(factory.plan(rounds=1)))
    RunStore(tmp_path / "no-plan").write({"nodes.json": "{}", "hosts/pi-1.before.json": "{}"})
    (tmp_path / "latest").symlink_to("whole")
    (tmp_path / ".cleanup/private").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter-1.txt").write_text("")
    (tmp_path / "notes.txt").write_text("")
    assert [folder.name for folder in run_folders(tmp_path)] == ["no-plan", "whole"]
    assert run_folders(tmp_path / "none") == ()


def test_a_whole_run(tmp_path: Path) -> None:
    contents = factory.contents(factory.plan(caveat="virtual"))
    found, _ = past(factory.write(tmp_path / "x", contents))
    report = build_report(contents)
    first = report.comparisons[0]
    assert first.speedup is not None
    assert found == Past(
        run_id=factory.RUN,
        made_at="2026-11-24T07:15:30Z",
        pis=3,
        left_out=0,
        rounds_complete=7,
        rounds_planned=7,
        speedup=first.speedup.value,
        interval=first.speedup.interval,
        seconds=first.all_pis.seconds.geometric_mean,
        verdict=report.verdict.status,
        reasons=(),
        ending=None,
        caveat="virtual",
        problem=None,
    )


def test_a_run_that_stopped_says_why(tmp_path: Path) -> None:
    found, _ = past(factory.write(tmp_path / "x", factory.contents(rounds=3)))
    assert (found.rounds_complete, found.rounds_planned) == (3, 7)
    assert found.speedup is not None and found.interval is None
    assert found.ending is not None and found.ending.startswith("broken off before r004-00-")


def test_a_doubtful_run_says_what_was_found(tmp_path: Path) -> None:
    short = factory.contents(factory.plan(samples_per_process=1_000_000))
    found, _ = past(factory.write(tmp_path / "x", short))
    assert found.reasons == ("the shortest trial took 0.972 s (pi-2 in together-3 in round 5)",)


def test_a_run_without_a_round_has_no_figure(tmp_path: Path) -> None:
    found, _ = past(factory.write(tmp_path / "x", factory.contents(rounds=0)))
    assert (found.speedup, found.seconds, found.verdict) == (None, None, "none")


def test_a_run_that_cannot_be_read_is_still_a_run(tmp_path: Path) -> None:
    folder = factory.write(tmp_path / "x", factory.contents(factory.plan(rounds=1)))
    (folder / "trials/r001-00-alone.json").write_text("{\x1b[31m")
    found, _ = past(folder)
    assert found.run_id == "x" and found.verdict is None
    assert found.problem is not None and "r001-00-alone.json: not JSON" in found.problem
    RunStore(tmp_path / "y").write({"nodes.json": "{}"})
    assert past(tmp_path / "y")[0].problem == "it ended before it had a plan"


def test_a_run_is_judged_from_its_trials(tmp_path: Path) -> None:
    contents = factory.contents(factory.plan(rounds=1))
    folder = factory.write(tmp_path / "x", contents)
    forged = build_report(contents).model_copy(update={"caveat": "from report.json"})
    RunStore(folder).write({"report.json": forged})
    assert report_of(folder).caveat is None


def test_a_report_of_another_version_is_no_obstacle(tmp_path: Path) -> None:
    contents = factory.contents(factory.plan(rounds=1))
    folder = factory.write(tmp_path / "x", contents)
    RunStore(folder).write({"report.json": '{"schema_version": 0}'})
    assert report_of(folder) == build_report(contents)
    assert load(type(report_of(folder)), build_report(contents).text(), "x") == report_of(folder)
