"""Speedup against the number of Pis. Imports matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.report import Estimate, Report, RoundFigure
from pi_speedup.report.page.charts.chart import HERO, NARROW, Chart, ends_of, finished
from pi_speedup.report.page.sheet import ACCENT, INK, LINE, MUTED, PAPER, Sheet
from pi_speedup.report.page.svg import Data
from pi_speedup.report.wording import main_comparison, range_of

_MOST_ROUNDS = 40
# Half the label of the speedup, and some.
_CLEAR = 42.0


def speedup_chart(report: Report, words: Catalogue) -> Chart | None:
    """Draw speedup against the number of Pis, with intervals and the ideal line."""
    main = main_comparison(report)
    if main is None:
        return None
    pis = len(report.pis)
    points = [(pis, main[1])]
    if report.sweep is not None and report.sweep.points:
        points = [(point.pis, point.speedup) for point in report.sweep.points]
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
        first = 0.5 if pis == 1 else 1 - 0.06 * (pis - 1)
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
        sheet.mark(ideal, [({"mark": "ideal", "x": pis, "y": pis}, words("speedup.ideal"))])
        if pis > 1:
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
            sheet.mark(one, [({"mark": "one", "x": 1, "y": 1}, words("speedup.one"))])
        if len(points) > 1:
            xs = [count for count, _ in points]
            axes.plot(xs, [estimate.value for _, estimate in points], color=ACCENT, linewidth=2)
        for count, estimate in points:
            low, high = ends_of(estimate)
            data: Data = {"mark": "speedup", "pis": count, "y": estimate.value, "low": low, "high": high}
            if low < high:
                style = "-" if estimate.interval is not None else (0, (1, 2))
                bar = axes.plot(
                    [count, count],
                    [low, high],
                    color=INK,
                    linewidth=2,
                    linestyle=style,
                    marker="_",
                    markersize=14,
                    markeredgewidth=2,
                )[0]
                bar.set_clip_on(False)
            dot = axes.plot([count], [estimate.value], "o", markersize=11, color=ACCENT, clip_on=False)[0]
            sheet.mark(dot, [(data, said[count])])
        _label_last(axes, points[-1][0], points[-1][1], words)
        rounds = main[0].rounds
        if len(shown) > 1:
            xs_rounds = [pis + unit * (_CLEAR + step * place) for place in range(len(shown))]
            spread = axes.scatter(
                xs_rounds,
                [each.value for each in shown],
                s=22,
                facecolors=PAPER,
                edgecolors=ACCENT,
                linewidths=1.3,
                clip_on=False,
                zorder=3,
            )
            sheet.mark(
                spread,
                [
                    (
                        {"mark": "round", "round": each.round, "y": each.value},
                        words("speedup.round", round=each.round, value=words.number(each.value)),
                    )
                    for each in shown
                ],
            )
        _speedup_legend(sheet, main[1], len(rounds), words)
        return sheet

    return finished(
        "speedup",
        words("speedup.title"),
        words("speedup.desc", values=words.listed(said.values())),
        draw,
        HERO,
    )


def _label_last(axes: Axes, pis: int, estimate: Estimate, words: Catalogue) -> None:
    # Below its interval: above it runs the ideal line, beside it stand the rounds.
    axes.annotate(
        words("unit.times", value=words.number(estimate.value)),
        (pis, ends_of(estimate)[0]),
        (0, -12),
        textcoords="offset points",
        color=INK,
        ha="center",
        va="top",
        fontsize=18,
        fontweight="bold",
    )


def _speedup_legend(sheet: Sheet, estimate: Estimate, rounds: int, words: Catalogue) -> None:
    interval = estimate.interval
    if interval is not None:
        label = words("speedup.legend_all", level=words.percent(interval.level, 0))
    else:
        label = words("speedup.legend_all_range" if rounds > 1 else "speedup.legend_once")
    handles = [Line2D([], [], marker="o", linestyle="", color=ACCENT, markersize=9, label=label)]
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
