"""Does the interval cover, do the checks see, are clean runs left alone? The tables of docs/simulations.md.

    make simulations
    python benchmarks/simulations.py coverage      one of coverage, adaptive, sights, clean, compared

All runs are simulated, through the real code from trials to interval and flags; the seeds are fixed, so it
prints the same tables each time. Quick ones of the same kind are tests (tests/unit/report/test_simulated.py).
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from tests.unit.report.simulated import (
    CLEAN,
    SIZED,
    WORLDS,
    Quiet,
    Sight,
    adaptive_plan,
    coverage_plan,
    covers,
    covers_when_narrow_enough,
    files_say_the_same,
    sight,
)
from tests.unit.runs.simulated import Runs

COVERAGE_RUNS = 4000
FILE_RUNS = 25
SIGHT_RUNS = 400
CLEAN_RUNS = 1000
CLEAN_RUNS_OF_MANY_PIS = 100
BLIND_RUNS = 100
COMPARED_RUNS = 1000
COMPARED = (
    *(Runs(count, sd) for sd in (0.0, 0.01, 0.02) for count in (2, 6, 8, 12)),
    *(Runs(count, 0.01, 0.1, labelled) for labelled in (True, False) for count in (2, 6, 8, 12)),
)
# Those that get there within the plan's rounds.
ADAPTIVE_WORLDS = ("normal, 2 %", "2 %, and a round shares 5 %", "1 %, and 10 % slower at the end")
SIGHT_RUNS_OF = (Quiet(3, 0.01), Quiet(3, 0.04), Quiet(8, 0.02))

Answer = TypeVar("Answer")


def main(names: Sequence[str]) -> None:
    """Print the tables of these names, all of them where none is given."""
    start = time.monotonic()
    tables = {
        "coverage": coverage,
        "adaptive": adaptive,
        "sights": sights,
        "clean": clean,
        "compared": compared,
    }
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name in names or tables:
            tables[name](pool)
    print(f"\nIt took {time.monotonic() - start:.0f} s.")


def coverage(pool: Executor) -> None:
    """Print in how many runs the interval contains the truth."""
    print(f"\nCoverage in percent, {COVERAGE_RUNS:,} runs a cell, 3 Pis:\n")
    row("World", "R = 5", "R = 7", "R = 5, from files", head=True)
    for world in WORLDS:
        cells = [
            sum(each(pool, partial(covers, world, coverage_plan(rounds)), COVERAGE_RUNS)) for rounds in (5, 7)
        ]
        same = sum(each(pool, partial(through_files, world), FILE_RUNS))
        row(world, *(f"{100 * cell / COVERAGE_RUNS:.1f}" for cell in cells), f"{same} of {FILE_RUNS} same")


def adaptive(pool: Executor) -> None:
    """Print the same of runs that stop when their interval is narrow enough."""
    print(f"\nStopped when half the width was 2 %, {COVERAGE_RUNS:,} runs a cell, 3 Pis:\n")
    row("World", "Coverage", "Rounds, mean", "Rounds, most", head=True)
    for world in ADAPTIVE_WORLDS:
        found = list(each(pool, partial(covers_when_narrow_enough, world, adaptive_plan()), COVERAGE_RUNS))
        rounds = [number for _, number in found]
        share = sum(covered for covered, _ in found) / COVERAGE_RUNS
        row(world, f"{100 * share:.1f}", f"{sum(rounds) / len(rounds):.1f}", f"{max(rounds)}")


def sights(pool: Executor) -> None:
    """Print what each check that has a size would have seen, and whether it did."""
    print(f"\nWhat checks see, {SIGHT_RUNS} runs a row:\n")
    row("Check", "Pis, noise", "Would have seen, mean", "Flagged at that size", "At half of it", head=True)
    cases = list(itertools.product(SIZED, SIGHT_RUNS_OF))
    for (code, quiet), seen in zip(cases, pool.map(seeing, cases), strict=True):
        shares = (f"{100 * count / SIGHT_RUNS:.1f} %" for count in (seen.at_size, seen.at_half))
        row(f"`{code}`", f"{quiet.pis}, {100 * quiet.noise:.0f} %", f"{seen.percent:.1f} %", *shares)


def clean(pool: Executor) -> None:
    """Print how often runs of nothing but noise are flagged, and by what."""
    print(f"\nClean runs, 7 rounds, {CLEAN_RUNS} a row, {CLEAN_RUNS_OF_MANY_PIS} of 100 Pis:\n")
    row("Pis", "Noise", "Any flag", "Which, of how many runs", "As far as seen", head=True)
    for quiet in CLEAN:
        runs = CLEAN_RUNS_OF_MANY_PIS if quiet.pis == 100 else CLEAN_RUNS
        flags = list(each(pool, quiet.flags, runs))
        which = Counter(itertools.chain.from_iterable(flags))
        words = ", ".join(f"`{code}` {count}" for code, count in which.most_common()) or "none"
        share = sum(map(bool, flags)) / runs
        blind = sum(each(pool, quiet.is_blind, BLIND_RUNS)) / BLIND_RUNS
        shares = f"{100 * share:.1f} %", words, f"{100 * blind:.0f} %"
        row(str(quiet.pis), f"{100 * quiet.noise:.0f} %", *shares)


def compared(pool: Executor) -> None:
    """Print what compare says of equal runs, and of a gain, by how many runs the history holds."""
    print(f"\nTwo runs compared, 7 rounds, {COMPARED_RUNS} a row:\n")
    row("Runs", "Sessions", "Gain", "Faster or slower", "Equal", "Interval holds the truth", head=True)
    for runs in COMPARED:
        found = list(each(pool, runs.answer, COMPARED_RUNS))
        outcomes = Counter(outcome for outcome, _ in found)
        shares = (
            outcomes["faster"] + outcomes["slower"],
            outcomes["equal"],
            sum(held for _, held in found),
        )
        gain = f"{100 * runs.gain:.0f} %{', labelled' if runs.labelled else ''}" if runs.gain else "none"
        cells = (f"{100 * share / COMPARED_RUNS:.1f} %" for share in shares)
        row(str(runs.count), f"{100 * runs.sd:.0f} %", gain, *cells)


def each(pool: Executor, function: Callable[[int], Answer], runs: int) -> Iterable[Answer]:
    """Give what a function says of each of so many seeds."""
    return pool.map(function, range(runs), chunksize=max(1, runs // 40))


def through_files(world: str, seed: int) -> bool:
    """Say whether a run comes to the same interval through its files."""
    with tempfile.TemporaryDirectory() as folder:
        return files_say_the_same(Path(folder) / "run", world, coverage_plan(5), seed)


def seeing(case: tuple[str, Quiet]) -> Sight:
    """Return what a check sees in such runs."""
    return sight(*case, SIGHT_RUNS)


def row(*cells: str, head: bool = False) -> None:
    """Print a row of a Markdown table, or its head."""
    print(f"| {' | '.join(cells)} |", flush=True)
    if head:
        print(f"|{'---|' * len(cells)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
