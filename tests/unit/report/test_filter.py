"""The filter: plain types out, and one line in place of an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader, init_plugin_loader
from ansible.template import Templar

from tests.unit.report import factory

FILTERS = Path(__file__).resolve().parents[3] / "filter_plugins"


@pytest.fixture(scope="module", autouse=True)
def _plugins() -> None:
    init_plugin_loader()
    filter_loader.add_directory(str(FILTERS))


def _speedup(folder: Path) -> Any:
    from ansible.template import trust_as_template

    templar = Templar(loader=DataLoader(), variables={"folder": str(folder)})
    return templar.template(trust_as_template("{{ folder | speedup }}"))


def test_a_run_gives_its_files_and_its_table(tmp_path: Path) -> None:
    found = _speedup(factory.write(tmp_path / "run", factory.contents()))
    assert found["problem"] is None
    assert set(found["files"]) == {"report.html", "report.json", "report.md", "report.csv", "metrics.prom"}
    assert found["table"][0].startswith("pi-speedup 20261124-071530-3fa2: 3 Pis")
    assert {type(line) for line in found["table"]} <= {str}


def test_a_folder_without_a_run_gives_one_line(tmp_path: Path) -> None:
    found = _speedup(tmp_path)
    assert (found["files"], found["table"]) == ({}, [])
    assert found["problem"].startswith(f"{tmp_path}/plan.json: missing [PS-711]. Next: ")


def test_it_is_documented_as_it_is(tmp_path: Path) -> None:
    documents = list(yaml.safe_load_all((FILTERS / "speedup.yml").read_text("utf-8")))
    contains = documents[0]["RETURN"]["_value"]["contains"]
    assert set(contains) == set(_speedup(tmp_path))
    assert [path.name for path in FILTERS.glob("*.yml")] == ["speedup.yml"]
