"""The report for a terminal: the figure, how far it can be believed, where the rest went."""

from __future__ import annotations

from collections.abc import Iterable

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.report import Check, Estimate, Report
from pi_speedup.report.wording import in_brief
from pi_speedup.report.workload import own_section
from pi_speedup.text import columns, one_line

TABLE_COLUMNS = 100
# What a cluster said may be long and would hide the rest. The other formats have all of it.
_MOST_LINES_A_FLAG = 3
_MOST_POINTS = 16
_LABEL_COLUMNS = 11
# Of each column of the figures: blanks before it, its width, and whether it begins at the left.
_ROW = (
    (0, 26, True),
    (0, 11, False),
    (0, 11, False),
    (2, 7, False),
    (2, 17, True),
    (0, 11, False),
    (2, 0, True),
)


def terminal_table(report: Report, words: Catalogue) -> tuple[str, ...]:
    """Return lines of at most 100 columns, without trailing blanks and control characters."""
    lines: list[str] = []
    lines += _wrapped(f"pi-speedup {report.run_id}: {words.say(report.headline)}")
    if report.caveat is not None:
        lines += _wrapped(words("terminal.note", caveat=report.caveat))
    verdict = words.say(report.verdict.words)
    lines += _wrapped(words("terminal.verdict", verdict=f"{verdict[0].lower()}{verdict[1:]}"))
    if report.comparisons:
        lines += ["", *_figures(report, words), *_sweep(report, words), "", *_losses(report, words)]
    own = own_section(report, words)
    if own is not None:
        lines += _labelled(words, own.label, own.short)
    progress = report.progress
    key = "terminal.run_idle" if report.comparisons else "terminal.run"
    rounds = words(
        key,
        done=progress.rounds_complete,
        planned=progress.rounds_planned,
        ending=_ending(report, words),
        idle=report.idle,
    )
    lines += _labelled(words, "run", rounds)
    # What was said by the line above, or is by those of the trials.
    said = ["incomplete"]
    if not report.comparisons:
        said.append("failed_attempts")
        for row in report.trials:
            told = row.problem is None or row.problem == progress.ending.problem
            why = "" if told or row.problem is None else f": {row.problem.cause}"
            lines += _labelled(words, "trial", f"{row.name} {words(f'terminal.{row.outcome}')}{why}")
    flags = [check for check in report.checks if check.status == "flag" and check.code not in said]
    for check in sorted(flags, key=_weight):
        label = _padded(words(f"terminal.{check.effect}"), 8)
        flag = words("terminal.flag", found=in_brief(check), code=check.code, meaning=check.meaning or "")
        lines += _cut(_wrapped(f"{label} {flag}", 9))
    return tuple(line.rstrip() for line in lines)


def _figures(report: Report, words: Catalogue) -> list[str]:
    together = words.count("pi", len(report.pis))
    head = (words("terminal.one_pi"), together, words("terminal.speedup"), "", words("terminal.efficiency"))
    lines = [_row("", *head, "")]
    for comparison in report.comparisons:
        estimate = comparison.speedup
        lines.append(
            _row(
                words(f"figure.{comparison.name}"),
                words.seconds(comparison.one_pi.seconds.geometric_mean),
                words.seconds(comparison.all_pis.seconds.geometric_mean),
                "" if estimate is None else f"{estimate.value:.2f}",
                "" if estimate is None else _range(estimate, words),
                words.percent(comparison.efficiency.value),
                words.count("round", len(comparison.rounds)),
            )
        )
    # Why the speedup has none is said by the check precision.
    first = report.comparisons[0].no_interval
    for comparison in report.comparisons:
        if comparison.no_interval is not None and comparison.no_interval != first:
            name = words(f"figure.{comparison.name}")
            lines += _wrapped(words("terminal.no_interval", name=name, why=comparison.no_interval), 1)
    return lines


def _sweep(report: Report, words: Catalogue) -> list[str]:
    """Return a line for each number of Pis, of many for some, the last one among them."""
    points = report.sweep.points if report.sweep is not None else ()
    step = -(-len(points) // _MOST_POINTS) or 1
    return [
        _row(
            words.count("pi", each.pis),
            "",
            "",
            f"{each.speedup.value:.2f}",
            _range(each.speedup, words),
            words.percent(each.efficiency.value),
            "",
        )
        for each in points[::-step][::-1]
        if len(points) > 1
    ]


def _row(*cells: str) -> str:
    """Return a line of the table; widths are columns, of which a Chinese letter takes two."""
    shown = "".join(
        " " * before + (_padded(cell, width) if left else " " * (width - columns(cell)) + cell)
        for cell, (before, width, left) in zip(cells, _ROW, strict=True)
    )
    return shown.rstrip()


def _range(estimate: Estimate, words: Catalogue) -> str:
    if estimate.interval is not None:
        return words.span(f"{estimate.interval.low:.2f}", f"{estimate.interval.high:.2f}")
    if estimate.minimum == estimate.maximum:
        return ""
    return f"({words.span(f'{estimate.minimum:.2f}', f'{estimate.maximum:.2f}')})"


def _losses(report: Report, words: Catalogue) -> list[str]:
    assert report.ledger is not None
    lines = _labelled(words, "efficiency", words("terminal.factors", **dict(report.ledger.mean)))
    wall = report.ledger.wall
    if wall is not None:
        known = [(name, value) for name, value in wall if name != "wall" and value is not None]
        steps = " + ".join(f"{value:.2f} {words(f'step.{name}')}" for name, value in known)
        lines += _labelled(words, "job", f"{wall.wall:.2f} s = {steps}")
    if report.capacity is not None:
        share, rate = report.capacity.efficiency.value, words.rate(report.capacity.amount_per_second)
        lines += _labelled(words, "pis", words("terminal.capacity", share=share, rate=rate))
    for control in report.controls:
        key = "terminal.should_be" if control.low is None else "terminal.should_be_range"
        lines += _labelled(words, "control", words(key, **dict(control)))
    return lines


def _ending(report: Report, words: Catalogue) -> str:
    """Return why the run ended. What to do next is the line with which a failed benchmark.yml ends."""
    ending = report.progress.ending
    said = words.say(ending.words)
    if ending.kind == "failed" and ending.problem is not None:
        said = words("ending.failed", why=ending.problem.cause)
    if ending.kind in ("complete", "target", "budget"):
        return said
    return words("terminal.go_on", ending=said, run=report.run_id)


def _labelled(words: Catalogue, label: str, text: str) -> list[str]:
    return _wrapped(_padded(words(f"terminal.label_{label}"), _LABEL_COLUMNS) + text, _LABEL_COLUMNS)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - columns(text))


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
