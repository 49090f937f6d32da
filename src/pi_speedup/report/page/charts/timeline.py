"""One round from within. Imports matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.report import Report
from pi_speedup.model.trial import Trial
from pi_speedup.report.page.charts.chart import NARROW, Chart, finished
from pi_speedup.report.page.charts.rows import MANY_ROWS, short_name
from pi_speedup.report.page.sheet import ACCENT, LINE, MUTED, PAPER, SECOND, Sheet, row_label
from pi_speedup.report.page.trials import Phase, typical_round
from pi_speedup.report.wording import cell_name

_HATCHES: dict[Phase, str] = {"waiting": "", "pulling": "....", "starting": "////", "computing": ""}


def timeline_chart(report: Report, trials: Sequence[Trial], words: Catalogue) -> Chart | None:
    """Draw one round from within: each worker's phases."""
    found = typical_round(report, trials)
    if found is None:
        return None
    said = [
        words(
            "timeline.trial",
            cell=cell_name(report, row.cell, words),
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
        many = len(found.lanes) > MANY_ROWS
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
                row_label(axes, y + heading / 2 + 2, cell_name(report, lane.cell, words), bold=True)
                y += heading
            labels.append((y + lane_height / 2, short_name(lane.pi)))
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
                                cell=cell_name(report, lane.cell, words),
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
