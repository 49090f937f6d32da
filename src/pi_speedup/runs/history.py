"""All runs of a folder: their reports, and how far equal runs differ by themselves."""

from __future__ import annotations

import itertools
import math
import os
import statistics
from collections.abc import Sequence
from pathlib import Path

from pi_speedup.catalogue import Message
from pi_speedup.codes import Code
from pi_speedup.model.compared import Past, Sessions
from pi_speedup.model.report import Comparison, Report
from pi_speedup.problem import ProblemError, refuse
from pi_speedup.report.wording import reasons
from pi_speedup.store import PRIVATE, RunStore
from pi_speedup.text import one_line

# With fewer, the scatter of equal runs is not known well enough to judge by it.
LEAST_EQUAL_RUNS = 5
# The median of |x| of a standard normal x.
_MEDIAN_OF_NORMAL = 0.6744897501960817
_BEFORE_THE_PLAN = frozenset({PRIVATE, "hosts", "nodes.json"})


def report_of(folder: Path) -> Report:
    """Return the report of the run in a folder, made from its trials: a report.json there proves nothing.

    ProblemError naming the file that is missing or wrong. Nothing is written.
    """
    if not RunStore(folder).has_plan:
        raise refuse(
            Code.RUN_MISSING,
            str(folder),
            "not the folder of a run, it has no plan.json",
            "name a run, or its folder",
        )
    from pi_speedup.report.build import build_report
    from pi_speedup.report.evidence import read_contents

    return build_report(read_contents(folder))


def run_folders(runs: Path) -> tuple[Path, ...]:
    """Return the folders of all runs, failed ones too, in the order of their names; () where there is none.

    A folder is a run's if it holds a plan, or nothing but what a run leaves that ended before it had one.
    """
    try:
        entries = sorted(runs.iterdir())
    except OSError:
        return ()
    found = []
    for entry in entries:
        try:
            if entry.name.startswith(".") or entry.is_symlink() or not entry.is_dir():
                continue
            inside = {each.name for each in os.scandir(entry)}
        except OSError:
            # Why it cannot be read is said in its line.
            inside = {"plan.json"}
        if "plan.json" in inside or (inside and inside <= _BEFORE_THE_PLAN):
            found.append(entry)
    return tuple(found)


def past(folder: Path) -> tuple[Past, Report | None]:
    """Return a run's line in the history, and its report; one whose files cannot be read says so instead."""
    try:
        if not RunStore(folder).has_plan:
            return _unread(folder, Message("history.no_plan")), None
        report = report_of(folder)
    except ProblemError as error:
        return _unread(folder, str(error.problem.model_copy(update={"next_step": ""}))), None
    return past_of(report), report


def past_of(report: Report) -> Past:
    """Return the line of a run with this report."""
    found = compute(report)
    speedup = found.speedup if found else None
    ending = report.progress.ending
    return Past(
        run_id=report.run_id,
        made_at=report.made_at,
        pis=len(report.pis),
        left_out=len(report.left_out),
        rounds_complete=report.progress.rounds_complete,
        rounds_planned=report.progress.rounds_planned,
        speedup=speedup.value if speedup else None,
        interval=speedup.interval if speedup else None,
        seconds=found.all_pis.seconds.geometric_mean if found else None,
        verdict=report.verdict.status,
        reasons=tuple(reasons(report.checks, report.verdict.because)),
        ending=None if ending.kind == "complete" else ending.words,
        caveat=report.caveat,
        problem=None,
    )


def compute(report: Report) -> Comparison | None:
    """Return the comparison of the computing itself, None where no round is complete."""
    return next((each for each in report.comparisons if each.name == "compute"), None)


def together_rates(report: Report) -> tuple[float, ...]:
    """Return the logarithm of how much a second all Pis did, one of each complete round."""
    found = compute(report)
    if found is None:
        return ()
    return tuple(math.log(found.all_pis.amount / each.all_pis_seconds) for each in found.rounds)


def session_scatter(chains: Sequence[Sequence[Report]]) -> tuple[Sessions, int]:
    """Return how far equal runs scatter, each chain in the order of time, and its degrees of freedom.

    It is told by the differences between each run and the next, of them by the median:
    sd = median |d| / (0.6745 sqrt 2). So a change that nobody wrote down, such as a fan, spoils one
    difference and not the figure. What the rounds' own noise explains is taken off.
    Sources: von Neumann et al. 1941, Annals of Mathematical Statistics 12, 153-162 (successive differences);
    Hampel 1974, JASA 69, 383-393 (median deviation). Assumption: sessions are independent.
    """
    rates = [[found for report in chain if len(found := together_rates(report)) > 1] for chain in chains]
    runs = sum(map(len, rates))
    differences = [
        abs(statistics.fmean(after) - statistics.fmean(before))
        for chain in rates
        for before, after in itertools.pairwise(chain)
    ]
    if len(differences) < LEAST_EQUAL_RUNS - 1:
        return Sessions(runs=runs, sd_percent=None), 0
    scatter = statistics.median(differences) / (_MEDIAN_OF_NORMAL * math.sqrt(2))
    noise = statistics.fmean(statistics.variance(each) / len(each) for chain in rates for each in chain)
    deviation = 100 * math.sqrt(max(0.0, scatter**2 - noise))
    return Sessions(runs=runs, sd_percent=deviation), len(differences)


def _unread(folder: Path, why: str) -> Past:
    return Past(
        run_id=one_line(folder.name, 250),
        made_at=None,
        pis=None,
        left_out=None,
        rounds_complete=None,
        rounds_planned=None,
        speedup=None,
        interval=None,
        seconds=None,
        verdict=None,
        reasons=(),
        ending=None,
        caveat=None,
        problem=why if isinstance(why, Message) else one_line(why, 600),
    )
