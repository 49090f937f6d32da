"""Measure the same cluster again and again: how wide is the interval, how often is the verdict sound?

    make repeats                    ten runs on a lab
    make repeats KIND=containers    on Pis that one logs in to: needs Docker and root

Prints a line a run, then how many verdicts were sound, and how many of the pairs of runs have intervals that
don't touch. It needs a machine with nothing else to do. Between two runs it rests until the machine's load
average, which all virtual Pis share, has mostly forgotten the run before.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from pi_speedup.model.report import Estimate, Report
from pi_speedup.model.settings import Settings
from tests.containers.cluster import Cluster
from tests.lab.lab import Lab
from tests.virtual import FEW, await_that

# The check `load` looks at each Pi's load average of a minute; Pis of one's own have one each.
_IDLE_LOAD = 1.2
# What tests shorten is as long here as users have it.
DEFAULTS = {name: Settings.model_fields[name.removeprefix("benchmark_")].default for name in FEW}


def main() -> None:
    """Measure on a cluster of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=["lab", "containers"], nargs="?", default="lab")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--settings", nargs="*", default=[], metavar="NAME=VALUE", help="beside the defaults")
    options = parser.parse_args()
    settings = dict(each.split("=", 1) for each in options.settings)
    with tempfile.TemporaryDirectory(prefix="repeats-") as folder:
        cluster = (Lab if options.kind == "lab" else Cluster)(Path(folder) / "cluster")
        cluster.virtual_cluster("up", *(("--pis", "3", "--cpus", "0.5") if options.kind == "lab" else ()))
        try:
            reports = [show(number, measured(cluster, settings)) for number in range(1, options.runs + 1)]
        finally:
            cluster.virtual_cluster("down")
    conclude(reports)


def measured(cluster: Lab | Cluster, settings: dict[str, str]) -> Report:
    """Return the report of one more run with the defaults, but for these settings."""
    await_that(lambda: os.getloadavg()[0] < _IDLE_LOAD, "an idle machine", 600)
    own = {**DEFAULTS, "benchmark_report_formats": "json", **settings}
    outcome = cluster.play("benchmark.yml", **own)
    assert outcome.exit_code == 0, outcome.output
    return Report.model_validate_json((outcome.run_dir / "report.json").read_bytes())


def speedup(report: Report) -> Estimate:
    """Return the speedup by computing time."""
    found = report.comparisons[0].speedup
    assert found is not None
    return found


def show(number: int, report: Report) -> Report:
    """Print a run's line."""
    found, interval = speedup(report), speedup(report).interval
    between = f"{interval.low:.2f} to {interval.high:.2f}" if interval else "no interval "
    width = report.comparisons[0].half_width_percent
    half = f"{width:5.2f} %" if width is not None else "      -"
    because = ", ".join(report.verdict.because)
    minutes = report.progress.spent_seconds / 60
    print(
        f"{number:>3} {found.value:5.2f}  {between:>12}  {half:>7}  {minutes:4.1f} min  "
        f"{report.verdict.status} {because}",
        flush=True,
    )
    return report


def conclude(reports: list[Report]) -> None:
    """Print what the runs are together."""
    intervals = [interval for report in reports if (interval := speedup(report).interval)]
    apart = sum(
        one.high < other.low or other.high < one.low for one, other in itertools.combinations(intervals, 2)
    )
    pairs = len(intervals) * (len(intervals) - 1) // 2
    widths = [width for report in reports if (width := report.comparisons[0].half_width_percent) is not None]
    sound = sum(report.verdict.status == "sound" for report in reports)
    reach = sum(interval.high >= 2.85 for interval in intervals)
    print(f"sound: {sound} of {len(reports)}; intervals that don't touch: {apart} of {pairs} pairs")
    print(f"half width: median {statistics.median(widths):.2f} %, {min(widths):.2f} to {max(widths):.2f} %")
    print(f"intervals that reach 2.85: {reach} of {len(reports)}")


if __name__ == "__main__":
    main()
