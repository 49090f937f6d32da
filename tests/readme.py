"""What the READMEs tell a user to type, and what they say it prints."""

from __future__ import annotations

import re
from pathlib import Path

from tests.virtual import PROJECT

READMES = (PROJECT / "README.md", PROJECT / "README.zh-TW.md")

# Run by .ci/run as they are: they make a lab, or run all tests.
RUN_BY_CI = (
    "make demo",
    ".venv/bin/ansible-playbook -i .lab/inventory.yml cleanup.yml",
    "make lab-down",
    "make test",
)


def blocks(page: Path, heading: str = "") -> list[tuple[str, list[str]]]:
    """Return kind and lines of each fenced block, of all or of those under a heading."""
    text = page.read_text()
    if heading:
        text = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(kind, text.splitlines()) for kind, text in found]


def commands(readme: Path, heading: str = "") -> list[str]:
    """Return the commands in order: each line of a sh block, the lines after `$ ` of a console block."""
    typed: list[str] = []
    for kind, lines in blocks(readme, heading):
        assert kind in ("sh", "console"), f"a {kind or 'plain'} block, whose commands nobody would run"
        typed += [line.removeprefix("$ ") for line in lines if kind == "sh" or line.startswith("$ ")]
    return typed


def printed(readme: Path) -> list[str]:
    """Return what console blocks show as printed, in stretches; `…` or an empty line is what is between.

    The lines of trials stand for themselves: their order is another with each run.
    """
    found: list[str] = []
    goes_on = False
    for line in (line for kind, lines in blocks(readme) if kind == "console" for line in lines):
        by_itself = line.startswith(("warm-up ", "round "))
        if line.startswith("$ ") or not line.strip("… "):
            goes_on = False
        elif goes_on and not by_itself:
            found[-1] += f" {line.strip()}"
        else:
            found.append(line.strip())
            goes_on = not by_itself
    return found
