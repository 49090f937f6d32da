"""The ratios that must be 1. Imports matplotlib."""

from __future__ import annotations

from collections.abc import Sequence

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.report import Control
from pi_speedup.report.page.charts.chart import Chart, finished, widen
from pi_speedup.report.page.sheet import ACCENT, INK, MUTED, Sheet, row_label
from pi_speedup.report.page.svg import Data


def controls_chart(controls: Sequence[Control], words: Catalogue) -> Chart | None:
    """Draw the ratios that must be 1."""
    if not controls:
        return None
    said = []
    for control in controls:
        both = control.low is not None and control.high is not None
        said.append(
            words(
                "checks.control_mark",
                name=control.title,
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
