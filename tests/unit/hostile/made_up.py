"""Values that nobody vouches for, and the one thing that may come of them: a sound value or one line."""

from __future__ import annotations

import copy
import json
import re
import signal
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from pi_speedup.problem import Problem, ProblemError

Value = TypeVar("Value")

LONGEST_LINE = 200
LONGEST_NEXT_STEP = 600
# No example computes for longer than a moment.
HANGS_AFTER_SECONDS = 120
_LONG_BY_SHORT = 40

ODD_NUMBERS = st.one_of(
    st.sampled_from([0, -1, 1, 2**31, 2**63 - 1, 2**63, 2**64, 10**18, 10**400, -(10**400), int("7" * 4000)]),
    st.integers(),
    st.floats(),
    st.sampled_from([1e-9, 1e9, 1e15, 1e300, 5e-324, -0.0]),
)
ODD_TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            " ",
            "\0",
            "..",
            "../../etc/passwd",
            "/",
            "~/x",
            "nan",
            "Infinity",
            "1e999",
            "9" * 5000,
            "x" * 20_000,
            "\x1b[31m\x1b]0;owned\x07\r\n",
            "\u202egpj.exe\u2066",
            "\ud800",
            "{{ 7*7 }}{% x %}",
            "pi-1",
            "0001-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59-23:59",
            "2026-11-24T07:15:30Z",
        ]
    ),
    st.text(st.characters(), max_size=30),
)
LEAVES = st.one_of(st.none(), st.booleans(), ODD_NUMBERS, ODD_TEXTS)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(ODD_TEXTS, inner, max_size=4)),
    max_leaves=12,
)
LINES = st.lists(st.binary(max_size=60), max_size=8).map(b"\n".join)


def examples(short: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Say how many of the 500 examples a test has; of the long profile it has the same share."""
    long = settings.get_current_profile_name() == "long"
    return settings(max_examples=short * (_LONG_BY_SHORT if long else 1))


def places(document: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of each value within a document, the whole apart."""
    found: list[tuple[Any, ...]] = []
    items = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    for key, item in items:
        found += [(*above, key), *places(item, (*above, key))]
    return found


@st.composite
def changed(draw: st.DrawFn, document: Any, most: int = 3) -> Any:
    """Return a document in which up to so many values are gone, odd, or there twice."""
    found = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, most))):
        known = places(found)
        if not known:
            return draw(ANYTHING)
        *above, key = draw(st.sampled_from(known))
        parent = found
        for each in above:
            parent = parent[each]
        way = draw(st.sampled_from(["odd", "number", "text", "gone", "nothing", "twice", "more", "another"]))
        if way == "gone":
            del parent[key]
        elif way == "nothing":
            parent[key] = draw(st.sampled_from([None, [], {}, "", 0]))
        elif way == "twice":
            if isinstance(parent, list):
                parent.append(copy.deepcopy(parent[key]))
            else:
                parent[key] = [parent[key], copy.deepcopy(parent[key])]
        elif way == "more" and isinstance(parent, dict):
            parent[draw(ODD_TEXTS)] = draw(ANYTHING)
        elif way == "another":
            # What stands elsewhere in the same document, so that it has a known form.
            other = found
            for each in draw(st.sampled_from(known)):
                try:
                    other = other[each]
                except (LookupError, TypeError):
                    break
            parent[key] = copy.deepcopy(other)
        else:
            parent[key] = draw({"number": ODD_NUMBERS, "text": ODD_TEXTS}.get(way, ANYTHING))
    return found


def as_json(value: Any) -> bytes:
    """Return a value as a program writes it that takes JSON not too seriously."""
    return json.dumps(value, default=str).encode()


def spoiled(data: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return bytes that are whole, cut off, doubled, or have something in their midst."""
    return st.one_of(
        data,
        st.tuples(data, st.floats(0, 1)).map(lambda both: both[0][: int(len(both[0]) * both[1])]),
        st.tuples(data, st.floats(0, 1), st.binary(max_size=20)).map(
            lambda all: _with(all[0], int(len(all[0]) * all[1]), all[2])
        ),
        data.map(lambda whole: whole + b"\n" + whole),
        st.binary(max_size=200),
        st.sampled_from([b"", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe\x00", b"null", b"[]", b"NaN"]),
    )


def _with(data: bytes, place: int, more: bytes) -> bytes:
    return data[:place] + more + data[place + len(more) :]


def sound(
    action: Callable[[], Value], named: Collection[str], *, longest: int = LONGEST_LINE
) -> Value | None:
    """Return what an action returns, None where it raised the one error, in one line that names one."""
    before = signal.signal(signal.SIGALRM, _hangs)
    signal.alarm(HANGS_AFTER_SECONDS)
    try:
        return action()
    except ProblemError as error:
        is_line(error.problem, named, longest=longest)
        assert str(error) == str(error.problem)
        return None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def is_line(problem: Problem, named: Collection[str], *, longest: int = LONGEST_LINE) -> None:
    """See that a problem is one short, harmless line that names one of these.

    A path is as long as it is, and not counted.
    """
    text = str(problem)
    assert text.isprintable(), text
    assert any(name in text for name in named), text
    told = re.sub(r"/.*", "", problem.shown.subject) + problem.cause.removeprefix(problem.shown.subject)
    assert len(told) <= longest, (len(told), problem.cause)
    around = len(" [PS-302]. Next: ")
    assert len(text) - len(problem.cause) <= LONGEST_NEXT_STEP + around, text


def _hangs(number: int, frame: FrameType | None) -> None:
    raise AssertionError(f"still busy after {HANGS_AFTER_SECONDS} s")
