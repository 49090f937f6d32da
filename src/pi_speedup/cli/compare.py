"""`compare`: did it help?"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from pi_speedup.cli.output import Exit, add_page, aligned, say, say_json, write_file
from pi_speedup.cli.runs import add_runs_dir, find_report
from pi_speedup.codes import Code
from pi_speedup.model.compared import Change, Compared, DifferenceName, Outcome, RunTimes
from pi_speedup.model.report import Report
from pi_speedup.problem import ProblemError, refuse
from pi_speedup.report.compare import compare
from pi_speedup.report.history import LEAST_EQUAL_RUNS, report_of, run_folders
from pi_speedup.report.words import seconds_words
from pi_speedup.text import listed

HELP = "say whether run B was faster than run A"
DESCRIPTION = """\
Say whether run B was faster than run A, and by how much. It compares the time that all
Pis together computed, never speedups: better cooling makes each Pi faster and leaves the
speedup where it was. Percentages are of samples per second.
"""
EXAMPLES = f"""\
A and B are run ids, folders of runs, or a report.json or report.html that someone sent.

The margin is 2 %: a smaller change is no difference, as two equal runs may differ by it. It is raised to
twice the scatter of equal runs once the history holds {LEAST_EQUAL_RUNS} of them on these Pis.

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
    if a == b:
        raise refuse(Code.SAME_RUN_TWICE, a.run_id, "given as A and as B", "name two runs")
    found = compare(
        a, b, history=_history(options.runs_dir), margin_percent=options.margin, despite=options.despite
    )
    if options.html is not None:
        # What draws charts takes a while to import: only here.
        from pi_speedup.report.page.runs import compared_page

        write_file(options.html, compared_page(found, a, b, options.language), "--html")
    if options.json:
        say_json(found)
    else:
        for line in _lines(found):
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


def _lines(found: Compared) -> Iterator[str]:
    yield f"{found.b.run_id} against {found.a.run_id}: {found.words}"
    if found.outcome == "not_comparable":
        # One line, unless a script asks for more with --json.
        return
    yield ""
    yield from aligned(
        [
            ("", "A", "B", "B against A"),
            ("run", found.a.run_id, found.b.run_id, ""),
            ("made (UTC)", *(_made(side) for side in (found.a, found.b)), ""),
            ("complete rounds", str(found.a.rounds), str(found.b.rounds), ""),
            ("verdict", found.a.verdict, found.b.verdict, ""),
            (
                f"{_pis(found.a)} together",
                _seconds(found.a.together_seconds),
                _seconds(found.b.together_seconds),
                _change(found.together),
            ),
            (
                "one Pi alone",
                _seconds(found.a.alone_seconds),
                _seconds(found.b.alone_seconds),
                f"{_change(found.alone)}, for information" if found.alone else "",
            ),
        ],
        right=(1, 2),
    )
    yield ""
    yield f"Margin: {_margin_words(found)}"
    for each in found.unlike:
        yield f"Compared in spite of: {each.words}"
    for words in found.also_differs:
        yield f"Also differs: {words}"
    for side in (found.a, found.b):
        if side.verdict == "doubtful":
            yield f"NOTE {side.run_id} is doubtful because of {listed(side.because)}: see its report"
        if side.caveat:
            yield f"NOTE {side.run_id}: {side.caveat}"


def _made(side: RunTimes) -> str:
    return side.made_at.removesuffix("Z").replace("T", " ")


def _pis(side: RunTimes) -> str:
    return "1 Pi" if len(side.pis) == 1 else f"{len(side.pis)} Pis"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else seconds_words(seconds)


def _change(change: Change | None) -> str:
    """Return a change of samples a second: `+4.1 % (+2.9 to +5.3)`."""
    if change is None:
        return ""
    if change.low is None or change.high is None:
        return f"{change.percent:+.1f} %"
    return f"{change.percent:+.1f} % ({change.low:+.1f} to {change.high:+.1f})"


def _margin_words(found: Compared) -> str:
    margin = found.margin
    percent = f"{margin.percent:.3g} %"
    equal = f"{margin.runs} equal runs" if margin.runs != 1 else "1 equal run"
    if margin.why == "given":
        return f"{percent}, as given"
    if margin.session_sd_percent is None:
        return f"{percent}; {equal} in the history, and {LEAST_EQUAL_RUNS} tell how far they scatter"
    scatter = f"{equal} in the history scatter by {margin.session_sd_percent:.2g} % (standard deviation)"
    return f"{percent}, twice that: {scatter}" if margin.why == "history" else f"{percent}; {scatter}"
