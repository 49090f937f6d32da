"""What each Pi gave: its rate, temperature and frequency. Imports matplotlib."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.lines import Line2D

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.host import HostState
from pi_speedup.model.report import Report
from pi_speedup.model.trial import Trial
from pi_speedup.report.checks.pis import HOT_CELSIUS
from pi_speedup.report.page.charts.chart import NARROW, Chart, few, finished, widen
from pi_speedup.report.page.charts.rows import MANY_ROWS, row_sheet
from pi_speedup.report.page.sheet import ACCENT, BAD, INK, MUTED, PAPER, SECOND, Sheet
from pi_speedup.report.page.svg import Data
from pi_speedup.report.page.trials import readings


@dataclass(frozen=True, slots=True)
class _Readings:
    """What a Pi told of a quantity: before and after the run, and around each trial."""

    pi: str
    before: float | None
    after: float | None
    trials: tuple[float, ...]

    @property
    def values(self) -> tuple[float, ...]:
        """All that is known."""
        looks = (value for value in (self.before, self.after) if value is not None)
        return (*looks, *self.trials)


def pis_chart(report: Report, words: Catalogue) -> Chart | None:
    """Draw how much each Pi did in a second among the others."""
    figures = report.pi_figures
    if not figures:
        return None
    # What a pod did: its rate times its time; so the slowest round gives the least rate.
    ends = [
        (
            each.amount_per_second * each.seconds.geometric_mean / each.seconds.maximum,
            each.amount_per_second * each.seconds.geometric_mean / each.seconds.minimum,
        )
        for each in figures
    ]
    alone = [each.alone_amount_per_second for each in figures if each.alone_amount_per_second is not None]
    mean = statistics.geometric_mean([each.amount_per_second for each in figures])
    said = [
        words(
            "pis.mark",
            pi=each.name,
            rate=words.rate(each.amount_per_second),
            low=words.rate_number(low),
            high=words.rate_number(high),
        )
        for each, (low, high) in zip(figures, ends, strict=True)
    ]

    def draw(width: float) -> Sheet:
        sheet, axes = row_sheet(width, [each.name for each in figures], head=48 if alone else 24)
        axes.axvline(words.on_axis(mean), color=MUTED, linewidth=1.5, linestyle=(0, (5, 4)))
        axes.annotate(
            words("pis.mean"),
            (words.on_axis(mean), 1),
            (0, 6),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            color=MUTED,
            ha="center",
        )
        for place, (each, (low, high)) in enumerate(zip(figures, ends, strict=True)):
            many = len(figures) > MANY_ROWS
            axes.plot(
                [words.on_axis(low), words.on_axis(high)],
                [place, place],
                color=MUTED if many else INK,
                linewidth=0.8 if many else 1.5,
                marker="" if many else "|",
            )
            dot = axes.plot(
                [words.on_axis(each.amount_per_second)],
                [place],
                "o",
                color=ACCENT,
                markersize=9 if len(figures) <= MANY_ROWS else 4,
            )[0]
            data: Data = {
                "mark": "pi",
                "pi": each.name,
                "rate": each.amount_per_second,
                "low": low,
                "high": high,
            }
            sheet.mark(dot, [(data, said[place])])
            if each.alone_amount_per_second is not None:
                by_itself = axes.plot(
                    [words.on_axis(each.alone_amount_per_second)],
                    [place],
                    marker="s",
                    linestyle="",
                    markersize=7 if len(figures) <= MANY_ROWS else 3,
                    markerfacecolor=PAPER,
                    markeredgecolor=SECOND,
                    zorder=1.9,
                )[0]
                rate = each.alone_amount_per_second
                told = words.rate(rate)
                data = {"mark": "pi-alone", "pi": each.name, "rate": rate}
                sheet.mark(by_itself, [(data, words("pis.mark_alone", pi=each.name, rate=told))])
        if alone:
            styles = (
                ("o", ACCENT, ACCENT, words("pis.together")),
                ("s", PAPER, SECOND, words("pis.alone")),
            )
            handles = [
                Line2D(
                    [],
                    [],
                    marker=sign,
                    linestyle="",
                    markerfacecolor=fill,
                    markeredgecolor=edge,
                    label=label,
                )
                for sign, fill, edge, label in styles
            ]
            sheet.legend(handles, 2, handletextpad=0.2)
        widen(
            axes,
            [
                *(words.on_axis(value) for pair in ends for value in pair),
                *(words.on_axis(rate) for rate in alone),
            ],
            words.on_axis(mean),
        )
        axes.set_xlabel(words("pis.x"), color=MUTED, labelpad=6)
        return sheet

    return finished("pis", words("pis.title"), words("pis.desc", pis=words.listed(few(said))), draw)


def heat_chart(report: Report, trials: Sequence[Trial], words: Catalogue) -> Chart | None:
    """Draw each Pi's temperature: before and after the run, and over the trials; where one is known."""
    looks: dict[str, tuple[HostState | None, HostState | None]] = {}
    for host in report.hosts:
        # Of several sessions: before the first, after the last.
        looks[host.name] = (looks.get(host.name, (host.before,))[0], host.after)
    rows = []
    for pi, found in readings(report, trials, "celsius").items():
        before, after = (
            state.temperature_celsius if state is not None else None for state in looks.get(pi, (None, None))
        )
        rows.append(_Readings(pi, before, after, found))
    return _readings_chart("heat", rows, words, "unit.celsius", digits=1, limit=HOT_CELSIUS)


