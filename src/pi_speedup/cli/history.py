"""`history`: every run of a folder, failed ones too."""

from __future__ import annotations

import argparse

from pi_speedup.cli.output import Exit, add_page, aligned, say, say_json, write_file
from pi_speedup.cli.runs import add_runs_dir
from pi_speedup.codes import Code
from pi_speedup.model.compared import History, Past
from pi_speedup.problem import refuse
from pi_speedup.report.history import past, run_folders
from pi_speedup.report.words import seconds_words
from pi_speedup.text import listed

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
_HEAD = ("RUN", "MADE (UTC)", "PIS", "ROUNDS", "SPEEDUP", "INTERVAL", "SECONDS", "VERDICT")
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
            "measure first: ansible-playbook benchmark.yml",
        )
    # By the time and not the name: a run may have been given one.
    looked = sorted((past(folder) for folder in run_folders(runs)), key=lambda each: _when(each[0]))
    found = [each for each, _ in looked]
    history = History(runs=tuple(found))
    if options.html is not None:
        # What draws charts takes a while to import: only here.
        from pi_speedup.report.compare import rate_estimate
        from pi_speedup.report.page.runs import history_page

        rates = [None if report is None else rate_estimate(report) for _, report in looked]
        write_file(options.html, history_page(history, rates, options.language), "--html")
    if options.json:
        say_json(history)
        return Exit.EQUAL
    for line in aligned([_HEAD, *map(_row, found)], _RIGHT):
        say(line)
    for caveat in sorted({each.caveat for each in found if each.caveat}):
        say(f"NOTE {listed([each.run_id for each in found if each.caveat == caveat], most=3)}: {caveat}")
    return Exit.EQUAL


def _when(each: Past) -> tuple[str, str]:
    return each.made_at or "", each.run_id


def _row(each: Past) -> tuple[str, ...]:
    if each.problem is not None:
        return (each.run_id, "-", "-", "-", "-", "-", "-", f"unreadable: {each.problem}")
    verdict = str(each.verdict)
    return (
        each.run_id,
        (each.made_at or "-").removesuffix("Z").replace("T", " "),
        f"{each.pis} of {each.pis + each.left_out}" if each.pis and each.left_out else str(each.pis),
        f"{each.rounds_complete}/{each.rounds_planned}",
        "-" if each.speedup is None else f"{each.speedup:.2f}",
        "-" if each.interval is None else f"{each.interval.low:.2f} to {each.interval.high:.2f}",
        "-" if each.seconds is None else seconds_words(each.seconds).removesuffix(" s"),
        f"{verdict}; {each.ending}" if each.ending else verdict,
    )
