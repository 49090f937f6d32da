"""Every trial as a dot, by round and cell. Imports matplotlib."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.report import Report
from pi_speedup.report.formulas import SD_PER_MAD
from pi_speedup.report.page.charts.chart import NARROW, Chart, finished
from pi_speedup.report.page.sheet import ACCENT, BAD, INK, LINE, MUTED, PAPER, Sheet, panel_title
from pi_speedup.report.page.svg import Data
from pi_speedup.report.page.trials import Dot, State
from pi_speedup.report.wording import cell_name
from pi_speedup.text import one_line

# More dots than this in one panel are drawn together, some in each bin.
MOST_DOTS = 150
_BINS = 50
# Beyond this many median absolute deviations a trial keeps a dot of its own.
_FAR = 3 * SD_PER_MAD
_STATES: tuple[State, ...] = ("counted", "uncounted", "failed", "interrupted")
_MARKERS: dict[State, str] = {"counted": "o", "uncounted": "o", "failed": "X", "interrupted": "^"}
_FILLS: dict[State, str] = {"counted": ACCENT, "uncounted": PAPER, "failed": BAD, "interrupted": PAPER}
_EDGES: dict[State, str] = {"counted": ACCENT, "uncounted": ACCENT, "failed": BAD, "interrupted": BAD}


def trials_chart(report: Report, found: Sequence[Dot], words: Catalogue) -> Chart | None:
    """Draw every trial by round, a panel for each cell; the order is that of the first round."""
    if not found:
        return None
    cells = list(dict.fromkeys(dot.row.cell for dot in found))
    cells.sort(key=lambda cell: (cell.startswith("alone"), _place(cell)))
    last = max(dot.row.round for dot in found)
    said = []
    for cell in cells:
        values = [d.seconds for d in found if d.row.cell == cell and d.state == "counted" and d.seconds]
        name = cell_name(report, cell, words)
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
            panel_title(
                axes, words("unit.aside", what=cell_name(report, cell, words), more=words("trials.y"))
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


def _panel(sheet: Sheet, axes: Axes, found: Sequence[Dot], last: int, words: Catalogue) -> None:
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


def _draw_bins(sheet: Sheet, axes: Axes, counted: Sequence[Dot], words: Catalogue) -> list[Dot]:
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


def _dot_mark(dot: Dot, words: Catalogue) -> tuple[Data, str]:
    data: dict[str, str | float | int] = {
        "mark": "trial",
        "name": dot.row.name,
        "round": dot.row.round,
        "cell": dot.row.cell,
        "state": dot.state,
    }
    state = words(f"trials.{dot.state}")
    if dot.seconds is None:
        problem = one_line(dot.row.problem.cause if dot.row.problem else "", 300)
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


def _shift(dot: Dot) -> float:
    # Attempts of one slot stand beside each other.
    return 0.0 if dot.row.attempt == 1 else min(0.4, 0.14 * (dot.row.attempt - 1))


def _place(cell: str) -> tuple[int, str]:
    number = cell.removeprefix("together-").partition("-")[0]
    return (-int(number) if number.isdecimal() else 0, cell)


def _chunks(found: Sequence[Dot], size: int) -> Iterator[Sequence[Dot]]:
    for begin in range(0, len(found), size):
        yield found[begin : begin + size]
