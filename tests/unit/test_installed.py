"""What is installed is what is used: how much `make setup` and `make demo` put on a disk."""

from __future__ import annotations

import sysconfig
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.virtual import PROJECT

SITE = Path(sysconfig.get_path("purelib"))
COLLECTION = "ansible_collections/kubernetes/core"


def pins(name: str) -> dict[str, str]:
    """Return package -> version of one list of pins, those for this Python."""
    lines = (PROJECT / f"requirements/{name}.txt").read_text().splitlines()
    found = [
        Requirement(line.rstrip(" \\")) for line in lines if "==" in line and not line.startswith((" ", "#"))
    ]
    return {
        each.name: str(each.specifier).removeprefix("==")
        for each in found
        if each.marker is None or each.marker.evaluate()
    }


def sizes(packages: list[str]) -> list[int]:
    """Return the sizes in bytes of the files of packages, as a file system of blocks of 4 KiB keeps them."""
    files = [
        Path(str(file.locate()))
        for package in packages
        for file in metadata.files(package) or ()
        if "__pycache__" not in file.parts
    ]
    files += [path for path in (SITE / COLLECTION).rglob("*") if "__pycache__" not in path.parts]
    return [-(-path.stat().st_size // 4096) * 4096 for path in files if path.is_file()]


# In MB (1,048,576 bytes, as du counts them) and files.
LIMITS = {"run": (330, 8_500), "lab": (400, 9_000)}


@pytest.mark.parametrize(("name", "limits"), LIMITS.items(), ids=LIMITS)
def test_a_users_installation_is_small(name: str, limits: tuple[int, int]) -> None:
    found = sizes([*pins(name), "pip"])
    mb = sum(found) / 2**20
    assert mb <= limits[0] and len(found) <= limits[1], f"{mb:.0f} MB in {len(found)} files"
    # Or it measures nothing.
    assert mb > limits[0] / 2


@pytest.mark.parametrize("name", LIMITS)
def test_tests_run_with_what_a_user_has(name: str) -> None:
    assert pins(name).items() <= pins("dev").items()


@pytest.mark.parametrize("name", LIMITS)
def test_neither_linters_nor_browser_nor_other_collections_come_along(name: str) -> None:
    assert not {"ansible", "ansible-lint", "mypy", "playwright", "pytest", "ruff", "uv"} & pins(name).keys()


def test_the_collection_is_one_that_galaxy_would_give() -> None:
    assert (SITE / COLLECTION / "plugins/modules/k8s.py").exists()
    assert '"version": "6.' in (SITE / COLLECTION / "MANIFEST.json").read_text()
