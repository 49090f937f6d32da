"""The page's charts: each is drawn twice, for a narrow and for a wide place. Imports matplotlib.

None needs colour to be read: what differs in kind differs in shape, hatch or place too.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from pi_speedup.model.report import Control, Estimate, Report, RoundFigure
from pi_speedup.model.trial import Trial
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
    row_label,
)
from pi_speedup.report.page.svg import Data
from pi_speedup.report.page.trials import Dot, Phase, State, dots, readings, typical_round
from pi_speedup.report.page.words import Words, main_comparison, safe

NARROW, WIDE, HERO = 340.0, 700.0, 540.0
# More dots than this in one panel are drawn together, some in each bin.
MOST_DOTS = 150
_BINS = 50
# Beyond this many median absolute deviations a trial keeps a dot of its own.
_FAR = 3 * 1.4826
_NAME_LETTERS = 16
_MANY_ROWS = 40
_MOST_ROUNDS = 40
# Half the label of the speedup, and some.
_CLEAR = 42.0
_HOT_CELSIUS = 80.0
_STATES: tuple[State, ...] = ("counted", "uncounted", "failed", "interrupted")
_MARKERS: dict[State, str] = {"counted": "o", "uncounted": "o", "failed": "X", "interrupted": "^"}
_FILLS: dict[State, str] = {"counted": ACCENT, "uncounted": PAPER, "failed": BAD, "interrupted": PAPER}
_EDGES: dict[State, str] = {"counted": ACCENT, "uncounted": ACCENT, "failed": BAD, "interrupted": BAD}
_HATCHES: dict[Phase, str] = {"waiting": "", "pulling": "....", "starting": "////", "computing": ""}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart in both widths, with the title and the description that both carry."""

    name: str
    title: str
    description: str
    narrow: str
    wide: str


@dataclass(frozen=True, slots=True)
class _Bar:
    """A bar of a chart of rows."""

    begin: float
    end: float
    colour: str
    hatch: str
    data: Data
    words: str


@dataclass(frozen=True, slots=True)
class _Row:
    """A row: its label stands above its bars, its value beside them."""

    label: str
    value: str
    bars: tuple[_Bar, ...]
    strong: bool = False


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


def charts(report: Report, trials: Sequence[Trial], words: Words) -> dict[str, Chart]:
    """Return by name the charts that the report has figures for."""
    makers: tuple[Callable[[], Chart | None], ...] = (
        lambda: speedup_chart(report, words),
        lambda: ledger_chart(report, words),
        lambda: wall_chart(report, words),
        lambda: trials_chart(report, dots(report, trials), words),
        lambda: pis_chart(report, words),
        lambda: timeline_chart(report, trials, words),
        lambda: heat_chart(report, trials, words),
        lambda: clock_chart(report, trials, words),
        lambda: controls_chart(report.controls, words),
    )
    with drawing():
        found = [chart for maker in makers if (chart := maker()) is not None]
    return {chart.name: chart for chart in found}


def speedup_chart(report: Report, words: Words) -> Chart | None:
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
            pis=words.pis(count),
            value=words.number(estimate.value),
            range=words.range_of(estimate),
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


def ledger_chart(report: Report, words: Words) -> Chart | None:
    """Draw how the ideal speedup becomes the measured one."""
    main = main_comparison(report)
    if report.ledger is None or main is None:
        return None
    mean, ideal = report.ledger.mean, float(len(report.pis))
    rows = [
        _row(
            words("ledger.ideal"),
            words("unit.times", value=f"{ideal:.2f}"),
            0.0,
            ideal,
            SOFT,
            "",
            {"mark": "ideal", "x": ideal},
        )
    ]
    now = ideal
    for name in ("alone_against_together", "balance", "starting_together"):
        factor = getattr(mean, name)
        after = now * factor
        kind = words("ledger.lost" if after <= now else "ledger.gained")
        data: Data = {"mark": "factor", "name": name, "factor": factor, "from": now, "to": after}
        label = words(f"ledger.{name}")
        change = _signed(after - now)
        rows.append(
            _Row(
                label,
                change,
                (
                    _Bar(0, min(now, after), SOFT, "", {}, ""),
                    _Bar(
                        min(now, after),
                        max(now, after),
                        SECOND,
                        "////",
                        data,
                        f"{label}: {kind} {abs(after - now):.2f}",
                    ),
                ),
            )
        )
        now = after
    rows.append(
        _row(
            words("ledger.measured"),
            words("unit.times", value=f"{main[1].value:.2f}"),
            0.0,
            main[1].value,
            ACCENT,
            "",
            {"mark": "measured", "x": main[1].value},
            strong=True,
        )
    )
    return _rows_chart("ledger", words("ledger.title"), "ledger.desc", words("ledger.x"), rows, words)


