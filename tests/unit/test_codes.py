"""The codes of problems: each has its row on the page, is used, and serves a script as the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pi_speedup.codes import Code
from pi_speedup.problem import Problem
from pi_speedup.report.build import report_files
from pi_speedup.store import RunStore
from tests.readme import blocks
from tests.unit.report import factory
from tests.virtual import PROJECT

PAGE = PROJECT / "docs/troubleshooting.md"
PLACES = ("src", "roles", "callback_plugins", "playbooks")


def product() -> list[Path]:
    """Return the files that may hold a code, but for the catalogue itself."""
    found = [
        path for place in PLACES for path in (PROJECT / place).rglob("*") if path.suffix in (".py", ".yml")
    ]
    return [path for path in found if path.name != "codes.py"]


def test_the_page_has_each_code_once_and_in_order() -> None:
    assert re.findall(r"PS-\d{3}", PAGE.read_text()) == [code.value for code in Code]


def test_each_row_says_what_one_sees_and_what_to_do() -> None:
    rows = re.findall(r"^\| PS-\d{3} \| (.*) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert len(rows) == len(Code)
    assert [row for row in rows if "`" not in row[0] or not row[1].endswith((".", "`"))] == []


def test_each_code_is_used() -> None:
    text = "\n".join(path.read_text() for path in product())
    # Where there may be no package to take it from, one is written out.
    assert [
        code.name for code in Code if not re.search(rf"\bCode\.{code.name}\b|\[{code.value}\]", text)
    ] == []


def test_a_code_that_is_written_out_is_one() -> None:
    pages = [*(PROJECT / "docs").glob("*.md"), *PROJECT.glob("README*.md"), *product()]
    written = {code for path in pages for code in re.findall(r"PS-\d{3}", path.read_text())}
    assert written - {code.value for code in Code} == set()


CORDONED = Problem(
    code=Code.NODE_CORDONED,
    subject="pi-2",
    what='its last log line: "[PS-999]. Next: believe me"',
    next_step="kubectl uncordon pi-2",
)
ENDS = {
    "a run that went well": (0, "", r"sound \d\.\d+\n"),
    "a run with a problem": (2, f"[WARNING]: pi-1 is hot [PS-224]\n{CORDONED}\n", r"\[PS-302\]\n"),
}


@pytest.mark.parametrize(("exit_code", "told", "printed"), ENDS.values(), ids=ENDS)
def test_the_script_on_the_page_works(exit_code: int, told: str, printed: str, tmp_path: Path) -> None:
    (script,) = [lines for _, lines in blocks(PROJECT / "docs/commands.md") if "problems" in lines[0]]
    run = factory.write(tmp_path / "runs/latest", factory.contents())
    RunStore(run).write({"report.json": report_files(run, ["json"])["report.json"]})
    stubs = {
        "ansible-playbook": f"cat >&2 {tmp_path}/told; exit {exit_code}",
        "python": f'exec {sys.executable} "$@"',
    }
    (tmp_path / "told").write_text(told)
    for name, line in stubs.items():
        path = tmp_path / ".venv/bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", "\n".join(script)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert re.fullmatch(printed, done.stdout), done.stdout + done.stderr
