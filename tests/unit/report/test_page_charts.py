"""The page's charts, read back from their SVG and compared with report.json and the trials' files."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from xml.etree import ElementTree

import pytest

from pi_speedup.catalogue import LANGUAGES, Catalogue
from pi_speedup.codes import Code
from pi_speedup.model.report import Report
from pi_speedup.problem import Problem
from pi_speedup.report.build import build_report
from pi_speedup.report.evidence import Contents
from pi_speedup.report.page.charts.chart import Chart
from pi_speedup.report.page.charts.every_trial import MOST_DOTS
from pi_speedup.report.page.charts.report import charts
from pi_speedup.report.page.trials import dots, typical_round
from tests.unit.report import factory

# In one process: what is made once is made for all of them.
pytestmark = pytest.mark.xdist_group("charts")

SVG = "{http://www.w3.org/2000/svg}"
Marks = list[dict[str, Any]]


def _failing(draft: factory.Draft) -> None:
    if draft.slot.round == 5 and not draft.base:
        draft.outcome, draft.problem = (
            "failed",
            Problem(code=Code.NODE_CORDONED, subject="pi-2", what="cordoned", next_step="uncordon"),
        )
    if draft.slot.round == 6 and draft.base:
        draft.outcome = "interrupted"


def _pulling(draft: factory.Draft) -> None:
    for worker in draft.workers:
        if draft.slot.cell.startswith("together"):
            worker.start, worker.pulled = 3.0, 2.0


RUNS: dict[str, Callable[[], Contents]] = {
    "a whole run": lambda: factory.contents(
        hosts=factory.hosts(factory.plan(), after={"temperature_celsius": 71.5})
    ),
    "a sweep": lambda: factory.contents(factory.plan(5, sweep=True)),
    "one Pi": lambda: factory.contents(factory.plan(1)),
    "one round": lambda: factory.contents(factory.plan(rounds=1)),
    "failed and interrupted": lambda: factory.contents(defect=_failing),
    "pulled images": lambda: factory.contents(defect=_pulling),
    "each Pi by itself": lambda: factory.contents(factory.plan(control_round=True, each_pi=True)),
    "clocks that are off": lambda: factory.contents(clocks={"pi-2": 0.7}),
}


def _drawn(contents: Contents) -> tuple[Report, dict[str, Chart]]:
    report = build_report(contents)
    return report, charts(report, contents.trials, Catalogue("en"))


@cache
def _run(name: str) -> tuple[Contents, Report, dict[str, Chart]]:
    contents = RUNS[name]()
    return contents, *_drawn(contents)


def marks_of(svg: str) -> Marks:
    """Return the data of all marks, numbers as numbers, with the place where each is drawn."""
    found = []
    for element in ElementTree.fromstring(svg).iter():
        data = {key[5:]: _value(text) for key, text in element.attrib.items() if key.startswith("data-")}
        if data:
            found.append({**data, "_x": element.get("x"), "_y": element.get("y"), "_d": element.get("d")})
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def both(chart: Chart, mark: str) -> Iterator[Marks]:
    """Give the marks of a kind in the narrow and in the wide drawing, which must tell the same."""
    for svg in (chart.narrow, chart.wide):
        yield [each for each in marks_of(svg) if each.get("mark") == mark]


@pytest.mark.parametrize("run", RUNS)
def test_speedup(run: str) -> None:
    _, report, found = _run(run)
    main = report.comparisons[0]
    assert main.speedup is not None
    points = [(len(report.pis), main.speedup)]
    if report.sweep is not None:
        points = [(point.pis, point.speedup) for point in report.sweep.points]
    wanted = [
        (
            pis,
            each.value,
            each.interval.low if each.interval else each.minimum,
            each.interval.high if each.interval else each.maximum,
        )
        for pis, each in points
    ]
    for marks in both(found["speedup"], "speedup"):
        assert [(m["pis"], m["value"], m["low"], m["high"]) for m in marks] == wanted
    rounds = [(each.round, each.value) for each in main.rounds]
    for marks in both(found["speedup"], "round"):
        assert [(m["round"], m["value"]) for m in marks] == (rounds if len(rounds) > 1 else [])


@pytest.mark.parametrize("run", RUNS)
def test_marks_stand_where_their_numbers_are(run: str) -> None:
    """Place is linear in the number: any two marks of one kind fix the scale, all others must fit it."""
    _, report, found = _run(run)
    # Several numbers of Pis are a curve, one is bars from the left.
    along = "_y" if report.sweep is not None else "_x"
    for svg in (found["speedup"].narrow, found["speedup"].wide):
        marks = marks_of(svg)
        linear([(m["value"], float(m[along])) for m in marks if m["mark"] in ("round", "speedup")])
        if along == "_x":
            bars = [m for m in marks if m["mark"] in ("one", "ideal")]
            assert [m["value"] for m in bars] == [1, len(report.pis)]
            linear([pair for m in bars for pair in zip((0, m["value"]), _edges(m), strict=True)])
    for marks in both(found["trials"], "trial"):
        for cell in {m["cell"] for m in marks}:
            linear([(m["seconds"], float(m["_y"])) for m in marks if m["cell"] == cell and "seconds" in m])
            linear([(m["round"], float(m["_x"])) for m in marks if m["cell"] == cell])
    for svg in (found["pis"].narrow, found["pis"].wide):
        linear([(m["rate"], float(m["_x"])) for m in marks_of(svg)])
    for marks in both(found["heat"], "heat") if "heat" in found else ():
        linear([(m["value"], float(m["_x"])) for m in marks])
    for marks in both(found["controls"], "control") if report.controls else ():
        linear([(m["ratio"], float(m["_x"])) for m in marks])


@pytest.mark.parametrize("run", RUNS)
def test_bars_end_where_their_numbers_are(run: str) -> None:
    _, _, found = _run(run)
    for svg in (found["ledger"].narrow, found["ledger"].wide):
        ends: list[tuple[float, float]] = []
        for mark in marks_of(svg):
            left, right = _edges(mark)
            if mark["mark"] == "factor":
                ends += [(min(mark["from"], mark["to"]), left), (max(mark["from"], mark["to"]), right)]
            else:
                ends += [(0.0, left), (mark["x"], right)]
        linear(ends)
    for svg in (found["wall"].narrow, found["wall"].wide):
        ends, now = [], 0.0
        for mark in marks_of(svg):
            left, right = _edges(mark)
            ends += [(now, left), (now + mark["seconds"], right)]
            now += mark["seconds"]
        linear(ends)
    for marks in both(found["timeline"], "phase"):
        linear([pair for m in marks for pair in zip((m["begin"], m["end"]), _edges(m), strict=True)])


def _edges(mark: dict[str, Any]) -> tuple[float, float]:
    """Return the left and the right edge of a bar."""
    numbers = [float(each) for each in re.findall(r"-?[0-9.]+", mark["_d"])]
    return min(numbers[::2]), max(numbers[::2])


def linear(pairs: list[tuple[float, float]]) -> None:
    """See that places are linear in their numbers: the outermost two fix the scale."""
    pairs = sorted(set(pairs))
    if len(pairs) < 3 or pairs[-1][0] == pairs[0][0]:
        return
    (a, at_a), (b, at_b) = pairs[0], pairs[-1]
    assert at_a != at_b
    for value, at in pairs:
        assert at == pytest.approx(at_a + (value - a) * (at_b - at_a) / (b - a), abs=0.03)


@pytest.mark.parametrize("run", RUNS)
def test_ledger_and_wall(run: str) -> None:
    _, report, found = _run(run)
    assert report.ledger is not None and report.comparisons[0].speedup is not None
    mean = report.ledger.mean
    for marks in both(found["ledger"], "factor"):
        assert {m["name"]: m["factor"] for m in marks} == {
            "alone_against_together": mean.alone_against_together,
            "balance": mean.balance,
            "starting_together": mean.starting_together,
        }
        now = float(len(report.pis))
        for mark in marks:
            assert (mark["from"], mark["to"]) == (pytest.approx(now), pytest.approx(now * mark["factor"]))
            now = mark["to"]
        assert now == pytest.approx(report.comparisons[0].speedup.value, rel=1e-9)
    for marks in both(found["ledger"], "measured"):
        assert [m["x"] for m in marks] == [report.comparisons[0].speedup.value]
    wall = report.ledger.wall
    assert wall is not None
    for marks in both(found["wall"], "step"):
        known = wall.model_dump(exclude={"wall"}, exclude_none=True)
        assert {m["name"]: m["seconds"] for m in marks} == known


@pytest.mark.parametrize("run", RUNS)
def test_every_trial_has_its_mark(run: str) -> None:
    _, report, found = _run(run)
    states = {"ok": ("counted", "uncounted"), "failed": ("failed",), "interrupted": ("interrupted",)}
    for marks in both(found["trials"], "trial"):
        assert sorted(m["name"] for m in marks) == sorted(row.name for row in report.trials)
        by_name = {m["name"]: m for m in marks}
        for row in report.trials:
            mark = by_name[row.name]
            assert (mark["round"], mark["cell"]) == (row.round, row.cell)
            assert mark["state"] in states[row.outcome]
            assert (mark["state"] == "counted") == row.counted
            if row.counted:
                assert mark["seconds"] == row.seconds
            assert ("seconds" in mark) == (row.outcome == "ok")


def test_a_trial_that_does_not_count_is_timed_as_those_that_do() -> None:
    contents = factory.contents(
        clocks={"pi-2": 0.7}, hosts=factory.hosts(factory.plan(), both={"clock_offset_seconds": 0.7})
    )
    report = build_report(contents)
    # As if its first round did not count: its times must come to what they were.
    rows = tuple(
        row.model_copy(update={"counted": False, "seconds": None}) if row.round == 1 else row
        for row in report.trials
    )
    again = dots(report.model_copy(update={"trials": rows}), contents.trials)
    was = {row.name: row.seconds for row in report.trials if row.round == 1}
    assert {d.row.name: d.seconds for d in again if d.row.round == 1} == pytest.approx(was, rel=1e-12)


def test_many_trials_are_drawn_together_and_none_is_lost() -> None:
    def slow(draft: factory.Draft) -> None:
        if draft.slot.round == 77 and draft.slot.cell == "alone":
            draft.workers[0].seconds *= 2

    report, found = _drawn(factory.contents(factory.plan(2, rounds=MOST_DOTS + 20), noise=0.01, defect=slow))
    for svg in (found["trials"].narrow, found["trials"].wide):
        marks = marks_of(svg)
        single = [m for m in marks if m["mark"] == "trial"]
        together = [m for m in marks if m["mark"] == "trials"]
        assert len(single) + sum(m["count"] for m in together) == len(report.trials)
        assert [m["round"] for m in single if m["cell"] == "alone" and m["seconds"] > 15] == [77]
        counted = [
            row.seconds
            for row in report.trials
            if row.counted and row.seconds is not None and row.cell == "alone"
        ]
        alone = [m for m in together if m["cell"] == "alone"]
        assert min(m["low"] for m in alone) >= min(counted) and max(m["high"] for m in alone) < max(counted)


@pytest.mark.parametrize("run", RUNS)
def test_pis_controls_and_heat(run: str) -> None:
    _, report, found = _run(run)
    for marks in both(found["pis"], "pi"):
        assert {m["pi"]: m["rate"] for m in marks} == {f.name: f.amount_per_second for f in report.pi_figures}
        for mark, figure in zip(marks, report.pi_figures, strict=True):
            share = figure.amount_per_second * figure.seconds.geometric_mean
            assert mark["low"] == pytest.approx(share / figure.seconds.maximum)
            assert mark["high"] == pytest.approx(share / figure.seconds.minimum)
    alone = {f.name: f.alone_amount_per_second for f in report.pi_figures}
    for marks in both(found["pis"], "pi-alone"):
        assert {m["pi"]: m["rate"] for m in marks} == {
            pi: rate for pi, rate in alone.items() if rate is not None
        }
    assert ("controls" in found) == bool(report.controls)
    for marks in both(found["controls"], "control") if report.controls else ():
        assert {m["name"]: m["ratio"] for m in marks} == {c.name: c.ratio for c in report.controls}
    known = {
        (host.name, when): state.temperature_celsius
        for host in report.hosts
        for when, state in (("before", host.before), ("after", host.after))
        if state is not None and state.temperature_celsius is not None
    }
    assert ("heat" in found) == bool(known)
    for marks in both(found["heat"], "heat") if known else ():
        assert {(m["pi"], m["when"]): m["value"] for m in marks} == known


def test_heat_and_clock_in_the_trials() -> None:
    def hot(draft: factory.Draft) -> None:
        for worker in draft.workers:
            worker.report.update(celsius=(50.0 + draft.slot.round, 61.5), megahertz=(1800.0, None))

    _, found = _drawn(factory.contents(defect=hot))
    for marks in both(found["heat"], "heat-reach"):
        assert {(m["pi"], m["low"], m["high"]) for m in marks} == {(f"pi-{n}", 50.0, 61.5) for n in (1, 2, 3)}
    for marks in both(found["clock"], "clock-reach"):
        assert {(m["pi"], m["low"], m["high"]) for m in marks} == {(f"pi-{n}", 1800, 1800) for n in (1, 2, 3)}


@pytest.mark.parametrize("run", RUNS)
def test_the_timeline_is_that_of_the_trials(run: str) -> None:
    contents, report, found = _run(run)
    typical = typical_round(report, contents.trials)
    assert typical is not None and report.comparisons[0].speedup is not None
    result = report.comparisons[0].speedup.value
    off = {each.round: abs(math.log(each.value / result)) for each in report.comparisons[0].rounds}
    assert off[typical.number] == min(off.values())
    counted = [row.name for row in report.trials if row.counted and row.round == typical.number]
    trials = [trial for trial in contents.trials if trial.name in counted]
    first = min(trial.started_epoch_ns for trial in trials)
    for marks in both(found["timeline"], "phase"):
        for trial in trials:
            offset = (trial.started_epoch_ns - first) / 1e9
            for worker in trial.workers:
                seen = worker.milestones
                drawn = {
                    m["phase"]: (m["begin"] - offset, m["end"] - offset)
                    for m in marks
                    if (m["cell"], m["pi"]) == (trial.slot.cell, worker.pi)
                }
                assert drawn["computing"] == pytest.approx((seen.started, seen.finished))
                ends = [seen.scheduled, seen.pulled, seen.started]
                begins = [seen.created, *(each for each in ends[:-1] if each is not None)]
                before = [drawn[phase] for phase in ("waiting", "pulling", "starting") if phase in drawn]
                assert [begin for begin, _ in before] == pytest.approx(begins)
                assert [end for _, end in before] == pytest.approx(
                    [each for each in ends if each is not None]
                )


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_chart_can_be_read_without_eyes_and_without_colour(language: str) -> None:
    contents = RUNS["a whole run"]()
    found = charts(build_report(contents), contents.trials, Catalogue(language))
    assert set(found) == {
        "speedup",
        "ledger",
        "wall",
        "trials",
        "pis",
        "timeline",
        "heat",
        "clock",
        "controls",
    }
    for chart in found.values():
        is_readable(chart)
    assert "pattern" in found["ledger"].wide and "pattern" in found["timeline"].wide


def is_readable(chart: Chart) -> None:
    """See that a chart has title, description and text, and no colour of its own."""
    for svg in (chart.narrow, chart.wide):
        root = ElementTree.fromstring(svg)
        title, description = root[0], root[1]
        assert (title.tag, title.text) == (f"{SVG}title", chart.title)
        assert (description.tag, description.text) == (f"{SVG}desc", chart.description)
        assert root.get("role") == "img"
        assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
        assert len(list(root.iter(f"{SVG}text"))) > 2, "text is text"
        # Colours come from the page, for light and for dark; nothing brings its own.
        for element in root.iter():
            assert "style" not in element.attrib
            assert element.get("fill", "none") == "none" or element.get("fill", "").startswith("url(#")
            assert element.get("stroke", "none") == "none"
