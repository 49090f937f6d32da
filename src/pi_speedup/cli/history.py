"""`history`: every run of a folder, failed ones too."""

from __future__ import annotations

import argparse

from pi_speedup.catalogue import Catalogue
from pi_speedup.cli.output import Exit, add_page, aligned, is_page, moment, put_file, say, say_json
from pi_speedup.cli.runs import add_runs_dir
from pi_speedup.codes import Code
from pi_speedup.model.compared import History, Past
from pi_speedup.problem import refuse
from pi_speedup.runs.history import past, run_folders

HELP = "list every run, failed ones too"
DESCRIPTION = """\
List every run, the oldest first: when it was made, how many Pis and rounds it has,
the speedup with its interval, the seconds that all Pis together computed, the verdict.
"""
EXAMPLES = """\
examples:
  python -m pi_speedup history
  python -m pi_speedup history --runs-dir /mnt/old-runs
  python -m pi_speedup history --html history.html
  python -m pi_speedup history --html ~/pis.html --language zh-TW
  python -m pi_speedup history --json | jq '.runs[] | select(.verdict == "sound") | .speedup'
"""
_HEAD = ("run", "made", "pis", "rounds", "speedup", "interval", "seconds", "verdict")
_RIGHT = (2, 3, 4, 6)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    add_runs_dir(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_page(parser)


def run(options: argparse.Namespace) -> int:
    """Print the runs."""
    runs = options.runs_dir
    if not runs.is_dir():
        raise refuse(
            Code.RUN_MISSING,
            str(runs),
            "there is no such folder",
            "measure first: make benchmark",
        )
    # By the time and not the name: a run may have been given one.
    looked = sorted((past(folder) for folder in run_folders(runs)), key=lambda each: _when(each[0]))
    found = [each for each, _ in looked]
    history = History(runs=tuple(found))
    words = Catalogue(options.language)
    if options.html is not None:
        # What draws charts takes a while to import: only here.
        from pi_speedup.runs.compare import rate_estimate
        from pi_speedup.runs.page import history_page

        rates = [None if report is None else rate_estimate(report) for _, report in looked]
        put_file(options.html, history_page(history, rates, words), "--html", is_page)
    if options.json:
        say_json(history)
        return Exit.EQUAL
    head = tuple(words(f"columns.{name}") for name in _HEAD)
    for line in aligned([head, *(_row(each, words) for each in found)], _RIGHT):
        say(line)
    for caveat in sorted({each.caveat for each in found if each.caveat}):
        named = words.listed([each.run_id for each in found if each.caveat == caveat], most=3)
        say(words("columns.note", runs=named, caveat=caveat))
    return Exit.EQUAL


def _when(each: Past) -> tuple[str, str]:
    return each.made_at or "", each.run_id


def _row(each: Past, words: Catalogue) -> tuple[str, ...]:
    if each.problem is not None:
        return (each.run_id, "-", "-", "-", "-", "-", "-", words("columns.unread", problem=each.problem))
    verdict = words("columns.no_figure" if each.verdict == "none" else f"outcome.{each.verdict}")
    return (
        each.run_id,
        moment(each.made_at or "-"),
        words("history.some_pis", count=each.pis, all=each.pis + each.left_out)
        if each.pis and each.left_out
        else str(each.pis),
        f"{each.rounds_complete}/{each.rounds_planned}",
        "-" if each.speedup is None else f"{each.speedup:.2f}",
        "-" if each.interval is None else words.span(f"{each.interval.low:.2f}", f"{each.interval.high:.2f}"),
        "-" if each.seconds is None else words.number(each.seconds, 0 if each.seconds >= 1000 else 2),
        words("columns.ended", verdict=verdict, ending=each.ending) if each.ending else verdict,
    )
