"""The examples, really run with little to do: the same each time, and their parts are the whole."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from pi_speedup.model.settings import Settings, settings_from
from pi_speedup.workload.command import read_program
from tests.virtual import PROJECT

FOLDER = PROJECT / "examples"
EXAMPLES = {path.stem: path for path in sorted(FOLDER.glob("*.yml"))}


def numbers_behind(pattern: str, output: str) -> Counter[str]:
    """Return the sum of the numbers that a pattern finds."""
    return Counter({pattern: sum(map(int, re.findall(pattern, output)))})


@dataclass(frozen=True)
class Small:
    """How an example is run small: its variables, what its parts add up to, the program that it needs."""

    variables: dict[str, str]
    adds_up_to: Callable[[str], Counter[str]]
    needs: str


SMALL = {
    "compress": Small({"PIECES": "7"}, lambda output: Counter(output.splitlines()), "gzip"),
    "matmul": Small({"SIZE": "50", "TIMES": "2"}, lambda output: Counter(output.splitlines()), "python3"),
    "monte_carlo": Small(
        {"SAMPLES": "20001"},
        lambda output: numbers_behind(r"from (\d+) of", output) + numbers_behind(r"of (\d+) points", output),
        "python3",
    ),
    "primes": Small({"LAST": "100000"}, lambda output: numbers_behind(r": (\d+)\n", output), "cc"),
}


@pytest.fixture(params=EXAMPLES)
def name(request: pytest.FixtureRequest) -> str:
    """Each example's name."""
    given = str(request.param)
    if shutil.which(SMALL[given].needs) is None and os.environ.get("CI") != "true":
        pytest.skip(f"{SMALL[given].needs} is not here")
    return given


def settings_of(name: str) -> Settings:
    return settings_from(yaml.safe_load(EXAMPLES[name].read_text()))


def shell(command: str, environment: dict[str, str], given: str = "") -> str:
    return subprocess.run(
        ["sh", "-c", command], input=given, env=environment, check=True, capture_output=True, text=True
    ).stdout


def run(name: str, folder: Path, index: int, count: int) -> str:
    """Do a part of an example as files/run_command.sh does it; return what is compared of its output."""
    settings = settings_of(name)
    folder.mkdir()
    # The tests' own Python is the one that has NumPy.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {
        "PATH": path,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PI_SPEEDUP_INDEX": str(index),
        "PI_SPEEDUP_COUNT": str(count),
        "PI_SPEEDUP_PROGRAM": str(PROJECT / settings.program),
        **settings.environment,
        **SMALL[name].variables,
    }
    if settings.prepare:
        shell(settings.prepare.replace("seq 1000000", "seq 1000"), environment)
    output = shell(settings.command, environment)
    return shell(settings.output_filter, environment, output) if settings.output_filter else output


def test_every_example_is_tested() -> None:
    assert EXAMPLES.keys() == SMALL.keys()


def test_its_settings_are_valid_and_its_program_fits(name: str) -> None:
    settings = settings_of(name)
    assert settings.program.startswith("examples/")
    assert read_program(PROJECT / settings.program)


def test_it_says_how_it_is_started(name: str) -> None:
    assert f'#   make benchmark ARGS="-e @examples/{name}.yml"\n' in EXAMPLES[name].read_text()


def test_it_prints_the_same_each_time(name: str, tmp_path: Path) -> None:
    first, second = (run(name, tmp_path / each, 0, 1) for each in ("first", "second"))
    assert first
    assert first == second


# Of matmul each Pi does a copy.
@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - {"matmul"}), indirect=True)
@pytest.mark.parametrize("count", [2, 3])
def test_its_parts_are_the_whole(name: str, count: int, tmp_path: Path) -> None:
    add = SMALL[name].adds_up_to
    parts = [add(run(name, tmp_path / str(index), index, count)) for index in range(count)]
    assert all(parts)
    assert sum(parts, Counter[str]()) == add(run(name, tmp_path / "whole", 0, 1))


def test_the_primes_are_counted_right(tmp_path: Path) -> None:
    if shutil.which("cc") is None and os.environ.get("CI") != "true":
        pytest.skip("cc is not here")
    # Source: OEIS A006880.
    assert run("primes", tmp_path / "whole", 0, 1).endswith(": 9592\n")


def test_the_products_are_exact(tmp_path: Path) -> None:
    total = sum(
        ((7 * row + 3 * inner) % 11) * ((5 * inner + 2 * row + number) % 13)
        for number in range(2)
        for row in range(50)
        for inner in range(50)
    )
    assert run("matmul", tmp_path / "whole", 0, 1).endswith(f": {total}\n")


@pytest.mark.parametrize("script", sorted(path.name for path in FOLDER.glob("*.py")))
def test_a_script_runs_with_the_pis_python(script: str) -> None:
    ast.parse((FOLDER / script).read_text(), feature_version=(3, 9))
