"""What all commands share: exit codes, columns, and text that is safe on any terminal and in any pipe."""

from __future__ import annotations

import argparse
import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from pathlib import Path

from pi_speedup.catalogue import LANGUAGES
from pi_speedup.codes import Code
from pi_speedup.files import UnfitFileError, is_there, read_file
from pi_speedup.model.base import Model
from pi_speedup.problem import refuse
from pi_speedup.text import columns, one_line

_LONGEST_LINE = 4000
_LARGEST_PAGE_BYTES = 256 * 1024 * 1024


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


def moment(made_at: str) -> str:
    """Return when a run was made, as a column has it."""
    return made_at.removesuffix("Z").replace("T", " ")


def add_page(parser: argparse.ArgumentParser) -> None:
    """Add the options that ask for a page, and name its language."""
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with charts as well")
    parser.add_argument(
        "--language",
        choices=LANGUAGES,
        default="en",
        help="language of what is printed and of the page; en if not given",
    )


def is_page(content: bytes) -> bool:
    """Say whether a file is a page that was made here."""
    return b'<meta name="generator" content="pi-speedup ' in content[:4096]


def put_file(path: Path, text: str, option: str, may_replace: Callable[[bytes], bool]) -> None:
    """Write a whole file or none; `option` names another place for it.

    What is there already is replaced if it is a file, and may_replace says so of its content.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        if is_there(path):
            _see_that_it_may_go(path, option, may_replace)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with fresh.open("x", encoding="utf-8") as file:
                file.write(text)
            fresh.replace(path)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise refuse(
            Code.FILE_NOT_WRITTEN,
            str(path),
            f"cannot be written ({error.strerror})",
            f"make room there or choose another {option}",
        ) from None


def _see_that_it_may_go(path: Path, option: str, may_replace: Callable[[bytes], bool]) -> None:
    try:
        what = "" if may_replace(read_file(path, _LARGEST_PAGE_BYTES)) else "there already, and not made here"
    except UnfitFileError as error:
        what = str(error.strerror)
    if what:
        raise refuse(Code.FILE_IN_THE_WAY, str(path), what, f"move it away, or choose another {option}")