def clock_chart(report: Report, trials: Sequence[Trial], words: Catalogue) -> Chart | None:
    """Draw between which frequencies each Pi's first core was clocked at the trials' begins and ends."""
    rows = [_Readings(pi, None, None, found) for pi, found in readings(report, trials, "megahertz").items()]
    return _readings_chart("clock", rows, words, "unit.megahertz", digits=0, limit=None)


def _readings_chart(
    name: str, given: Sequence[_Readings], words: Catalogue, unit: str, *, digits: int, limit: float | None
) -> Chart | None:
    rows = [row for row in given if row.values]
    if not rows:
        return None

    def shown(value: float | None) -> str:
        return words("unit.unknown") if value is None else words(unit, value=f"{value:,.{digits}f}")

    said = []
    for row in rows:
        parts = []
        if row.before is not None or row.after is not None:
            parts.append(words("heat.looks", before=shown(row.before), after=shown(row.after)))
        if row.trials:
            reach = words.span(shown(min(row.trials)), shown(max(row.trials)))
            parts.append(words("heat.reach", reach=reach))
        said.append(words("heat.mark", pi=row.pi, parts=words.listed(parts)))
    values = [value for row in rows for value in row.values]
    looked = any(row.before is not None or row.after is not None for row in rows)

    def draw(width: float) -> Sheet:
        legend = _readings_legend(words, looked, any(row.trials for row in rows))
        lines = len(legend) if width == NARROW else 1
        sheet, axes = row_sheet(width, [row.pi for row in rows], head=22 * lines + 8)
        hot = limit is not None and max(values) > limit - 15
        if limit is not None and hot:
            axes.axvline(limit, color=BAD, linewidth=1.5, linestyle=(0, (5, 4)))
        many = len(rows) > MANY_ROWS
        for place, row in enumerate(rows):
            if row.trials:
                low, high = min(row.trials), max(row.trials)
                bar = axes.plot(
                    [low, high],
                    [place, place],
                    color=SECOND,
                    linewidth=2 if many else 3,
                    marker="|",
                    markersize=10,
                    markeredgewidth=2,
                )[0]
                data: Data = {"mark": f"{name}-reach", "pi": row.pi, "low": low, "high": high}
                # The line, and a stroke at each end, which one sees where both ends are the same.
                sheet.mark(bar, [(data, said[place]), ({"end": low}, ""), ({"end": high}, "")])
            for when, value in (("before", row.before), ("after", row.after)):
                if value is None:
                    continue
                dot = axes.plot(
                    [value],
                    [place],
                    marker="o",
                    linestyle="",
                    markersize=4 if many else 9,
                    markeredgecolor=ACCENT,
                    markerfacecolor=PAPER if when == "before" else ACCENT,
                )[0]
                data = {"mark": name, "pi": row.pi, "when": when, "value": value}
                sheet.mark(dot, [(data, said[place])])
        widen(axes, values, limit if hot else None)
        axes.set_xlabel(words(f"{name}.x"), color=MUTED, labelpad=6)
        sheet.legend(legend, 1 if width == NARROW else 3)
        return sheet

    return finished(name, words(f"{name}.title"), words(f"{name}.desc", pis=words.listed(few(said))), draw)


def _readings_legend(words: Catalogue, looked: bool, measured: bool) -> list[Line2D]:
    handles = []
    if looked:
        for fill, label in ((PAPER, words("heat.before")), (ACCENT, words("heat.after"))):
            style = {"marker": "o", "linestyle": "", "markeredgecolor": ACCENT, "markerfacecolor": fill}
            handles.append(Line2D([], [], label=label, **style))  # type: ignore[arg-type]
    if measured:
        handles.append(Line2D([], [], color=SECOND, linewidth=3, label=words("heat.trials")))
    return handles