def wall_chart(report: Report, words: Words) -> Chart | None:
    """Draw the steps of the Job's wall time, one after the other."""
    wall = report.ledger.wall if report.ledger is not None else None
    if wall is None:
        return None
    rows, now = [], 0.0
    for name in ("schedule", "pull", "start", "compute", "collect"):
        seconds = getattr(wall, name)
        if seconds is None:
            continue
        computing = name == "compute"
        rows.append(
            _row(
                words(f"wall.{name}"),
                words.seconds(seconds),
                now,
                now + seconds,
                ACCENT if computing else SECOND,
                "" if computing else "////",
                {"mark": "step", "name": name, "seconds": seconds},
                strong=computing,
            )
        )
        now += seconds
    return _rows_chart("wall", words("wall.title"), "wall.desc", words("wall.x"), rows, words)


def trials_chart(report: Report, found: Sequence[Dot], words: Words) -> Chart | None:
    """Draw every trial by round, a panel for each cell; the order is that of the first round."""
    if not found:
        return None
    cells = list(dict.fromkeys(dot.row.cell for dot in found))
    cells.sort(key=lambda cell: (cell.startswith("alone"), _place(cell)))
    last = max(dot.row.round for dot in found)
    said = []
    for cell in cells:
        values = [d.seconds for d in found if d.row.cell == cell and d.state == "counted" and d.seconds]
        name = words.cell(report, cell)
        said.append(
            words(
                "trials.cell",
                cell=name,
                count=len(values),
                low=words.seconds(min(values)),
                high=words.seconds(max(values)),
            )
            if values
            else words("trials.cell_empty", cell=name)
        )
    states = {dot.state for dot in found}

    def draw(width: float) -> Sheet:
        panel = 118 if len(cells) <= 4 else 86
        legend = [state for state in _STATES if state in states]
        entries = len(legend) + ("counted" in states)
        head = 22 * (entries if width == NARROW else math.ceil(entries / 2)) + 8
        foot = 44
        sheet = Sheet(width, head + panel * len(cells) + foot)
        for place, cell in enumerate(cells):
            top = head + panel * place + 26
            axes = sheet.axes(48, top, 12, sheet.height - (head + panel * (place + 1)))
            lowest = place == len(cells) - 1
            _panel(sheet, axes, [dot for dot in found if dot.row.cell == cell], last, words)
            axes.set_title(
                f"{words.cell(report, cell)} ({words('trials.y')})",
                loc="left",
                x=0,
                fontsize=12,
                color=INK,
                pad=6,
                fontweight="bold",
            )
            axes.tick_params(labelbottom=lowest)
            if lowest:
                axes.set_xlabel(words("trials.x"), color=MUTED, labelpad=6)
        handles = [_state_handle(state, words(f"trials.{state}")) for state in legend]
        if "counted" in states:
            dashes = (0, (5, 4))
            handles.append(Line2D([], [], color=MUTED, linestyle=dashes, label=words("trials.mean")))
        sheet.legend(handles, 1 if width == NARROW else 2)
        return sheet

    failed = sum(dot.state in ("failed", "interrupted") for dot in found)
    return finished(
        "trials",
        words("trials.title"),
        words("trials.desc", cells=words.listed(said), failed=failed),
        draw,
    )


