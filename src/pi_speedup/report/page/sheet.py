"""A sheet to draw on: matplotlib set up for a page, measured in the page's pixels. Imports matplotlib."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pi_speedup.report.page.svg import COLOURS, Data, clean

INK, MUTED, LINE, PAPER = COLOURS["ink"], COLOURS["muted"], COLOURS["line"], COLOURS["paper"]
ACCENT, SOFT, SECOND, BAD = COLOURS["accent"], COLOURS["soft"], COLOURS["second"], COLOURS["bad"]
# An SVG's unit is a point of matplotlib's: 72 an inch.
_PER_INCH = 72
_SETTINGS: Any = {
    # Text stays text, in the page's font.
    "svg.fonttype": "none",
    # A dollar is a dollar, whoever named a thing so.
    "text.parse_math": False,
    "svg.hashsalt": "pi-speedup",
    "font.size": 12,
    "hatch.linewidth": 1.2,
    "axes.linewidth": 1,
    "path.simplify": False,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Set matplotlib up while charts are drawn, and leave it as it was."""
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        # Its own font has no Chinese letters; the page's has.
        warnings.filterwarnings("ignore", message=r"Glyph \d+")
        yield


class Sheet:
    """One drawing of a chart, `width` times `height` pixels at its natural size."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / _PER_INCH, height / _PER_INCH), dpi=_PER_INCH)
        self.figure.patch.set_visible(False)
        self._marks: dict[str, list[tuple[Data, str]]] = {}

    def axes(self, left: float, top: float, right: float, bottom: float) -> Axes:
        """Return axes with these margins in pixels: no frame, a quiet grid, ticks without lines."""
        axes = self.figure.add_axes(
            (
                left / self.width,
                bottom / self.height,
                (self.width - left - right) / self.width,
                (self.height - top - bottom) / self.height,
            )
        )
        axes.patch.set_visible(False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.tick_params(length=0, colors=MUTED, labelcolor=MUTED, labelsize=12, pad=6)
        axes.set_axisbelow(True)
        return axes

    def legend(self, handles: Sequence[Artist], columns: int = 1, **spacing: float) -> None:
        """Explain the marks, at the top left; `spacing` is matplotlib's, in font sizes."""
        spacing = {"handletextpad": 0.4, "labelspacing": 0.6, **spacing}
        self.figure.legend(
            handles=list(handles),
            loc="upper left",
            bbox_to_anchor=(0, 1),
            ncols=columns,
            frameon=False,
            labelcolor=MUTED,
            fontsize=12,
            borderpad=0,
            **spacing,
        )

    def mark(self, artist: Artist, marks: Sequence[tuple[Data, str]]) -> None:
        """Give each thing that an artist draws its data, and words for a pointer."""
        if not marks:
            return
        gid = f"mark-{len(self._marks)}"
        artist.set_gid(gid)
        self._marks[gid] = list(marks)

    def svg(self, prefix: str, title: str, description: str) -> str:
        """Return the drawing as an element for the page."""
        buffer = io.StringIO()
        self.figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        return clean(buffer.getvalue(), prefix, title, description, self._marks)


def row_label(axes: Axes, y: float, text: str, *, bold: bool = False, size: float = 12) -> None:
    """Write at the left edge, above a row's marks."""
    axes.text(
        0,
        y,
        text,
        transform=axes.get_yaxis_transform(),
        color=INK,
        va="center",
        fontsize=size,
        fontweight="bold" if bold else "normal",
    )


def panel_title(axes: Axes, text: str) -> None:
    """Write above one of several panels."""
    axes.set_title(text, loc="left", x=0, fontsize=12, color=INK, pad=6, fontweight="bold")
