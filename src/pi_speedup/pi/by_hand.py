"""A base case as a script for `sh`, with what a person has to know before typing that."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from pi_speedup.pi.runtime import OWNER_LABEL, Case, command
from pi_speedup.text import as_comments
from pi_speedup.workload import workload_of


def base_by_hand(case: Case, program: str) -> str:
    """Return the command that measured a base case as a script, below comments on how to run it again.

    The program, which came on standard input, stands in it: so it is the one that was measured, whatever
    becomes of its file, and one connection brings both. A program without a newline at its end gets one.
    """
    mark = _end_mark(program)
    newline = "" if program.endswith("\n") else "\n"
    line = " \\\n  ".join(_lines(command(case)))
    return f"#!/bin/sh\n{_head(case)}\n{line} <<'{mark}'\n{program}{newline}{mark}\n"


def _lines(words: Iterable[str]) -> Iterator[str]:
    """Yield the words of a command in lines to be read: each option on its own, and what follows them."""
    line: list[str] = []
    for word in words:
        if line and (word.startswith("--") or line[-1].startswith("--")):
            yield shlex.join(line)
            line = []
        line.append(word)
    yield shlex.join(line)


def _end_mark(program: str) -> str:
    """Return a line that the program does not have."""
    mark = "END_OF_PROGRAM"
    while mark in program.splitlines():
        mark += "_"
    return mark


def _head(case: Case) -> str:
    settings, cell = case.plan.settings, case.slot.cell
    runtime, file = settings.base_runtime, f"{cell}.sh"
    source = workload_of(settings).program
    how = "process" if runtime == "process" else f"{runtime} container"
    lines = f"""
The base case of cell {cell}, as it was started on {case.pi} for trial {case.slot.attempt(case.attempt)}
of run {case.plan.run_id}: a {how}.
The cell's other trials differ in what names the trial.

To run it once more, while no benchmark measures, from this folder:

  ssh {case.pi} sh <{file}

or on {case.pi} itself, with a copy of this file: sh {file}

ssh needs the user and address by which you reach {case.pi}. Where the inventory has the benchmark use sudo
there, write sudo sh.

The program comes on standard input. It is the text below, {source} as it was measured.
To run a file instead, put <FILE in place of << and all that follows.
timeout ends the program after {settings.timeout_seconds} s. Ctrl-C does not: it ends sh alone.
"""
    lines += _of_process() if runtime == "process" else _of_container(case)
    return as_comments(lines)


def _of_process() -> str:
    return """
The benchmark marks its processes in their environment, to find them again. This one has no mark: neither
the next benchmark nor cleanup.yml ends it.
"""


def _of_container(case: Case) -> str:
    settings = case.plan.settings
    return f"""
Before that: the image has to be there ({settings.base_runtime} pull {settings.image}),
and no container may have this name.
When it has ended, --rm removes it. While it runs, the next benchmark and cleanup.yml take it for theirs, by
the label {OWNER_LABEL}, and remove it: take that line out to keep them from it.
"""