def pis_chart(report: Report, words: Words) -> Chart | None:
    """Draw how many samples a second each Pi drew among the others."""
    figures = report.pi_figures
    if not figures:
        return None
    # Samples of a pod: its rate times its time; so the slowest round gives the least rate.
    ends = [
        (
            each.samples_per_second * each.seconds.geometric_mean / each.seconds.maximum,
            each.samples_per_second * each.seconds.geometric_mean / each.seconds.minimum,
        )
        for each in figures
    ]
    alone = [each.alone_samples_per_second for each in figures if each.alone_samples_per_second is not None]
    mean = statistics.geometric_mean([each.samples_per_second for each in figures])
    said = [
        words(
            "pis.mark",
            pi=each.name,
            rate=words("unit.per_second", value=words.number(each.samples_per_second, 0)),
            low=words.number(low, 0),
            high=words.number(high, 0),
        )
        for each, (low, high) in zip(figures, ends, strict=True)
    ]

    def draw(width: float) -> Sheet:
        sheet, axes = _row_sheet(width, [each.name for each in figures], head=48 if alone else 24)
        axes.axvline(mean / 1e6, color=MUTED, linewidth=1.5, linestyle=(0, (5, 4)))
        axes.annotate(
            words("pis.mean"),
            (mean / 1e6, 1),
            (0, 6),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            color=MUTED,
            ha="center",
        )
        for place, (each, (low, high)) in enumerate(zip(figures, ends, strict=True)):
            many = len(figures) > _MANY_ROWS
            axes.plot(
                [low / 1e6, high / 1e6],
                [place, place],
                color=MUTED if many else INK,
                linewidth=0.8 if many else 1.5,
                marker="" if many else "|",
            )
            dot = axes.plot(
                [each.samples_per_second / 1e6],
                [place],
                "o",
                color=ACCENT,
                markersize=9 if len(figures) <= _MANY_ROWS else 4,
            )[0]
            data: Data = {
                "mark": "pi",
                "pi": each.name,
                "rate": each.samples_per_second,
                "low": low,
                "high": high,
            }
            sheet.mark(dot, [(data, said[place])])
            if each.alone_samples_per_second is not None:
                by_itself = axes.plot(
                    [each.alone_samples_per_second / 1e6],
                    [place],
                    marker="s",
                    linestyle="",
                    markersize=7 if len(figures) <= _MANY_ROWS else 3,
                    markerfacecolor=PAPER,
                    markeredgecolor=SECOND,
                    zorder=1.9,
                )[0]
                rate = each.alone_samples_per_second
                told = words("unit.per_second", value=words.number(rate, 0))
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
            [*(value / 1e6 for pair in ends for value in pair), *(rate / 1e6 for rate in alone)],
            mean / 1e6,
        )
        axes.set_xlabel(words("pis.x"), color=MUTED, labelpad=6)
        return sheet

    return finished("pis", words("pis.title"), words("pis.desc", pis=words.listed(_some(said))), draw)


