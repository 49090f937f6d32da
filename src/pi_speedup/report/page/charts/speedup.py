"""Speedup: against the number of Pis, or of all of them against one. Imports matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.report import Comparison, Estimate, Report, RoundFigure, Sweep
from pi_speedup.report.page.charts.chart import HERO, NARROW, Chart, ends_of, finished
from pi_speedup.report.page.sheet import ACCENT, INK, LINE, MUTED, PAPER, SOFT, Sheet
from pi_speedup.report.page.svg import Data
from pi_speedup.report.wording import main_comparison, one_pi_seconds, range_of

_MOST_ROUNDS = 40
# Half the label of the speedup, and some.
_CLEAR = 42.0
_ROW_HEIGHT = 78


def speedup_chart(report: Report, words: Catalogue) -> Chart | None:
    """Draw speedup against the number of Pis where several were measured, else one bar for each side."""
    main = main_comparison(report)
    if main is None:
        return None
    if report.sweep is None or len(report.sweep.points) < 2:
        return _bars(report, main, words)
    return _curve(report, report.sweep, main, words)


def _bars(report: Report, main: tuple[Comparison, Estimate], words: Catalogue) -> Chart:
    """Draw one Pi, all Pis with their interval and rounds, and the ideal, each with its seconds."""
    comparison, estimate = main
    pis, (low, high) = len(report.pis), ends_of(estimate)
    one = one_pi_seconds(comparison)
    together = words.count("pi", pis)
    rows = [
        (words("speedup.row_one", seconds=words.seconds(one)), 1.0, SOFT),
        (
            words(
                "speedup.row_all",
                pis=together,
                seconds=words.seconds(comparison.all_pis.seconds.geometric_mean),
            ),
            estimate.value,
            MUTED if report.verdict.status == "invalid" else ACCENT,
        ),
        (words("speedup.row_ideal", seconds=words.seconds(one / pis)), float(pis), SOFT),
    ]
    said = words(
        "speedup.value",
        pis=together,
        value=words.number(estimate.value),
        range=range_of(estimate, words),
    )

    def draw(width: float) -> Sheet:
        rounds = _some_rounds(comparison.rounds) if len(comparison.rounds) > 1 else ()
        head = 22 * (2 if rounds else 1) + 14
        sheet = Sheet(width, head + 3 * _ROW_HEIGHT + 46)
        axes = sheet.axes(8, head, 92, 46)
        axes.set_xlim(0, max(pis, high, estimate.maximum))
        axes.set_ylim(3, 0)
        axes.set_yticks([])
        axes.xaxis.set_major_locator(MaxNLocator(4 if width == NARROW else 7, integer=pis > 2))
        axes.set_xlabel(words("speedup.y"), color=MUTED, labelpad=8)
        for place, (label, value, colour) in enumerate(rows):
            ours = place == 1
            weight = "bold" if ours else "normal"
            axes.text(0, place + 0.2, label, color=INK, va="center", fontsize=14, fontweight=weight)
            bar = Rectangle((0, place + 0.38), value, 0.3, facecolor=colour, linewidth=0, clip_on=False)
            axes.add_patch(bar)
            if not ours:
                mark = "ideal" if place else "one"
                sheet.mark(bar, [({"mark": mark, "value": value}, label)])
            axes.annotate(
                words("unit.times", value=words.number(value)),
                (value, place + 0.53),
                (6, 0),
                textcoords="offset points",
                color=INK,
                va="center",
                fontsize=18 if ours else 14,
                fontweight=weight,
                annotation_clip=False,
            )
        # Below the bar, on which neither would be seen in every light.
        below = 1.8
        if low < high:
            _interval(axes, (low, high), (below, below), estimate, "|")
        data: Data = {"mark": "speedup", "pis": pis, "value": estimate.value, "low": low, "high": high}
        dot = axes.plot([estimate.value], [below], "o", markersize=9, color=INK, clip_on=False)[0]
        sheet.mark(dot, [(data, said)])
        if rounds:
            _rounds(sheet, axes, [each.value for each in rounds], [1.97] * len(rounds), rounds, words)
        _speedup_legend(sheet, estimate, len(comparison.rounds), words, INK)
        return sheet

    return finished(
        "speedup",
        words("speedup.bars_title"),
        words("speedup.bars_desc", values=said, ideal=pis),
        draw,
        HERO,
    )


def _curve(report: Report, sweep: Sweep, main: tuple[Comparison, Estimate], words: Catalogue) -> Chart:
    pis = len(report.pis)
    points = [(point.pis, point.speedup) for point in sweep.points]
    said = {
        count: words(
            "speedup.value",
            pis=words.count("pi", count),
            value=words.number(estimate.value),
            range=range_of(estimate, words),
        )
        for count, estimate in points
    }

    def draw(width: float) -> Sheet:
        # Above all else: an interval may reach anywhere.
        head = 22 * (2 if len(main[0].rounds) > 1 else 1) + 14
        sheet = Sheet(width, head + (286 if width == NARROW else 360))
        axes = sheet.axes(44, head, 16, 46)
        # The rounds stand to the right of their point, clear of its label; all in pixels.
        shown = _some_rounds(main[0].rounds) if points[-1][0] == pis else ()
        step = min(9.0, 72 / max(1, len(shown)))
        room = _CLEAR + step * len(shown) if len(shown) > 1 else _CLEAR
        first = 1 - 0.06 * (pis - 1)
        unit = (pis - first) / (width - 60 - room)
        axes.set_xlim(first, pis + unit * room)
        top = 1.1 * max([pis, *(ends_of(estimate)[1] for _, estimate in points), main[1].maximum])
        axes.set_ylim(0, top)
        axes.set_xticks(
            [tick for tick in MaxNLocator(8, integer=True).tick_values(1, pis) if 1 <= tick <= pis]
        )
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=pis > 2, steps=[1, 2, 5, 10]))
        axes.grid(axis="y", color=LINE, linewidth=1)
        axes.axhline(0, color=MUTED, linewidth=1)
        axes.set_xlabel(words("speedup.x"), color=MUTED, labelpad=8)
        axes.set_ylabel(words("speedup.y"), color=MUTED, labelpad=8)
        ideal = axes.plot([1, pis], [1, pis], color=MUTED, linewidth=1.5, linestyle=(0, (5, 4)))[0]
        sheet.mark(ideal, [({"mark": "ideal", "pis": pis, "value": pis}, words("speedup.ideal"))])
        middle = 1 + 0.5 * (pis - 1)
        axes.annotate(
            words("speedup.ideal"),
            (middle, middle),
            (-8, 6),
            textcoords="offset points",
            color=MUTED,
            ha="right",
        )
        one = axes.plot(
            [1], [1], marker="s", markersize=8, markerfacecolor=PAPER, markeredgecolor=INK, linestyle=""
        )[0]
        sheet.mark(one, [({"mark": "one", "pis": 1, "value": 1}, words("speedup.one"))])
        xs = [count for count, _ in points]
        axes.plot(xs, [estimate.value for _, estimate in points], color=ACCENT, linewidth=2)
        for count, estimate in points:
            low, high = ends_of(estimate)
            data: Data = {
                "mark": "speedup",
                "pis": count,
                "value": estimate.value,
                "low": low,
                "high": high,
            }
            if low < high:
                _interval(axes, (count, count), (low, high), estimate, "_")
            dot = axes.plot([count], [estimate.value], "o", markersize=11, color=ACCENT, clip_on=False)[0]
            sheet.mark(dot, [(data, said[count])])
        _label_last(axes, points[-1][0], points[-1][1], words)
        if len(shown) > 1:
            xs_rounds = [pis + unit * (_CLEAR + step * place) for place in range(len(shown))]
            _rounds(sheet, axes, xs_rounds, [each.value for each in shown], shown, words)
        _speedup_legend(sheet, main[1], len(main[0].rounds), words)
        return sheet

    return finished(
        "speedup",
        words("speedup.title"),
        words("speedup.desc", values=words.listed(said.values())),
        draw,
        HERO,
    )


def _interval(axes: Axes, xs: Sequence[float], ys: Sequence[float], estimate: Estimate, ends: str) -> None:
    """Draw an interval with its ends; dotted where it is only what the rounds gave."""
    bar = axes.plot(
        xs,
        ys,
        color=INK,
        linewidth=2,
        linestyle="-" if estimate.interval is not None else (0, (1, 2)),
        marker=ends,
        markersize=14,
        markeredgewidth=2,
    )[0]
    bar.set_clip_on(False)


def _rounds(
    sheet: Sheet,
    axes: Axes,
    xs: Sequence[float],
    ys: Sequence[float],
    rounds: Sequence[RoundFigure],
    words: Catalogue,
) -> None:
    """Draw a circle for each round."""
    spread = axes.scatter(
        xs, ys, s=22, facecolors=PAPER, edgecolors=ACCENT, linewidths=1.3, clip_on=False, zorder=3
    )
    sheet.mark(
        spread,
        [
            (
                {"mark": "round", "round": each.round, "value": each.value},
                words("speedup.round", round=each.round, value=words.number(each.value)),
            )
            for each in rounds
        ],
    )


def _label_last(axes: Axes, pis: int, estimate: Estimate, words: Catalogue) -> None:
    # Below its interval, to the right: to the left runs the curve, beside it stand the rounds.
    axes.annotate(
        words("unit.times", value=words.number(estimate.value)),
        (pis, ends_of(estimate)[0]),
        (-4, -12),
        textcoords="offset points",
        color=INK,
        ha="left",
        va="top",
        fontsize=18,
        fontweight="bold",
    )


def _speedup_legend(
    sheet: Sheet, estimate: Estimate, rounds: int, words: Catalogue, colour: str = ACCENT
) -> None:
    interval = estimate.interval
    if interval is not None:
        label = words("speedup.legend_all", level=words.percent(interval.level, 0))
    else:
        label = words("speedup.legend_all_range" if rounds > 1 else "speedup.legend_once")
    handles = [Line2D([], [], marker="o", linestyle="", color=colour, markersize=9, label=label)]
    if rounds > 1:
        one = words("speedup.legend_round")
        handles.append(
            Line2D(
                [],
                [],
                marker="o",
                linestyle="",
                markerfacecolor=PAPER,
                markeredgecolor=ACCENT,
                label=one,
                markersize=5,
            )
        )
    sheet.legend(handles)


def _some_rounds(rounds: Sequence[RoundFigure]) -> Sequence[RoundFigure]:
    """Return all rounds, or of many some with the least and the largest; all are in the chart of trials."""
    if len(rounds) <= _MOST_ROUNDS:
        return rounds
    kept = {each.round for each in rounds[:: math.ceil(len(rounds) / _MOST_ROUNDS)]}
    kept |= {pick(rounds, key=lambda each: each.value).round for pick in (min, max)}
    return [each for each in rounds if each.round in kept]
