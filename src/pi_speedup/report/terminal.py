"""The report for a terminal: the figure, how far it can be believed, where the rest went."""

from __future__ import annotations

from collections.abc import Iterable

from pi_speedup.model.report import Check, Comparison, Estimate, Report
from pi_speedup.report.words import columns, pis_words, seconds_words
from pi_speedup.text import one_line

TABLE_COLUMNS = 100
# What a check found in many rounds is long and would hide the rest. The other formats have all of it.
_MOST_LINES_A_FLAG = 2
_NAMES = {
    "compute": "compute",
    "end_to_end": "end to end, all samples",
    "end_to_end_share": "end to end, one share",
}
_ROW = "{:<24}{:>11}{:>11}  {:>7}  {:<17}{:>8}  {}"


def terminal_table(report: Report) -> tuple[str, ...]:
    """Return lines of at most 100 columns, without trailing blanks and control characters."""
    lines: list[str] = []
    lines += _wrapped(f"pi-speedup {report.run_id}: {report.headline}")
    if report.caveat is not None:
        lines += _wrapped(f"NOTE {report.caveat}")
    verdict = report.verdict.words
    lines += _wrapped(f"Verdict: {verdict[0].lower()}{verdict[1:]}")
    if report.comparisons:
        lines += ["", *_figures(report), "", *_losses(report)]
    if report.estimate_of_pi is not None:
        lines += _wrapped(f"pi      {pi_words(report)}", 8)
    progress = report.progress
    rounds = f"{progress.rounds_complete} of {progress.rounds_planned} rounds"
    idle = f"; {report.idle}" if report.comparisons else ""
    lines += _wrapped(f"run     {rounds}: {_ending(report)}{idle}", 8)
    # What was said by the line above, or is by those of the trials.
    said = ["incomplete"]
    if not report.comparisons:
        said.append("failed_attempts")
        for row in report.trials:
            told = row.problem is None or row.problem == progress.ending.problem
            why = "" if told or row.problem is None else f": {row.problem.cause}"
            lines += _wrapped(f"trial   {row.name} {row.outcome}{why}", 8)
    flags = [check for check in report.checks if check.status == "flag" and check.code not in said]
    for check in sorted(flags, key=_weight):
        lines += _cut(_wrapped(f"{_label(check)} {check.code}: {check.found}", 9))
    return tuple(line.rstrip() for line in lines)


def pi_words(report: Report) -> str:
    """Return the merged estimate of pi in words."""
    found = report.estimate_of_pi
    assert found is not None
    if found.standard_error is None or found.z_score is None:
        return f"{found.estimate:.6f} from {found.samples:,} samples that are not independent"
    return (
        f"{found.estimate:.6f} +/- {found.standard_error:.6f} from {found.samples:,} samples "
        f"(z = {found.z_score:+.2f})"
    )


def _figures(report: Report) -> list[str]:
    together = pis_words(len(report.pis))
    lines = [_ROW.format("", "one Pi", together, "speedup", "", "of N", "").rstrip()]
    for comparison in report.comparisons:
        estimate = comparison.speedup
        lines.append(
            _ROW.format(
                _NAMES[comparison.name],
                seconds_words(comparison.one_pi.seconds.geometric_mean),
                seconds_words(_parallel_seconds(comparison)),
                "" if estimate is None else f"{estimate.value:.2f}",
                "" if estimate is None else _range(estimate),
                f"{comparison.efficiency.value:.1%}",
                _rounds(comparison),
            ).rstrip()
        )
    # Why the speedup has none is said by the check precision.
    first = report.comparisons[0].no_interval
    for comparison in report.comparisons:
        if comparison.no_interval is not None and comparison.no_interval != first:
            lines += _wrapped(f"(no interval {_NAMES[comparison.name]}: {comparison.no_interval})", 1)
    return lines


def _parallel_seconds(comparison: Comparison) -> float:
    return comparison.all_pis.seconds.geometric_mean


