"""The pages of several runs: their words and tables, and their charts read back from the SVG."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pytest

from pi_speedup.catalogue import LANGUAGES, Catalogue
from pi_speedup.codes import Code
from pi_speedup.model.base import load
from pi_speedup.model.compared import Compared, History, Past
from pi_speedup.model.report import Estimate, Report
from pi_speedup.problem import Problem
from pi_speedup.report.build import build_report
from pi_speedup.report.page.charts.chart import ends_of
from pi_speedup.runs.charts import MOST_RUNS, SIDES, compared_charts, history_charts
from pi_speedup.runs.compare import compare, margin_ends, rate_estimate, rounds_of
from pi_speedup.runs.history import past_of
from pi_speedup.runs.page import compared_page, history_page
from tests.unit.report import factory
from tests.unit.report.test_page import Document, asks_nobody_and_runs_nothing, is_well_made
from tests.unit.report.test_page_charts import both, is_readable, linear

# In one process: what is made once is made for all of them.
pytestmark = pytest.mark.xdist_group("pages of runs")


def report(run_id: str, hour: int, faster: float = 1.0, **how: Any) -> Report:
    """Return the report of a run on Pis that are so much faster."""
    rounds, defect = how.pop("only_rounds", None), how.pop("defect", None)
    plan = factory.plan(**how).model_copy(
        update={"run_id": run_id, "made_at": f"2026-11-25T{hour:02d}:00:00Z"}
    )
    old, factory.RATE = factory.RATE, factory.RATE * faster
    try:
        return build_report(factory.contents(plan, seed=hour, rounds=rounds, defect=defect))
    finally:
        factory.RATE = old


def _starved(draft: factory.Draft) -> None:
    for worker in draft.workers:
        worker.cpu_share = 0.5


def _failing(draft: factory.Draft) -> None:
    draft.outcome = "failed"
    draft.problem = Problem(
        code=Code.NODE_CORDONED, subject="pi-2", what="cordoned", next_step="kubectl uncordon pi-2"
    )


@cache
def reports() -> dict[str, Report]:
    """Return the reports of runs of each kind."""
    found = (
        report("before", 1),
        report("again", 2),
        report("cooled", 3, faster=1.1),
        report("warmer", 4, faster=0.9),
        report("starved", 5, defect=_starved, caveat="virtual Pis"),
        report("few", 6, only_rounds=3),
        report("failed", 7, defect=_failing),
        report("short", 8, samples_per_process=5_000_000),
    )
    return {each.run_id: each for each in found}


def _unread(run_id: str) -> Past:
    nothing = dict.fromkeys(Past.model_fields)
    known = {"run_id": run_id, "reasons": (), "problem": "it ended before it had a plan"}
    return Past(**{**nothing, **known})  # type: ignore[arg-type]


@cache
def some_history() -> tuple[History, tuple[Estimate | None, ...]]:
    """Return all runs, one that cannot be read among them, and their rates."""
    known = [(past_of(each), rate_estimate(each)) for each in reports().values()]
    runs = [(_unread("no-plan"), None), *known]
    return History(runs=tuple(run for run, _ in runs)), tuple(rate for _, rate in runs)


COMPARED = {
    "faster": ("before", "cooled"),
    "slower": ("before", "warmer"),
    "equal": ("before", "again"),
    "no_evidence": ("before", "few"),
    "not_comparable": ("before", "short"),
}
NO_ROUND = ("before", "failed")


def compared(a: str, b: str) -> tuple[Compared, Report, Report]:
    """Return B against A, and both."""
    one, other = reports()[a], reports()[b]
    return compare(one, other), one, other


def _text(page: str) -> str:
    return " ".join(" ".join(data for tag, data in Document(page).texts if tag != "script").split())


@pytest.mark.parametrize("language", LANGUAGES)
def test_history_has_a_page_in_every_language(language: str) -> None:
    history, rates = some_history()
    page = history_page(history, rates, Catalogue(language))
    is_well_made(page, language)
    asks_nobody_and_runs_nothing(page)
    assert load(History, Document(page).inside("script"), "the page") == history


def test_a_history_of_nothing_has_a_page() -> None:
    page = history_page(History(runs=()), (), Catalogue("en"))
    is_well_made(page, "en")
    assert "There are no runs yet." in _text(page)


def test_history_lists_every_run() -> None:
    page = history_page(*some_history(), Catalogue("en"))
    shown = _text(page)
    for run in some_history()[0].runs:
        assert f" {run.run_id} " in shown
        if run.speedup is not None:
            assert f" {run.speedup:.2f} " in shown
        if run.interval is not None:
            assert f" {run.interval.low:.2f} to {run.interval.high:.2f} " in shown
    assert "it ended before it had a plan" in shown
    assert "stopped by pi-2: cordoned" in shown
    assert "starved: virtual Pis" in shown


def test_history_draws_every_figure_with_its_interval() -> None:
    history, rates = some_history()
    found = history_charts(history.runs, rates, Catalogue("en"))
    assert set(found) == {"rate", "speedup"}
    for chart in found.values():
        is_readable(chart)
    for marks in both(found["speedup"], "speedup"):
        assert [m["run"] for m in sorted(marks, key=lambda m: float(m["_x"]))] == [
            run.run_id for run in history.runs
        ]
        by_run = {m["run"]: m for m in marks}
        for run in history.runs:
            mark = by_run[run.run_id]
            assert mark.get("y") == run.speedup
            ends = (run.interval.low, run.interval.high) if run.interval else (None, None)
            assert (mark.get("low"), mark.get("high")) == ends
            assert mark["state"] == ("none" if run.speedup is None else run.verdict)
        linear([(m["y"], float(m["_y"])) for m in marks if "y" in m])
        lowest = max(float(m["_y"]) for m in marks if "y" in m)
        assert all(float(m["_y"]) > lowest for m in marks if "y" not in m), "stands below every figure"
    for marks in both(found["rate"], "rate"):
        drawn = {m["run"]: (m.get("y"), m.get("low"), m.get("high")) for m in marks}
        for run, rate in zip(history.runs, rates, strict=True):
            figure = rate.value * 1e-6 if rate else None
            known = rate.interval if rate else None
            ends = (known.low * 1e-6, known.high * 1e-6) if known else (None, None)
            assert drawn[run.run_id] == (figure, *ends)


def test_a_long_history_shows_the_newest_in_its_charts_and_all_in_its_table() -> None:
    run, rate = past_of(reports()["before"]), rate_estimate(reports()["before"])
    runs = tuple(run.model_copy(update={"run_id": f"run-{place}"}) for place in range(MOST_RUNS + 50))
    page = history_page(History(runs=runs), [rate] * len(runs), Catalogue("en"))
    assert "The charts show the newest 200 runs; the table has all." in _text(page)
    assert sum(tag == "tr" for tag, _ in Document(page).elements) == len(runs) + 1
    for marks in both(history_charts(runs, [rate] * len(runs), Catalogue("en"))["speedup"], "speedup"):
        assert [m["run"] for m in marks] == [each.run_id for each in runs[-MOST_RUNS:]]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("a", "b"), [*COMPARED.values(), NO_ROUND], ids=[*COMPARED, "no round"])
def test_two_runs_have_a_page_in_every_language(a: str, b: str, language: str) -> None:
    found, one, other = compared(a, b)
    page = compared_page(found, one, other, Catalogue(language))
    is_well_made(page, language)
    asks_nobody_and_runs_nothing(page)
    assert load(Compared, Document(page).inside("script"), "the page") == found


WORDS = {
    "faster": ("B is faster", "more samples a second than A"),
    "slower": ("B is slower", "fewer samples a second than A"),
    "equal": ("No difference", "within the margin of 3%"),
    "no_evidence": ("No evidence of a difference", "few has 3 rounds, and a comparison needs 5 rounds."),
    "not_comparable": ("Not comparable", "samples of a process 10,000,000 and 5,000,000"),
}


@pytest.mark.parametrize("outcome", COMPARED)
def test_the_answer_stands_first(outcome: str) -> None:
    found, one, other = compared(*COMPARED[outcome])
    assert found.outcome == outcome
    shown = _text(compared_page(found, one, other, Catalogue("en")))
    first = shown[: shown.index("Both runs")]
    assert all(words in first for words in WORDS[outcome])
    if outcome in ("faster", "slower", "equal"):
        assert found.together is not None and found.together.low is not None
        low, high = (
            f"{end:+.1f}%".replace("-", "\N{MINUS SIGN}") for end in (found.together.low, found.together.high)
        )
        assert f"95% interval of the change: {low} to {high}" in first
    else:
        assert "95% interval" not in first
    for side in (found.a, found.b):
        assert side.together_seconds is not None and f"{side.together_seconds:.2f} s" in shown


def test_what_cannot_be_compared_is_not_drawn() -> None:
    found, one, other = compared(*COMPARED["not_comparable"])
    assert "<svg" not in compared_page(found, one, other, Catalogue("en"))
    allowed = compare(one, other, despite=["amount"])
    page = compared_page(allowed, one, other, Catalogue("en"))
    assert "<svg" in page
    assert "Compared despite samples of a process 10,000,000 and 5,000,000" in _text(page)
    assert "compare before short --despite amount" in _text(page)


def test_a_caveat_and_a_doubt_are_said() -> None:
    found, one, other = compared("before", "starved")
    shown = _text(compared_page(found, one, other, Catalogue("en")))
    assert "B: virtual Pis" in shown
    assert "got 0.50 of its 1.00 cores and 30 more. Something else may have used the Pi" in shown


@pytest.mark.parametrize("outcome", ["faster", "slower", "equal", "no_evidence"])
def test_two_runs_are_drawn_as_they_were_measured(outcome: str) -> None:
    found, one, other = compared(*COMPARED[outcome])
    charts = compared_charts(found, one, other, Catalogue("en"))
    assert set(charts) == {"change", "sides"}
    for chart in charts.values():
        is_readable(chart)
    assert found.together is not None and found.alone is not None
    for marks in both(charts["change"], "change"):
        assert [(m["side"], m["percent"], m.get("low"), m.get("high")) for m in marks] == [
            (side, change.percent, change.low, change.high)
            for side, change in (("together", found.together), ("alone", found.alone))
        ]
    for marks in both(charts["change"], "margin"):
        assert {(m["low"], m["high"]) for m in marks} == {margin_ends(found.margin)}
    for marks in both(charts["sides"], "rate"):
        drawn = {(m["run"], m["side"]): (m["rate"], m["low"], m["high"]) for m in marks}
        assert len(drawn) == 4
        for name, report_ in (("A", one), ("B", other)):
            for side in SIDES:
                rate = rate_estimate(report_, side)
                assert rate is not None
                low, high = ends_of(rate)
                assert drawn[name, side] == (rate.value, low, high)
        for side in SIDES:
            linear([(m["rate"], float(m["_x"])) for m in marks if m["side"] == side])
    for marks in both(charts["sides"], "round"):
        drawn_rounds = {(m["run"], m["side"], m["round"]): m["rate"] for m in marks}
        assert drawn_rounds == {
            (name, side, number): rate
            for name, report_ in (("A", one), ("B", other))
            for side in SIDES
            for number, rate in rounds_of(report_, side)
        }


def test_a_rate_is_the_samples_over_the_time_with_an_interval_of_its_rounds() -> None:
    found = reports()["before"]
    rate, compute = rate_estimate(found), found.comparisons[0]
    assert rate is not None and rate.interval is not None
    assert rate.value == pytest.approx(compute.all_pis.amount / compute.all_pis.seconds.geometric_mean)
    assert rate.interval.low < rate.value < rate.interval.high
    assert rate.interval.low * rate.interval.high == pytest.approx(rate.value**2, rel=1e-9)
    alone = rate_estimate(found, "alone")
    assert alone is not None
    assert alone.value == pytest.approx(compute.one_pi.amount / compute.one_pi.seconds.geometric_mean)
    few = rate_estimate(reports()["few"])
    assert few is not None and few.interval is None and few.minimum < few.value < few.maximum
    assert rate_estimate(reports()["failed"]) is None


def test_the_margin_is_as_far_on_both_sides() -> None:
    found, _, _ = compared("before", "again")
    low, high = margin_ends(found.margin)
    assert high == pytest.approx(found.margin.percent)
    assert math.log1p(low / 100) == pytest.approx(-math.log1p(high / 100))
