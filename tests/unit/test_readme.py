"""The READMEs agree with each other, with the settings and with the Makefile; their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pi_speedup.model.settings import PREFIX, Settings, default_words
from tests.readme import READMES, RUN_BY_CI, commands, printed
from tests.virtual import PROJECT

PAGES = (*READMES, PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md")))


@pytest.mark.parametrize("command", RUN_BY_CI)
def test_what_is_not_run_here_is_run_by_ci(command: str) -> None:
    assert command in commands(READMES[0])
    assert command in (PROJECT / ".ci/run").read_text().splitlines()


def test_both_readmes_have_the_same_commands_and_print_the_same() -> None:
    english, chinese = READMES
    assert commands(english)
    assert commands(chinese) == commands(english)
    assert printed(chinese) == printed(english)


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_the_settings_are_those_of_the_model(readme: Path) -> None:
    rows = re.findall(r"^\| `benchmark_(\w+)` \| (.*?) \|", readme.read_text(), re.MULTILINE)
    shown = {name: default.strip("`").replace("空白", "empty") for name, default in rows}
    assert len(shown) > 5
    assert shown == {name: default_words(name) for name in shown}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_names_no_setting_that_is_not_there(page: Path) -> None:
    named = set(re.findall(rf"\b{PREFIX}([a-z_]*[a-z])\b", page.read_text()))
    assert named - Settings.model_fields.keys() == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_what_a_page_makes_can_be_made(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    named = set(re.findall(r"[`\n]make ([a-z][a-z-]*)", page.read_text()))
    assert named - set(targets) == set()
