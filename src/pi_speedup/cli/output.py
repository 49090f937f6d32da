"""What all commands share: exit codes, columns, and text that is safe on any terminal and in any pipe."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from collections.abc import Iterable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import get_args

from pi_speedup.codes import Code
from pi_speedup.model.base import Model
from pi_speedup.model.settings import Settings
from pi_speedup.problem import refuse
from pi_speedup.report.words import columns
from pi_speedup.text import one_line

_LONGEST_LINE = 4000


class Exit(IntEnum):
    """The exit codes; docs/commands.md promises that they don't change."""

    EQUAL = 0
    PROBLEM = 2
    FASTER = 10
    SLOWER = 11
    NO_EVIDENCE = 12
    NOT_COMPARABLE = 13


def say(line: str = "") -> None:
    """Print one line, without any control character whatever is in it."""
    # Columns have runs of blanks, which one_line would join: it serves for what is harmful only.
    print((line if line.isprintable() else one_line(line, _LONGEST_LINE)).rstrip())


def say_json(model: Model) -> None:
    """Print JSON in ASCII: a terminal that shows it acts on nothing in it."""
    print(json.dumps(model.model_dump(mode="json"), indent=2).replace("\x7f", "\\u007f"))


def aligned(rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Return rows as lines with columns of equal width, two blanks between; those in `right` end together."""
    rows = [[one_line(cell, _LONGEST_LINE) for cell in row] for row in rows]
    widths = [max(columns(row[place]) for row in rows) for place in range(len(rows[0]))] if rows else []
    lines = []
    for row in rows:
        cells = []
        for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
            blanks = " " * (width - columns(cell))
            cells.append(blanks + cell if place in right else cell + blanks)
        lines.append("  ".join(cells).rstrip())
    return lines


def add_page(parser: argparse.ArgumentParser) -> None:
    """Add the options that ask for a page, and name its language."""
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with charts as well")
    parser.add_argument(
        "--language",
        choices=get_args(Settings.model_fields["language"].annotation),
        default="en",
        help="the page's language; en if not given",
    )


def write_file(path: Path, text: str, option: str) -> None:
    """Write a whole file or none; `option` names another place for it."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise refuse(
            Code.FILE_NOT_WRITTEN,
            str(path),
            f"cannot be written ({error.strerror})",
            f"make room there or choose another {option}",
        ) from None
