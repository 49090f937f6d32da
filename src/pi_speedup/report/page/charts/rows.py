"""Charts of rows: bars one below the other, or a line for each Pi. Imports matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from pi_speedup.catalogue import Catalogue
from pi_speedup.report.page.charts.chart import NARROW, Chart, finished
from pi_speedup.report.page.sheet import INK, LINE, MUTED, PAPER, Sheet
from pi_speedup.report.page.svg import Data

_NAME_LETTERS = 16
MANY_ROWS = 40


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a chart of rows."""

    begin: float
    end: float
    colour: str
    hatch: str
    data: Data
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its label stands above its bars, its value beside them."""

    label: str
    value: str
    bars: tuple[Bar, ...]
    strong: bool = False


def row(
    label: str,
    value: str,
    begin: float,
    end: float,
    colour: str,
    hatch: str,
    data: Data,
    *,
    strong: bool = False,
) -> Row:
    return Row(label, value, (Bar(begin, end, colour, hatch, data, f"{label}: {value}"),), strong)


def rows_chart(
    name: str, title: str, description: str, x: str, rows: Sequence[Row], words: Catalogue
) -> Chart:
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


def row_sheet(width: float, names: Sequence[str], head: float) -> tuple[Sheet, Axes]:
    """Return a sheet with a row for each name; of many names only some are written."""
    count = len(names)
    many = count > MANY_ROWS
    row = 7.0 if many else max(16.0, min(30.0, 600 / count))
    sheet = Sheet(width, head + row * count + 48)
    axes = sheet.axes(112 if any(len(name) > 9 for name in names) else 64, head, 16, 48)
    axes.set_ylim(count - 0.5, -0.5)
    places = range(0, count, 10 if many else 1)
    axes.set_yticks(list(places), [short_name(names[place]) for place in places])
    axes.grid(axis="x", color=LINE, linewidth=1)
    axes.xaxis.set_major_locator(MaxNLocator(4 if width == NARROW else 8))
    return sheet, axes


def short_name(name: str) -> str:
    return name if len(name) <= _NAME_LETTERS else f"{name[: _NAME_LETTERS - 1]}…"