def timeline_chart(report: Report, trials: Sequence[Trial], words: Words) -> Chart | None:
    """Draw one round from within: each worker's phases."""
    found = typical_round(report, trials)
    if found is None:
        return None
    said = [
        words(
            "timeline.trial",
            cell=words.cell(report, row.cell),
            seconds=words.seconds(row.wall_seconds or row.spent_seconds),
        )
        for row in found.trials
    ]
    phases = [
        phase
        for phase in _HATCHES
        if any(stretch.phase == phase for lane in found.lanes for stretch in lane.stretches)
    ]
    starts = [
        place
        for place, lane in enumerate(found.lanes)
        if place == 0 or lane.cell != found.lanes[place - 1].cell
    ]

    def draw(width: float) -> Sheet:
        many = len(found.lanes) > _MANY_ROWS
        lane_height = max(2.0, min(18.0, 700 / len(found.lanes)))
        heading = 24.0
        head = 22 * (len(phases) if width == NARROW else math.ceil(len(phases) / 2)) + 8
        height = lane_height * len(found.lanes) + heading * len(starts)
        sheet = Sheet(width, head + height + 44)
        axes = sheet.axes(12 if many else 92, head, 16, 44)
        axes.set_ylim(height, 0)
        axes.grid(axis="x", color=LINE, linewidth=1)
        y, labels = 0.0, []
        for place, lane in enumerate(found.lanes):
            if place in starts:
                # Above the group, at its begin.
                row_label(axes, y + heading / 2 + 2, words.cell(report, lane.cell), bold=True)
                y += heading
            labels.append((y + lane_height / 2, _short(lane.pi)))
            for stretch in lane.stretches:
                box = _phase_box(
                    stretch.begin,
                    y + 0.12 * lane_height,
                    stretch.end - stretch.begin,
                    0.76 * lane_height,
                    stretch.phase,
                )
                axes.add_patch(box)
                sheet.mark(
                    box,
                    [
                        (
                            {
                                "mark": "phase",
                                "pi": lane.pi,
                                "cell": lane.cell,
                                "phase": stretch.phase,
                                "begin": stretch.begin,
                                "end": stretch.end,
                            },
                            words(
                                "timeline.mark",
                                pi=lane.pi,
                                cell=words.cell(report, lane.cell),
                                phase=words(f"timeline.{stretch.phase}"),
                                begin=words.seconds(stretch.begin),
                                end=words.seconds(stretch.end),
                            ),
                        )
                    ],
                )
            y += lane_height
        axes.set_yticks(
            [] if many else [at for at, _ in labels], [] if many else [name for _, name in labels]
        )
        axes.set_xlim(0, 1.02 * max(s.end for lane in found.lanes for s in lane.stretches))
        axes.xaxis.set_major_locator(MaxNLocator(5 if width == NARROW else 9))
        axes.set_xlabel(words("timeline.x"), color=MUTED, labelpad=6)
        patches = [_phase_patch(phase, words(f"timeline.{phase}")) for phase in phases]
        sheet.legend(patches, 1 if width == NARROW else 2, handlelength=1.6, handletextpad=0.6)
        return sheet

    return finished(
        "timeline",
        words("timeline.title", round=found.number),
        words("timeline.desc", trials=words.listed(said)),
        draw,
    )


def heat_chart(report: Report, trials: Sequence[Trial], words: Words) -> Chart | None:
    """Draw each Pi's temperature: before and after the run, and over the trials; where one is known."""
    looks = {host.name: (host.before, host.after) for host in report.hosts}
    rows = []
    for pi, found in readings(report, trials, "celsius").items():
        before, after = (
            state.temperature_celsius if state is not None else None for state in looks.get(pi, (None, None))
        )
        rows.append(_Readings(pi, before, after, found))
    return _readings_chart("heat", rows, words, "unit.celsius", digits=1, limit=_HOT_CELSIUS)


def clock_chart(report: Report, trials: Sequence[Trial], words: Words) -> Chart | None:
    """Draw between which frequencies each Pi's first core was clocked at the trials' begins and ends."""
    rows = [_Readings(pi, None, None, found) for pi, found in readings(report, trials, "megahertz").items()]
    return _readings_chart("clock", rows, words, "unit.megahertz", digits=0, limit=None)


