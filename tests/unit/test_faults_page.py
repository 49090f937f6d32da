"""docs/faults.md is what the tests show: each test is there, and the first of a row expects its line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from typing import NamedTuple

import pytest

from tests.virtual import PROJECT

# Longer than this a line is not read, but for the command of its next step.
LONGEST = 200
KEPT = re.compile(r"^(nothing begun|trials|all|theirs|the |its )")


class Row(NamedTuple):
    """A row of the table."""

    fault: str
    tests: list[str]
    where: str
    line: str
    exit_code: str
    kept: str


def rows() -> list[Row]:
    """Return the rows of the table."""
    lines = (PROJECT / "docs/faults.md").read_text().splitlines()
    cells = [line[2:-2].split(" | ") for line in lines if line.startswith("| ")][1:]
    return [
        Row(fault, re.findall(r"`([^`]+)`", tests), where, line, exit_code, kept)
        for fault, tests, where, line, exit_code, kept in cells
    ]


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The tests of all files that the table names, with the words that each expects."""
    path = tmp_path_factory.mktemp("collected") / "tests.json"
    files = sorted({test.partition("::")[0] for row in rows() for test in row.tests})
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-qq",
            "-p",
            "tests.collected",
            "-p",
            "no:xdist",
            "--collect-only",
            *files,
        ],
        cwd=PROJECT,
        # The tests of `make proofs` too.
        env={**os.environ, "COLLECTED": str(path), "PROOFS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, list[str]] = json.loads(path.read_text())
    return found


def test_each_fault_stands_once_and_is_whole() -> None:
    found = rows()
    assert len(found) >= 60
    for name, values in (
        ("fault", [row.fault for row in found]),
        ("test", [str(row.tests) for row in found]),
    ):
        assert [value for value, times in Counter(values).items() if times > 1] == [], name
    for row in found:
        assert row.tests and row.where and row.line and re.fullmatch(r"-?\d+", row.exit_code), row
        assert KEPT.match(row.kept), row


def test_each_test_that_is_named_is_there(collected: dict[str, list[str]]) -> None:
    assert [test for row in rows() for test in row.tests if test not in collected] == []


def test_each_line_is_what_its_test_expects(collected: dict[str, list[str]]) -> None:
    seen = [
        (row.line, words) for row in rows() for words in collected[row.tests[0]] if "survived" not in row.line
    ]
    assert len(seen) > 40
    assert [(line, words) for line, words in seen if words not in line and not re.search(words, line)] == []


def test_each_line_that_stops_a_run_is_short_and_says_what_to_do() -> None:
    stopped = [row for row in rows() if row.exit_code == "2"]
    assert [row.line for row in stopped if "Next: " not in row.line] == []
    assert [row.line for row in stopped if len(row.line.partition(" Next: ")[0]) > LONGEST] == []
