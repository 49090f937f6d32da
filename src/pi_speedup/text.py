"""Text at the borders: anything to one harmless line, any value to plain JSON types."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Iterable, Mapping

# Long enough for a kubelet's or scheduler's message, short enough for a terminal.
LINE_LIMIT = 300
# Linux' two words for it; the programs that it stops repeat them.
_FULL_DISK = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)


def one_line(text: object, limit: int = LINE_LIMIT) -> str:
    """Return untrusted text as one harmless line of at most `limit` characters.

    Control, format (bidi overrides too), surrogate and unassigned characters become spaces, runs of white
    space become one space; what is cut off at the end is shown by an ellipsis.
    """
    # Bounded before the loop, so that a log of megabytes costs nothing.
    raw = str(text)[: 4 * limit]
    # Most texts are harmless: str.isprintable knows the same categories, and is done in no time.
    if not raw.isprintable():
        raw = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in raw)
    line = " ".join(raw.split())
    return line if len(line) <= limit else line[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def innermost(text: object, limit: int) -> str:
    """Return errors wrapped in each other as one harmless line, without the outer ones if it is too long.

    Programs in Go put a colon between them, and the cause comes last.
    """
    line = one_line(text, 8 * LINE_LIMIT)
    while len(line) > limit and ": " in line:
        line = line.partition(": ")[2]
    return one_line(line, limit)


def tells_full_disk(text: str) -> bool:
    """Say whether a program that failed says of the cause that a disk is full."""
    return _FULL_DISK.search(text) is not None


def to_plain(value: object) -> object:
    """Return `value` built from dict, list, str, int, float, bool and None only.

    Dataclasses become dicts, tuples lists, subclasses (Ansible's tagged and lazy types) their plain base.
    ValueError for anything that JSON has no word for.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        # str() of a subclass may return the subclass; join never does.
        return "".join(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {str(to_plain(key)): to_plain(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        return [to_plain(item) for item in value]
    raise ValueError(f"a value of type {type(value).__name__} cannot be written as JSON")


def as_comments(text: str) -> str:
    """Return text as comment lines, as a shell and YAML have them; no blank line at its ends."""
    return "".join(f"# {line}".rstrip() + "\n" for line in text.strip("\n").splitlines())


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes; a letter of East Asia takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def listed(texts: Iterable[object], separator: str = ", ", most: int = 5) -> str:
    """Return the first `most` texts joined, and how many more there are."""
    found = [str(text) for text in texts]
    shown = separator.join(found[:most])
    return shown if len(found) <= most else f"{shown} and {len(found) - most} more"
