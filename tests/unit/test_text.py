"""Foreign text becomes one harmless line, foreign types plain ones."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pi_speedup.text import innermost, one_line, to_plain


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("two\r\nlines", "two lines"),
        ("\x1b[31mred\x00", "[31mred"),
        ("a\u2028b\u202ec\u200bd", "a b c d"),
        ("  much \t space ", "much space"),
        ("x" * 50, "x" * 9 + "…"),
        (None, "None"),
    ],
    ids=["line break", "terminal codes", "hidden characters", "white space", "too long", "no text"],
)
def test_one_line(text: object, line: str) -> None:
    assert one_line(text, 10 if line.endswith("…") else 300) == line


class _Tagged(str):
    __slots__ = ()


@dataclass(frozen=True)
class _Point:
    where: tuple[int, str]


def test_to_plain_leaves_json_types_only() -> None:
    plain = to_plain({_Tagged("key"): [_Point((1, _Tagged("x")))]})
    assert plain == {"key": [{"where": [1, "x"]}]}
    assert type(plain["key"][0]["where"][1]) is str


def test_what_json_has_no_word_for_is_refused() -> None:
    with pytest.raises(ValueError, match="bytes"):
        to_plain({"a": b"x"})


WRAPPED = {
    "short enough": ("a: b", "a: b"),
    "too long": ("x" * 20 + ": " + "y" * 20 + ": cause\n", "y" * 20 + ": cause"),
    "nothing to leave out": ("x" * 50, "x" * 29 + "\N{HORIZONTAL ELLIPSIS}"),
}


@pytest.mark.parametrize(("text", "kept"), WRAPPED.values(), ids=WRAPPED)
def test_of_wrapped_errors_the_innermost_is_kept(text: str, kept: str) -> None:
    assert innermost(text, 30) == kept
