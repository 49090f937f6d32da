"""make wherever the clone lies: it touches nothing beside it, and its commands name no absolute path."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.clone import make
from tests.virtual import PROJECT

# The second is the hardest path that a person has. Unquoted, rm takes the first one for the folder `a`.
PLACES = ["a b/pi-speedup", "a b'c/pi ü"]
# What a shell makes of these paths without quotes.
NEIGHBOURS = ["a/thesis.txt", "a b/thesis.txt", "b/pi-speedup/.venv/thesis.txt", "c/pi/thesis.txt"]
OURS = [".venv/pyvenv.cfg", ".venv/bin/python", ".mypy_cache/x", ".pytest_cache/x", ".ruff_cache/x"]


@pytest.fixture(params=PLACES)
def clone(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a folder with what make reads, at a path that is hard to quote."""
    folder = tmp_path / str(request.param)
    folder.mkdir(parents=True)
    shutil.copy2(PROJECT / "Makefile", folder)
    shutil.copytree(PROJECT / "requirements", folder / "requirements")
    return folder


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_clean_removes_what_is_ours_and_nothing_else(clone: Path, tmp_path: Path) -> None:
    put(tmp_path, *NEIGHBOURS)
    put(clone, *NEIGHBOURS, "runs/latest/report.json", "notes.txt")
    before = files(tmp_path)
    put(clone, *OURS)
    done = make(clone, "clean")
    assert done.returncode == 0, done.stdout
    assert files(tmp_path) == before


def test_clean_leaves_a_folder_that_is_not_a_venv(clone: Path) -> None:
    put(clone, "theirs/thesis.txt")
    assert make(clone, "VENV=theirs", "clean").returncode == 0
    assert (clone / "theirs/thesis.txt").exists()


@pytest.mark.parametrize("target", ["setup", "demo", "lab-down", "test", "molecule", "clean"])
def test_commands_name_no_absolute_path_of_the_clone(clone: Path, target: str) -> None:
    done = make(clone, "--dry-run", target)
    assert done.returncode == 0, done.stdout
    assert done.stdout
    assert not re.search(r"a b|pi ü", done.stdout)


@pytest.mark.parametrize("absolute", [False, True], ids=["relative", "absolute"])
def test_another_venv_may_be_named(clone: Path, absolute: bool) -> None:
    named = str(clone / ".venv-3.13") if absolute else ".venv-3.13"
    done = make(clone, "--dry-run", f"VENV={named}", "unit")
    assert "-m venv .venv-3.13\n" in done.stdout, done.stdout
    assert "\n.venv-3.13/bin/python -m pytest " in done.stdout


@pytest.mark.parametrize("venv", ["", "/some where/.venv"], ids=["empty", "a space in it"])
def test_a_venv_that_make_cannot_name_is_refused(clone: Path, venv: str) -> None:
    done = make(clone, f"VENV={venv}", "clean")
    assert done.returncode == 2
    assert f'VENV="{venv}": give one path without spaces' in done.stdout


def test_help_names_each_target(clone: Path) -> None:
    done = make(clone)
    assert done.returncode == 0, done.stdout
    targets = re.findall(r"^\.PHONY: ([a-z-]+)$", (clone / "Makefile").read_text(), re.MULTILINE)
    assert [line.split()[0] for line in done.stdout.splitlines()] == targets
