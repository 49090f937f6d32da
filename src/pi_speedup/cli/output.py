"""What all commands share: exit codes, columns, and text that is safe on any terminal and in any pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum

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
