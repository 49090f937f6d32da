"""Where the ideal speedup went, and where the time of a Job. Imports matplotlib."""

from __future__ import annotations

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.report import Report
from pi_speedup.report.page.charts.chart import Chart
from pi_speedup.report.page.charts.rows import Bar, Row, row, rows_chart
from pi_speedup.report.page.sheet import ACCENT, SECOND, SOFT
from pi_speedup.report.page.svg import Data
from pi_speedup.report.wording import main_comparison


def ledger_chart(report: Report, words: Catalogue) -> Chart | None:
    """Draw how the ideal speedup becomes the measured one."""
    main = main_comparison(report)
    if report.ledger is None or main is None:
        return None
    mean, ideal = report.ledger.mean, float(len(report.pis))
    rows = [
        row(
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
            Row(
                label,
                change,
                (
                    Bar(0, min(now, after), SOFT, "", {}, ""),
                    Bar(
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
        row(
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
    return rows_chart("ledger", words("ledger.title"), "ledger.desc", words("ledger.x"), rows, words)


def wall_chart(report: Report, words: Catalogue) -> Chart | None:
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
            row(
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
    return rows_chart("wall", words("wall.title"), "wall.desc", words("wall.x"), rows, words)


def _signed(value: float) -> str:
    shown = f"{value:+.2f}"
    return "0.00" if shown[1:] == "0.00" else shown.replace("-", "\N{MINUS SIGN}")
