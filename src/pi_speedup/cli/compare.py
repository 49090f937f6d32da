"""`compare`: did it help?"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from pi_speedup.catalogue import Catalogue
from pi_speedup.cli.output import Exit, add_page, aligned, is_page, moment, put_file, say, say_json
from pi_speedup.cli.runs import add_runs_dir, find_report
from pi_speedup.codes import Code
from pi_speedup.model.compared import Change, Compared, DifferenceName, Outcome
from pi_speedup.model.report import Report
from pi_speedup.problem import ProblemError, refuse
from pi_speedup.runs.compare import compare
from pi_speedup.runs.history import LEAST_EQUAL_RUNS, report_of, run_folders
from pi_speedup.text import one_line

HELP = "say whether run B was faster than run A"
DESCRIPTION = """\
Say whether run B was faster than run A, and by how much. It compares the time that all
Pis together computed, never speedups: better cooling makes each Pi faster and leaves the
speedup where it was. Percentages are of the work done in a second.
"""
EXAMPLES = f"""\
A and B are run ids, folders of runs, or a report.json or report.html that someone sent.

The margin is 3 %: a smaller change is no difference. Equal runs differ by more than their rounds tell: by
how much is in the interval once the history holds {LEAST_EQUAL_RUNS} of them with the same benchmark_label.
Then the margin is 2 %.

examples:
  python -m pi_speedup compare 20261124-071530-3fa2 latest
  python -m pi_speedup compare runs/before-the-heatsink runs/with-the-heatsink
  python -m pi_speedup compare --despite python,image ~/Downloads/report.html latest
  python -m pi_speedup compare --html heatsink.html before latest
  python -m pi_speedup compare --json --margin 5 before latest | jq .together.percent

exit codes: 0 equal within the margin, 10 faster, 11 slower, 12 no evidence, 13 not comparable,
            2 wrong arguments or unreadable files
"""
_EXITS: dict[Outcome, Exit] = {
    "equal": Exit.EQUAL,
    "faster": Exit.FASTER,
    "slower": Exit.SLOWER,
    "no_evidence": Exit.NO_EVIDENCE,
    "not_comparable": Exit.NOT_COMPARABLE,
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("a", metavar="A", help="the run before")
    parser.add_argument("b", metavar="B", help="the run after")
    parser.add_argument(
        "--margin", type=_margin, metavar="PERCENT", help="what counts as no difference, in percent"
    )
    parser.add_argument(
        "--despite",
        type=_differences,
        metavar="WHAT",
        default=(),
        help=f"compare although this differs; of {', '.join(get_args(DifferenceName))}, joined by commas",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_page(parser)
    add_runs_dir(parser)


def run(options: argparse.Namespace) -> int:
    """Print the answer; return the exit code that says the same."""
    a, b = (find_report(named, options.runs_dir) for named in (options.a, options.b))
    files = [one_line(named, 200) if Path(named).is_file() else None for named in (options.a, options.b)]
    if a == b:
        raise refuse(Code.SAME_RUN_TWICE, a.run_id, "given as A and as B", "name two runs")
    found = compare(
        a,
        b,
        history=_history(options.runs_dir),
        margin_percent=options.margin,
        despite=options.despite,
        told_by=(files[0], files[1]),
    )
    words = Catalogue(options.language, a.unit)
    if options.html is not None:
        # What draws charts takes a while to import: only here.
        from pi_speedup.runs.page import compared_page

        put_file(options.html, compared_page(found, a, b, words), "--html", is_page)
    if options.json:
        say_json(found)
    else:
        for line in _lines(found, words):
            say(line)
    return _EXITS[found.outcome]


def _margin(text: str) -> float:
    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        percent = math.nan
    if not 0 <= percent <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 100")
    return percent


def _differences(text: str) -> tuple[str, ...]:
    known = get_args(DifferenceName)
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(known)}")
    return names


def _history(runs: Path) -> Iterator[Report]:
    for folder in run_folders(runs):
        try:
            yield report_of(folder)
        except ProblemError:
            # `history` shows what is wrong with it.
            continue


def _lines(found: Compared, words: Catalogue) -> Iterator[str]:
    yield words("columns.against", b=found.b.run_id, a=found.a.run_id, answer=found.words)
    if found.outcome == "not_comparable":
        # One line, unless a script asks for more with --json.
        return
    sides = (found.a, found.b)
    alone = _change(found.alone, words)
    yield ""
    yield from aligned(
        [
            ("", "A", "B", words("columns.change")),
            (words("columns.of_run"), *(side.run_id for side in sides), ""),
            (words("columns.of_made"), *(moment(side.made_at) for side in sides), ""),
            (words("columns.of_rounds"), *(str(side.rounds) for side in sides), ""),
            (words("columns.of_verdict"), *(words(f"outcome.{side.verdict}") for side in sides), ""),
            (
                words("columns.together", pis=words.count("pi", len(found.a.pis))),
                *(_seconds(side.together_seconds, words) for side in sides),
                _change(found.together, words),
            ),
            (
                words("columns.alone"),
                *(_seconds(side.alone_seconds, words) for side in sides),
                words("columns.for_information", change=alone) if alone else "",
            ),
        ],
        right=(1, 2),
    )
    yield ""
    margin, scatter = found.margin, found.sessions.sd_percent
    yield words(f"columns.margin_{'given' if margin.given else 'default'}", percent=margin.percent)
    yield words(
        f"columns.sessions_{'unknown' if scatter is None else 'known'}",
        runs=words.count("equal_run", found.sessions.runs),
        least=LEAST_EQUAL_RUNS,
        sd=scatter,
    )
    for each in found.unlike:
        yield words("columns.despite", what=each.words)
    for what in found.also_differs:
        yield words("columns.also", what=what)
    for side in sides:
        if side.told_by is not None:
            yield words("columns.told_by", run=side.run_id, file=side.told_by)
        if side.verdict == "doubtful":
            for reason in side.reasons:
                yield words("columns.doubtful", run=side.run_id, reason=reason)
        if side.caveat:
            yield words("columns.note", runs=side.run_id, caveat=side.caveat)


def _seconds(seconds: float | None, words: Catalogue) -> str:
    return "-" if seconds is None else words.seconds(seconds)


def _change(change: Change | None, words: Catalogue) -> str:
    """Return a change of the work done in a second: `+4.1 % (+2.9 to +5.3)`."""
    if change is None:
        return ""
    return words("columns.percent" if change.low is None else "columns.percent_range", **dict(change))
