"""docs/faults.md, made from the tests that show each fault: `make generate`.

A test says what it shows with a marker; the first of a fault's tests says all of it, another only its name:

    @pytest.mark.fault("node cordoned", "pi-2: cordoned … Next: …", kept="nothing begun", row="cordoned node")

    line       what the user reads; where it is left out, what the test's own table calls `line` or `words`
    kept       what is left of the run
    exit_code  of ansible-playbook: 2 where it is left out, and 0 with the line "survived"
    row        of a table of tests: the row's name, or several
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.virtual import PROJECT

PAGE = PROJECT / "docs/faults.md"
SURVIVED = "survived"
# What tables of tests call the words of a line.
_WORDS = ("line", "words")
_COLLECTED = "COLLECTED_FAULTS"
_HEAD = """\
<!-- Made from the tests by `make generate`: see tests/faults.py. -->
# Faults

What can go wrong, one row a fault, with the tests that make it, in the order of their codes
([troubleshooting.md](troubleshooting.md)). A unit test holds each line to what its test expects.

- **Where**: *lab*: a real control plane with virtual Pis. *containers*: Pis one can log in to, with real
  kubelets and Docker. *recorded*: a state that a real cluster had, or one composed after its formats
  (`tests/unit/kube/states`). *unit*: the program's own answer to what ssh, Docker or the API says.
- **Line**: the last on the screen, with … for what differs from run to run or is left out here. It has at
  most 200 characters before `Next:`, if names and paths are not long. *survived*: nothing stops, and what was
  waited for is in the trial.
- **Exit**: of ansible-playbook, which has 2 for each failure. Where a test is of a part of the program, it is
  what a door makes of such a problem.
- **Kept**: *nothing begun*: no object is in the cluster and no plan on disk. *trials*: each trial that ended
  is on disk, the failed one too with its problem, events and logs; the report is made of them, and the run
  goes on by its id. *all*: the run has what it would have had.

"""


@dataclass(frozen=True)
class Shown:
    """What one test shows of one fault; `line` and `kept` are None where another test says them."""

    test: str
    fault: str
    line: str | None
    kept: str | None
    exit_code: int
    # What the test's own table expects of the line.
    words: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """A row of the page."""

    fault: str
    line: str
    kept: str
    exit_code: int
    tests: tuple[Shown, ...]

    @property
    def where(self) -> str:
        """Which kinds of tests show it."""
        order = ("lab", "containers", "recorded", "unit")
        return ", ".join(sorted({_kind(each.test) for each in self.tests}, key=order.index))

    @property
    def order(self) -> tuple[str, str]:
        """By code, then by name; what no code stands for comes last."""
        code = re.search(r"PS-\d{3}", self.line)
        return code[0] if code else "PS-~", self.fault.lower()

    def __str__(self) -> str:
        tests = "<br>".join(f"`{each.test}`" for each in self.tests)
        return f"| {self.fault} | {tests} | {self.where} | {self.line} | {self.exit_code} | {self.kept} |"


def _kind(test: str) -> str:
    if test.startswith("tests/unit/"):
        return "recorded" if "/test_states.py" in test else "unit"
    return "containers" if test.startswith("tests/containers/") else "lab"


def rows(shown: Iterable[Shown]) -> list[Row]:
    """Return the page's rows; ValueError, in words, where a fault is told twice or by halves."""
    by_fault: dict[str, list[Shown]] = {}
    for each in shown:
        by_fault.setdefault(each.fault, []).append(each)
    found = []
    for fault, tests in by_fault.items():
        told = dict.fromkeys((each.line, each.kept, each.exit_code) for each in tests if each.kept)
        if len(told) != 1:
            raise ValueError(f"{fault!r}: one of its tests must say line and kept, and {len(told)} do")
        ((line, kept, exit_code),) = told
        if line is None or kept is None:
            raise ValueError(f"{fault!r}: what line?")
        # Who tells it comes first.
        first = sorted(tests, key=lambda each: each.kept is None)
        found.append(Row(fault, line, kept, exit_code, tuple(first)))
    return sorted(found, key=lambda row: row.order)


def page(found: Iterable[Row]) -> str:
    """Return docs/faults.md."""
    head = "| Fault | Test | Where | Line | Exit | Kept |\n|---|---|---|---|---|---|\n"
    return _HEAD + head + "".join(f"{row}\n" for row in found)


def collect() -> list[Shown]:
    """Return what all tests say that they show."""
    marked = [
        path
        for folder in ("tests", "molecule")
        for path in sorted((PROJECT / folder).rglob("test_*.py"))
        if "pytest.mark.fault(" in path.read_text(encoding="utf-8")
    ]
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "faults.json")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-qq", "-p", "tests.faults", "-p", "no:xdist", "--collect-only"]
            + [str(path) for path in marked],
            cwd=PROJECT,
            # The tests of `make proofs` too.
            env={**os.environ, _COLLECTED: str(told), "PROOFS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ValueError(done.stdout + done.stderr)
        return [
            Shown(**each | {"words": tuple(each["words"])})
            for each in json.loads(told.read_text(encoding="utf-8"))
        ]


def pytest_collection_finish(session: pytest.Session) -> None:
    """As a plugin of pytest: write down what the collected tests show."""
    if told := os.environ.get(_COLLECTED):
        Path(told).write_text(json.dumps(list(_shown(session.items))), encoding="utf-8")


def _shown(items: Iterable[pytest.Item]) -> Iterator[dict[str, Any]]:
    met: set[tuple[str, str]] = set()
    wanted: set[tuple[str, str]] = set()
    for item in items:
        function, _, _ = item.nodeid.partition("[")
        callspec: Any = getattr(item, "callspec", None)
        words = _words(callspec)
        # The one that stands first comes last.
        for mark in reversed(list(item.iter_markers("fault"))):
            said = _arguments(*mark.args, **mark.kwargs)
            named = said.pop("row")
            wanted |= {(function, row) for row in named}
            if named and callspec.id not in named:
                continue
            met |= {(function, row) for row in named if row == callspec.id}
            if said["kept"] and said["line"] is None and words:
                said["line"] = words[0]
            yield {"test": item.nodeid, "words": words, **said}
    if wanted - met:
        raise pytest.UsageError(f"no such rows of these tests: {sorted(wanted - met)}")


def _arguments(
    fault: str,
    line: str | None = None,
    *,
    kept: str | None = None,
    exit_code: int | None = None,
    row: str | list[str] | None = None,
) -> dict[str, Any]:
    usual = 0 if line == SURVIVED else 2
    return {
        "fault": fault,
        "line": line,
        "kept": kept,
        "exit_code": usual if exit_code is None else exit_code,
        "row": [row] if isinstance(row, str) else row or [],
    }


def _words(callspec: Any) -> list[str]:
    params = callspec.params if callspec else {}
    said = [params.get(name) for name in _WORDS]
    said += [
        getattr(params.get(name), each, None) for name in ("fault", "mistake") for each in ("message", "line")
    ]
    return [each for each in said if isinstance(each, str) and each]


if __name__ == "__main__":
    PAGE.write_text(page(rows(collect())), encoding="utf-8")
