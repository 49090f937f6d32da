"""docs/faults.md is what the tests show: it is made from them, and each line is what its test expects."""

from __future__ import annotations

import re

import pytest

from tests.faults import PAGE, SURVIVED, Row, Shown, collect, page, rows

# In one process: what is made once is made for all of them.
pytestmark = pytest.mark.xdist_group("faults")

# Longer than this a line is not read, but for the command of its next step.
LONGEST = 200
KEPT = re.compile(r"^(nothing begun|trials|all|theirs|the |its )")


@pytest.fixture(scope="module")
def found() -> list[Row]:
    return rows(collect())


def test_the_page_is_what_the_tests_show(found: list[Row]) -> None:
    assert page(found) == PAGE.read_text(encoding="utf-8"), "Next: make generate"


def test_each_row_is_whole(found: list[Row]) -> None:
    assert len(found) >= 180
    assert [row for row in found if not KEPT.match(row.kept) or "|" in row.fault + row.line + row.kept] == []


def test_each_line_is_what_its_test_expects(found: list[Row]) -> None:
    seen = [(row.line, words) for row in found for words in row.tests[0].words if row.line != SURVIVED]
    assert len(seen) > 40
    assert [(line, words) for line, words in seen if words not in line and not re.search(words, line)] == []


def test_each_line_that_stops_a_run_is_short_and_says_what_to_do(found: list[Row]) -> None:
    stopped = [row for row in found if row.exit_code == 2]
    assert [row.line for row in stopped if "Next: " not in row.line] == []
    assert [row.line for row in stopped if len(row.line.partition(" Next: ")[0]) > LONGEST] == []


def shown(test: str, line: str | None, kept: str | None) -> Shown:
    return Shown(test, "a fault", line, kept, 2, ())


HALVES = {
    "nobody says it": ([shown("x", None, None)], "must say line and kept, and 0 do"),
    "two say different things": (
        [shown("x", "a", "all"), shown("y", "b", "all")],
        "must say line and kept, and 2 do",
    ),
    "no line": ([shown("x", None, "all")], "what line"),
}


@pytest.mark.parametrize(("tests", "words"), HALVES.values(), ids=HALVES)
def test_a_fault_that_is_not_told_once_is_refused(tests: list[Shown], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rows(tests)
