"""The charts of a report's page, each drawn twice: for a narrow and for a wide place. Imports matplotlib.

None needs colour to be read: what differs in kind differs in shape, hatch or place too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.report import Report
from pi_speedup.model.trial import Trial
from pi_speedup.report.page.charts.chart import Chart
from pi_speedup.report.page.charts.controls import controls_chart
from pi_speedup.report.page.charts.every_trial import trials_chart
from pi_speedup.report.page.charts.losses import ledger_chart, wall_chart
from pi_speedup.report.page.charts.pis import clock_chart, heat_chart, pis_chart
from pi_speedup.report.page.charts.speedup import speedup_chart
from pi_speedup.report.page.charts.timeline import timeline_chart
from pi_speedup.report.page.sheet import drawing
from pi_speedup.report.page.trials import dots


def charts(report: Report, trials: Sequence[Trial], words: Catalogue) -> dict[str, Chart]:
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