def _readings_chart(
    name: str, given: Sequence[_Readings], words: Words, unit: str, *, digits: int, limit: float | None
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
        sheet, axes = _row_sheet(width, [row.pi for row in rows], head=22 * lines + 8)
        hot = limit is not None and max(values) > limit - 15
        if limit is not None and hot:
            axes.axvline(limit, color=BAD, linewidth=1.5, linestyle=(0, (5, 4)))
        many = len(rows) > _MANY_ROWS
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

    return finished(name, words(f"{name}.title"), words(f"{name}.desc", pis=words.listed(_some(said))), draw)


def _readings_legend(words: Words, looked: bool, measured: bool) -> list[Line2D]:
    handles = []
    if looked:
        for fill, label in ((PAPER, words("heat.before")), (ACCENT, words("heat.after"))):
            style = {"marker": "o", "linestyle": "", "markeredgecolor": ACCENT, "markerfacecolor": fill}
            handles.append(Line2D([], [], label=label, **style))  # type: ignore[arg-type]
    if measured:
        handles.append(Line2D([], [], color=SECOND, linewidth=3, label=words("heat.trials")))
    return handles


def controls_chart(controls: Sequence[Control], words: Words) -> Chart | None:
    """Draw the ratios that must be 1."""
    if not controls:
        return None
    said = []
    for control in controls:
        both = control.low is not None and control.high is not None
        said.append(
            words(
                "checks.control_mark",
                name=words(f"checks.{control.name}"),
                ratio=f"{control.ratio:.3f}",
                range=words.span(f"{control.low:.3f}", f"{control.high:.3f}") if both else words("unit.none"),
            )
        )

    def draw(width: float) -> Sheet:
        row = 46
        sheet = Sheet(width, 10 + row * len(controls) + 44)
        axes = sheet.axes(8, 10, 8, 44)
        axes.set_ylim(len(controls), 0)
        axes.set_yticks([])
        for place, control in enumerate(controls):
            row_label(axes, place + 0.3, said[place])
            at = place + 0.72
            axes.plot([1, 1], [place + 0.5, place + 0.95], color=MUTED, linewidth=1.5, linestyle=(0, (4, 2)))
            if control.low is not None and control.high is not None:
                axes.plot([control.low, control.high], [at, at], color=INK, linewidth=2, marker="|")
            dot = axes.plot([control.ratio], [at], "o", color=ACCENT, markersize=9)[0]
            data: Data = {"mark": "control", "name": control.name, "ratio": control.ratio}
            sheet.mark(dot, [(data, said[place])])
        values = [v for c in controls for v in (c.low, c.high, c.ratio) if v is not None]
        widen(axes, values, 1.0)
        axes.set_xlabel(words("checks.controls_x"), color=MUTED, labelpad=6)
        return sheet

    return finished(
        "controls",
        words("checks.controls_title"),
        words("checks.controls_desc", controls=words.listed(said)),
        draw,
    )


def finished(
    name: str, title: str, description: str, draw: Callable[[float], Sheet], broad: float = WIDE
) -> Chart:
    """Return a chart in both widths; `draw` is given each."""
    narrow, wide = (
        draw(width).svg(f"{name}-{kind}", title, description) for kind, width in (("n", NARROW), ("w", broad))
    )
    return Chart(name, title, description, narrow, wide)


def _row(
    label: str,
    value: str,
    begin: float,
    end: float,
    colour: str,
    hatch: str,
    data: Data,
    *,
    strong: bool = False,
) -> _Row:
    return _Row(label, value, (_Bar(begin, end, colour, hatch, data, f"{label}: {value}"),), strong)


def _rows_chart(name: str, title: str, description: str, x: str, rows: Sequence[_Row], words: Words) -> Chart:
    def draw(width: float) -> Sheet:
        height = 44
        sheet = Sheet(width, height * len(rows) + 44)
        axes = sheet.axes(8, 0, 60, 44)
        most = max(bar.end for row in rows for bar in row.bars)
        axes.set_xlim(0, most)
        axes.set_ylim(len(rows), 0)
        axes.set_yticks([])
        axes.xaxis.set_major_locator(MaxNLocator(4 if width == NARROW else 8))
        axes.set_xlabel(x, color=MUTED, labelpad=6)
        for place, row in enumerate(rows):
            weight = "bold" if row.strong else "normal"
            axes.text(0, place + 0.26, row.label, color=INK, va="center", fontsize=13, fontweight=weight)
            for bar in row.bars:
                box = Rectangle(
                    (bar.begin, place + 0.48),
                    bar.end - bar.begin,
                    0.36,
                    facecolor=PAPER if bar.hatch else bar.colour,
                    edgecolor=bar.colour,
                    hatch=bar.hatch or None,
                    linewidth=1.2 if bar.hatch else 0,
                    clip_on=False,
                )
                axes.add_patch(box)
                if bar.data:
                    sheet.mark(box, [(bar.data, bar.words)])
            axes.annotate(
                row.value,
                (max(bar.end for bar in row.bars), place + 0.66),
                (6, 0),
                textcoords="offset points",
                color=INK,
                va="center",
                fontsize=13,
                fontweight=weight,
                annotation_clip=False,
            )
        return sheet

    said = words.listed(f"{row.label} {row.value}" for row in rows)
    return finished(name, title, words(description, steps=said), draw)


def _row_sheet(width: float, names: Sequence[str], head: float) -> tuple[Sheet, Axes]:
    """Return a sheet with a row for each name; of many names only some are written."""
    count = len(names)
    many = count > _MANY_ROWS
    row = 7.0 if many else max(16.0, min(30.0, 600 / count))
    sheet = Sheet(width, head + row * count + 48)
    axes = sheet.axes(112 if any(len(name) > 9 for name in names) else 64, head, 16, 48)
    axes.set_ylim(count - 0.5, -0.5)
    places = range(0, count, 10 if many else 1)
    axes.set_yticks(list(places), [_short(names[place]) for place in places])
    axes.grid(axis="x", color=LINE, linewidth=1)
    axes.xaxis.set_major_locator(MaxNLocator(4 if width == NARROW else 8))
    return sheet, axes


def _panel(sheet: Sheet, axes: Axes, found: Sequence[Dot], last: int, words: Words) -> None:
    """Draw the trials of one cell."""
    axes.set_xlim(-0.5, max(last, 1) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.grid(axis="y", color=LINE, linewidth=1)
    timed = [dot for dot in found if dot.seconds is not None]
    counted = [dot for dot in timed if dot.state == "counted"]
    values = [dot.seconds for dot in timed if dot.seconds is not None]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    # A twentieth at least, so that noise of a thousandth does not look like a storm.
    room = max(0.25 * (high - low), 0.025 * high)
    axes.set_ylim(max(0.0, low - room), high + room)
    single = list(counted)
    if len(counted) > MOST_DOTS:
        single = _draw_bins(sheet, axes, counted, words)
    if counted:
        mean = statistics.geometric_mean([dot.seconds for dot in counted if dot.seconds is not None])
        axes.axhline(mean, color=MUTED, linewidth=1.2, linestyle=(0, (5, 4)))
    bottom, ceiling = axes.get_ylim()
    floor = bottom + 0.08 * (ceiling - bottom)
    shown = [*single, *(dot for dot in found if dot.state != "counted")]
    for state in _STATES:
        of_state = [
            dot for dot in shown if dot.state == state and (dot.seconds is not None or state != "counted")
        ]
        if not of_state:
            continue
        spread = axes.scatter(
            [dot.row.round + _shift(dot) for dot in of_state],
            [floor if dot.seconds is None else dot.seconds for dot in of_state],
            s=52 if state == "counted" else 60,
            marker=_MARKERS[state],
            facecolors=_FILLS[state],
            edgecolors=_EDGES[state],
            linewidths=0.5 if state == "failed" else 1.5,
            clip_on=False,
            zorder=4,
        )
        sheet.mark(spread, [_dot_mark(dot, words) for dot in of_state])


def _draw_bins(sheet: Sheet, axes: Axes, counted: Sequence[Dot], words: Words) -> list[Dot]:
    """Draw many trials in bins of some rounds; return those that lie far from their bin's median."""
    far: list[Dot] = []
    for some in _chunks(counted, math.ceil(len(counted) / _BINS)):
        values = [dot.seconds for dot in some if dot.seconds is not None]
        middle = statistics.median(values)
        reach = _FAR * statistics.median(abs(value - middle) for value in values)
        near = [dot for dot in some if dot.seconds is not None and abs(dot.seconds - middle) <= reach]
        far += [dot for dot in some if dot not in near]
        inside = [dot.seconds for dot in near if dot.seconds is not None]
        rounds = [dot.row.round for dot in near]
        at = statistics.fmean((rounds[0], rounds[-1]))
        bar = axes.plot([at, at], [min(inside), max(inside)], color=ACCENT, linewidth=3)[0]
        axes.plot([at], [middle], marker="_", color=INK, markersize=8, markeredgewidth=2)
        data: Data = {
            "mark": "trials",
            "cell": some[0].row.cell,
            "count": len(near),
            "low": min(inside),
            "high": max(inside),
        }
        said = words(
            "trials.binned",
            first=rounds[0],
            last=rounds[-1],
            count=len(near),
            low=words.seconds(min(inside)),
            high=words.seconds(max(inside)),
            middle=words.seconds(middle),
        )
        sheet.mark(bar, [(data, said)])
    return far


def _dot_mark(dot: Dot, words: Words) -> tuple[Data, str]:
    data: dict[str, str | float | int] = {
        "mark": "trial",
        "name": dot.row.name,
        "round": dot.row.round,
        "cell": dot.row.cell,
        "state": dot.state,
    }
    state = words(f"trials.{dot.state}")
    if dot.seconds is None:
        problem = safe(dot.row.problem.cause if dot.row.problem else "", 300)
        return data, words("trials.mark_failed", name=dot.row.name, state=state, problem=problem)
    data["seconds"] = dot.seconds
    return data, words("trials.mark", name=dot.row.name, seconds=words.seconds(dot.seconds), state=state)


def _state_handle(state: State, label: str) -> Line2D:
    return Line2D(
        [],
        [],
        marker=_MARKERS[state],
        linestyle="",
        markeredgecolor=_EDGES[state],
        markerfacecolor=_FILLS[state],
        markeredgewidth=1.5,
        markersize=7,
        label=label,
    )


def _phase_style(phase: Phase) -> dict[str, object]:
    computing = phase == "computing"
    return {
        "facecolor": ACCENT if computing else PAPER,
        "edgecolor": ACCENT if computing else MUTED if phase == "waiting" else SECOND,
        "hatch": _HATCHES[phase] or None,
        "linewidth": 0 if computing else 1,
    }


def _phase_box(x: float, y: float, width: float, height: float, phase: Phase) -> Rectangle:
    return Rectangle((x, y), width, height, clip_on=False, **_phase_style(phase))  # type: ignore[arg-type]


def _phase_patch(phase: Phase, label: str) -> Patch:
    return Patch(label=label, **_phase_style(phase))  # type: ignore[arg-type]


def _label_last(axes: Axes, pis: int, estimate: Estimate, words: Words) -> None:
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


def _speedup_legend(sheet: Sheet, estimate: Estimate, rounds: int, words: Words) -> None:
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


def ends_of(estimate: Estimate) -> tuple[float, float]:
    """Return the ends of an estimate's interval, or its least and largest round."""
    if estimate.interval is not None:
        return estimate.interval.low, estimate.interval.high
    return estimate.minimum, estimate.maximum


def widen(axes: Axes, values: Sequence[float], also: float | None) -> None:
    """Show all values with some room, and not so near that noise of a thousandth fills the chart."""
    every = [*values, also] if also is not None else list(values)
    low, high = min(every), max(every)
    least = 0.05 * abs(high)
    room = 0.08 * max(high - low, least)
    middle, half = (low + high) / 2, max(high - low, least) / 2
    axes.set_xlim(middle - half - room, middle + half + room)


def _some_rounds(rounds: Sequence[RoundFigure]) -> Sequence[RoundFigure]:
    """Return all rounds, or of many some with the least and the largest; all are in the chart of trials."""
    if len(rounds) <= _MOST_ROUNDS:
        return rounds
    kept = {each.round for each in rounds[:: math.ceil(len(rounds) / _MOST_ROUNDS)]}
    kept |= {pick(rounds, key=lambda each: each.value).round for pick in (min, max)}
    return [each for each in rounds if each.round in kept]


def _signed(value: float) -> str:
    shown = f"{value:+.2f}"
    return "0.00" if shown[1:] == "0.00" else shown.replace("-", "\N{MINUS SIGN}")


def _shift(dot: Dot) -> float:
    # Attempts of one slot stand beside each other.
    return 0.0 if dot.row.attempt == 1 else min(0.4, 0.14 * (dot.row.attempt - 1))


def _place(cell: str) -> tuple[int, str]:
    number = cell.removeprefix("together-").partition("-")[0]
    return (-int(number) if number.isdecimal() else 0, cell)


def _short(name: str) -> str:
    return name if len(name) <= _NAME_LETTERS else f"{name[: _NAME_LETTERS - 1]}…"


def _some(said: Sequence[str]) -> Sequence[str]:
    """Return what a description bears: all of some, the first of many."""
    return said if len(said) <= 12 else [*said[:12], "…"]


def _chunks(found: Sequence[Dot], size: int) -> Iterator[Sequence[Dot]]:
    for begin in range(0, len(found), size):
        yield found[begin : begin + size]