def _range(estimate: Estimate) -> str:
    if estimate.interval is not None:
        return f"{estimate.interval.low:.2f} to {estimate.interval.high:.2f}"
    if estimate.minimum == estimate.maximum:
        return ""
    return f"({estimate.minimum:.2f} to {estimate.maximum:.2f})"


def _rounds(comparison: Comparison) -> str:
    count = len(comparison.rounds)
    return "1 round" if count == 1 else f"{count} rounds"


def _losses(report: Report) -> list[str]:
    assert report.ledger is not None
    mean = report.ledger.mean
    lines = _wrapped(
        f"of N    {mean.efficiency:.1%} = {mean.alone_against_together:.1%} alone against together x "
        f"{mean.balance:.1%} balance x {mean.starting_together:.1%} starting together",
        8,
    )
    wall = report.ledger.wall
    if wall is not None:
        steps = [("schedule", wall.schedule), ("pull", wall.pull), ("start", wall.start)]
        steps += [("compute", wall.compute), ("collect", wall.collect)]
        known = " + ".join(f"{value:.2f} {name}" for name, value in steps if value is not None)
        lines += _wrapped(f"Job     {wall.wall:.2f} s = {known}", 8)
    if report.capacity is not None:
        share, rate = report.capacity.efficiency.value, report.capacity.samples_per_second
        lines += _wrapped(f"Pis     {share:.1%} of the {rate:,.0f} samples/s that they give by themselves", 8)
    for control in report.controls:
        ends = (
            ""
            if control.low is None or control.high is None
            else f", {control.low:.3f} to {control.high:.3f}"
        )
        lines += _wrapped(f"control {control.ratio:.3f}{ends}, should be 1: {control.title}", 8)
    return lines


def _ending(report: Report) -> str:
    """Return why the run ended. What to do next is the line with which a failed benchmark.yml ends."""
    ending = report.progress.ending
    words = ending.words
    if ending.kind == "failed" and ending.problem is not None:
        words = f"stopped by {ending.problem.cause}"
    if ending.kind in ("complete", "target", "budget"):
        return words
    return f"{words}; go on with -e benchmark_run_id={report.run_id}"


def _label(check: Check) -> str:
    return {"none": "NOTED   ", "doubtful": "DOUBTFUL", "invalid": "INVALID "}[check.effect]


def _weight(check: Check) -> int:
    return ["invalid", "doubtful", "none"].index(check.effect)


def _wrapped(text: str, indent: int = 0) -> list[str]:
    """Return text in lines of at most TABLE_COLUMNS columns, further ones indented, every word kept."""
    lines, line = [], ""
    for word in _words(_visible(text), TABLE_COLUMNS - indent):
        if line and columns(line) + columns(word) > TABLE_COLUMNS:
            lines.append(line.rstrip())
            line = " " * indent + word.lstrip()
        else:
            line += word
    return [*lines, line.rstrip()]


def _cut(lines: list[str]) -> list[str]:
    """Return the lines of one flag, with `…` where there would be more of them."""
    kept, more = lines[:_MOST_LINES_A_FLAG], len(lines) > _MOST_LINES_A_FLAG
    if more:
        while columns(f"{kept[-1]} …") > TABLE_COLUMNS:
            kept[-1] = kept[-1].rpartition(" ")[0]
        kept[-1] += " …"
    return kept


def _words(text: str, longest: int) -> Iterable[str]:
    """Give the words of a text, each with the blanks before it; one that is too long in pieces."""
    word = ""
    for letter in text:
        ends = letter == " " and word.strip()
        if ends or columns(word + letter) > longest:
            yield word
            word = ""
        word += letter
    yield word


def _visible(text: str) -> str:
    # Layout has runs of blanks, which one_line would join: it serves for what is harmful only.
    return text if text.isprintable() else one_line(text, 4000)
