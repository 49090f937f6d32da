"""Charts of several runs: figures over time, and two runs against each other. Imports matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.compared import Change, Compared, Past
from pi_speedup.model.report import Estimate, Report
from pi_speedup.report.page.charts.chart import HERO, NARROW, Chart, ends_of, finished, widen
from pi_speedup.report.page.charts.every_trial import MOST_DOTS
from pi_speedup.report.page.sheet import (
    ACCENT,
    BAD,
    INK,
    LINE,
    MUTED,
    PAPER,
    SECOND,
    SOFT,
    Sheet,
    drawing,
    panel_title,
    row_label,
)
from pi_speedup.report.page.svg import Data
from pi_speedup.runs.compare import margin_ends, rate_estimate, rounds_of
from pi_speedup.text import one_line

# Further back one sees nothing in a chart; the table has all.
MOST_RUNS = 200
SIDES: tuple[Literal["together", "alone"], ...] = ("together", "alone")
_MARKERS = {"sound": "o", "doubtful": "o", "invalid": "X", "none": "^"}
_FILLS = {"sound": ACCENT, "doubtful": PAPER, "invalid": BAD, "none": PAPER}
_EDGES = {"sound": ACCENT, "doubtful": ACCENT, "invalid": BAD, "none": BAD}


@dataclass(frozen=True, slots=True)
class _Point:
    """A run in a chart over time: its place, and its figure with the ends of its interval, if it has them."""

    place: int
    run: Past
    value: float | None
    low: float | None
    high: float | None

    @property
    def state(self) -> str:
        """How far its figure can be believed; `none` where there is none."""
        return "none" if self.value is None else str(self.run.verdict)


def history_charts(
    runs: Sequence[Past], rates: Sequence[Estimate | None], words: Catalogue
) -> dict[str, Chart]:
    """Return the charts of the newest runs by name; `rates` are how much a second all Pis did."""
    runs, rates = runs[-MOST_RUNS:], rates[-MOST_RUNS:]
    over_time = []
    for place, (run, rate) in enumerate(zip(runs, rates, strict=True)):
        known = rate.interval if rate else None
        ends = (words.on_axis(known.low), words.on_axis(known.high)) if known else (None, None)
        over_time.append(_Point(place, run, words.on_axis(rate.value) if rate else None, *ends))
    speedups = [
        _Point(
            place,
            run,
            run.speedup,
            run.interval.low if run.interval else None,
            run.interval.high if run.interval else None,
        )
        for place, run in enumerate(runs)
    ]
    with drawing():
        found = [
            chart
            for name, points, digits in (("rate", over_time, 3), ("speedup", speedups, 2))
            if (chart := _over_time(name, points, words, digits)) is not None
        ]
    return {chart.name: chart for chart in found}


def compared_charts(found: Compared, a: Report, b: Report, words: Catalogue) -> dict[str, Chart]:
    """Return the charts of two runs by name."""
    with drawing():
        made = (_change_chart(found, words), _sides_chart(a, b, words))
    return {chart.name: chart for chart in made if chart is not None}


def _over_time(name: str, points: Sequence[_Point], words: Catalogue, digits: int) -> Chart | None:
    """Draw a figure of each run in the order of time; runs without one stand at the bottom."""
    with_figure = [point for point in points if point.value is not None]
    if not with_figure:
        return None

    def said(point: _Point) -> str:
        verdict = words(f"outcome.{point.run.verdict or 'unread'}")
        if point.value is None:
            return words("history.mark_none", run=point.run.run_id, verdict=verdict)
        figure = words.number(point.value, digits)
        if point.low is not None and point.high is not None:
            ends = words.span(words.number(point.low, digits), words.number(point.high, digits))
            figure = words("history.with_interval", figure=figure, ends=ends)
        return words("history.mark", run=point.run.run_id, figure=figure, verdict=verdict)

    states = [state for state in _MARKERS if any(point.state == state for point in points)]

    def draw(width: float) -> Sheet:
        narrow = width == NARROW
        bars = any(point.low is not None for point in points)
        entries = len(states) + bars
        head = 22 * (entries if narrow else (entries + 1) // 2) + 10
        sheet = Sheet(width, head + (210 if narrow else 270) + 56)
        axes = sheet.axes(66, head, 16, 56)
        axes.set_xlim(-0.6, max(len(points), 2) - 0.4)
        values = [value for p in points for value in (p.value, p.low, p.high) if value is not None]
        low, high = min(values), max(values)
        # A twentieth at least, so that noise of a thousandth does not look like a storm.
        room = max(0.12 * (high - low), 0.025 * high)
        missing = 0.12 * (high - low + 2 * room) if "none" in states else 0.0
        floor = low - room - missing
        axes.set_ylim(floor, high + room)
        axes.grid(axis="y", color=LINE, linewidth=1)
        ticks = _some_places(len(points), 3 if narrow else 7)
        axes.set_xticks(ticks, [_day(points[place].run, words) for place in ticks])
        with_bar = [(p.place, p.low, p.high) for p in with_figure if p.low is not None and p.high is not None]
        if with_bar:
            places, lows, highs = ([each[part] for each in with_bar] for part in range(3))
            axes.vlines(places, lows, highs, color=INK, linewidth=1.5)
            for ends in (lows, highs):
                axes.scatter(places, ends, marker="_", s=50, color=INK, linewidths=1.5)
        for state in states:
            some = [point for point in points if point.state == state]
            drawn = axes.scatter(
                [point.place for point in some],
                [floor if point.value is None else point.value for point in some],
                s=64,
                marker=_MARKERS[state],
                facecolors=_FILLS[state],
                edgecolors=_EDGES[state],
                linewidths=0.5 if state == "invalid" else 1.5,
                clip_on=False,
                zorder=4,
            )
            sheet.mark(drawn, [(_run_data(name, point), said(point)) for point in some])
        axes.set_xlabel(words("history.x"), color=MUTED, labelpad=6)
        axes.set_ylabel(words(f"history.{name}_y"), color=MUTED, labelpad=8)
        handles = [
            Line2D(
                [],
                [],
                marker=_MARKERS[state],
                linestyle="",
                markerfacecolor=_FILLS[state],
                markeredgecolor=_EDGES[state],
                markeredgewidth=1.5,
                markersize=7,
                label=words(f"outcome.{state}"),
            )
            for state in states
        ]
        if bars:
            handles.append(Line2D([], [], color=INK, linewidth=2, label=words("history.interval")))
        sheet.legend(handles, 1 if narrow else 2)
        return sheet

    values = [point.value for point in with_figure if point.value is not None]
    description = words(
        f"history.{name}_desc",
        count=words.count("run", len(with_figure)),
        low=words.number(min(values), digits),
        high=words.number(max(values), digits),
        last=said(with_figure[-1]),
    )
    return finished(name, words(f"history.{name}_title"), description, draw)


def _change_chart(found: Compared, words: Catalogue) -> Chart | None:
    """Draw by how much run B was faster, and within which margin that would be no difference."""
    changes = [(side, change) for side in SIDES if (change := getattr(found, side)) is not None]
    if not changes:
        return None
    least, most = margin_ends(found.margin)
    said = []
    for side, change in changes:
        range_ = ""
        if change.low is not None and change.high is not None:
            range_ = words.span(words.change(change.low), words.change(change.high))
        name = words(f"compare.{side}", pis=words.count("pi", len(found.b.pis)))
        figure = words.change(change.percent)
        said.append(
            words("compare.change_mark", name=name, figure=figure, range=range_)
            if range_
            else words("compare.change_mark_none", name=name, figure=figure)
        )

    def draw(width: float) -> Sheet:
        row, head = 72, 54
        sheet = Sheet(width, head + row * len(changes) + 48)
        axes = sheet.axes(8, head, 8, 48)
        axes.set_ylim(len(changes), 0)
        axes.set_yticks([])
        axes.grid(axis="x", color=LINE, linewidth=1)
        for place, (side, change) in enumerate(changes):
            row_label(
                axes, place + 0.26, said[place], bold=side == "together", size=12 if width == NARROW else 13
            )
            top, at, bottom = place + 0.44, place + 0.68, place + 0.92
            band = Rectangle((least, top), most - least, bottom - top, facecolor=SOFT, linewidth=0)
            axes.add_patch(band)
            sheet.mark(
                band,
                [({"mark": "margin", "low": least, "high": most}, words("compare.margin_mark"))],
            )
            axes.plot([0, 0], [top, bottom], color=MUTED, linewidth=1.5, linestyle=(0, (4, 2)))
            if change.low is not None and change.high is not None:
                axes.plot(
                    [change.low, change.high], [at, at], color=INK, linewidth=2, marker="|", markersize=14
                )
            decides = side == "together"
            dot = axes.plot(
                [change.percent],
                [at],
                "o",
                color=ACCENT,
                markerfacecolor=ACCENT if decides else PAPER,
                markersize=11 if decides else 8,
                markeredgewidth=1.5,
            )[0]
            data: Data = {"mark": "change", "side": side, "percent": change.percent, **_ends_data(change)}
            sheet.mark(dot, [(data, said[place])])
        values = [v for _, c in changes for v in (c.low, c.high, c.percent) if v is not None]
        reach = 1.1 * max(abs(value) for value in (*values, least, most, 1.0))
        axes.set_xlim(
            min([-0.25 * reach, *values, 1.25 * least]) - 0.04 * reach,
            max([0.25 * reach, *values, 1.25 * most]) + 0.04 * reach,
        )
        for x, align, key in ((0.0, "left", "slower"), (1.0, "right", "faster")):
            axes.annotate(
                words(f"compare.{key}_side"),
                (x, 1),
                (0, 8),
                xycoords="axes fraction",
                textcoords="offset points",
                color=MUTED,
                ha=align,
            )
        axes.set_xlabel(words("compare.change_x"), color=MUTED, labelpad=6)
        sheet.legend([Patch(facecolor=SOFT, label=words("compare.margin_mark"))])
        return sheet

    description = words(
        "compare.change_desc", changes=words.listed(said), margin=words.percent(found.margin.percent / 100)
    )
    return finished("change", words("compare.change_title"), description, draw, HERO)


def _sides_chart(a: Report, b: Report, words: Catalogue) -> Chart | None:
    """Draw the rounds of both runs and their means: all Pis together, and one alone."""
    sides = {
        side: [
            (name, report, estimate)
            for name, report in (("A", a), ("B", b))
            if (estimate := rate_estimate(report, side))
        ]
        for side in SIDES
    }
    if not sides["together"]:
        return None
    dots = all(len(rounds_of(report, "together")) <= MOST_DOTS for report in (a, b))

    def said(name: str, report: Report, side: str, estimate: Estimate) -> str:
        low, high = ends_of(estimate)
        return words(
            "compare.rate_mark",
            name=name,
            run=report.run_id,
            side=words(f"compare.{side}", pis=words.count("pi", len(report.pis))),
            rate=words.rate(estimate.value),
            low=words.rate_number(low),
            high=words.rate_number(high),
        )

    every = [said(name, report, side, estimate) for side in SIDES for name, report, estimate in sides[side]]
    whole = all(estimate.interval is not None for side in SIDES for _, _, estimate in sides[side])

    def draw(width: float) -> Sheet:
        panel, head = 156, 56 if dots else 32
        sheet = Sheet(width, head + panel * len(SIDES) + 22)
        for place, side in enumerate(SIDES):
            top = head + panel * place + 24
            axes = sheet.axes(24, top, 16, sheet.height - (head + panel * (place + 1)) + 32)
            axes.set_ylim(1.5, -0.5)
            axes.set_yticks([0, 1], ["A", "B"])
            axes.tick_params(axis="y", labelcolor=INK)
            axes.grid(axis="x", color=LINE, linewidth=1)
            panel_title(axes, words(f"compare.{side}", pis=words.count("pi", len(b.pis))))
            values = []
            for name, report, estimate in sides[side]:
                at = "AB".index(name)
                low, high = ends_of(estimate)
                values += [words.on_axis(low), words.on_axis(high)]
                if dots:
                    rounds = rounds_of(report, side)
                    values += [words.on_axis(rate) for _, rate in rounds]
                    spread = axes.scatter(
                        [words.on_axis(rate) for _, rate in rounds],
                        [at + 0.26] * len(rounds),
                        s=22,
                        facecolors=PAPER,
                        edgecolors=SECOND,
                        linewidths=1.3,
                        clip_on=False,
                    )
                    sheet.mark(
                        spread,
                        [
                            ({"mark": "round", "run": name, "side": side, "round": number, "rate": rate}, "")
                            for number, rate in rounds
                        ],
                    )
                axes.plot(
                    [words.on_axis(low), words.on_axis(high)],
                    [at - 0.12] * 2,
                    color=INK,
                    linewidth=2,
                    linestyle="-" if estimate.interval else (0, (1, 2)),
                    marker="|",
                    markersize=12,
                )
                dot = axes.plot(
                    [words.on_axis(estimate.value)], [at - 0.12], "o", color=ACCENT, markersize=10
                )[0]
                data: Data = {
                    "mark": "rate",
                    "run": name,
                    "side": side,
                    "rate": estimate.value,
                    "low": low,
                    "high": high,
                }
                sheet.mark(dot, [(data, said(name, report, side, estimate))])
            if values:
                widen(axes, values, None)
            if place == len(SIDES) - 1:
                axes.set_xlabel(words("pis.x"), color=MUTED, labelpad=6)
        label = words("compare.legend_mean" if whole else "compare.legend_mean_range")
        handles = [Line2D([], [], marker="o", linestyle="", color=ACCENT, markersize=9, label=label)]
        if dots:
            handles.append(
                Line2D(
                    [],
                    [],
                    marker="o",
                    linestyle="",
                    markerfacecolor=PAPER,
                    markeredgecolor=SECOND,
                    markersize=5,
                    label=words("speedup.legend_round"),
                )
            )
        sheet.legend(handles)
        return sheet

    return finished(
        "sides", words("compare.sides_title"), words("compare.sides_desc", rates=words.listed(every)), draw
    )


def _run_data(name: str, point: _Point) -> Data:
    data: dict[str, str | float | int] = {"mark": name, "run": point.run.run_id, "state": point.state}
    for key, value in (("y", point.value), ("low", point.low), ("high", point.high)):
        if value is not None:
            data[key] = value
    return data


def _ends_data(change: Change) -> dict[str, float]:
    if change.low is None or change.high is None:
        return {}
    return {"low": change.low, "high": change.high}


def _some_places(count: int, most: int) -> list[int]:
    """Return at most so many places of the axis, equally far apart, the last among them."""
    return list(range(count - 1, -1, -math.ceil(count / most)))[::-1]


def _day(run: Past, words: Catalogue) -> str:
    """Return day and time, one below the other."""
    return words("unit.none") if run.made_at is None else "\n".join(one_line(run.made_at[:16]).split("T"))
