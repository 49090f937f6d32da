"""The adapter: plain types out, ValueError as Ansible's error, a documentation file for each filter."""

from __future__ import annotations

import json
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.template import trust_as_template
from run_fixture import run_files

FOLDER = Path(__file__).parents[2] / "filter_plugins"


@pytest.fixture(scope="module", name="filters")
def fixture_filters() -> dict[str, Any]:
    """Load the plugin as Ansible does: by its path."""
    loader = SourceFileLoader("speedup_filters", str(FOLDER / "speedup.py"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    found: dict[str, Any] = module.FilterModule().filters()
    return found


def test_each_filter_has_its_documentation(filters: dict[str, Any]) -> None:
    documents = {path.stem: yaml.safe_load(path.read_text()) for path in FOLDER.glob("*.yml")}
    assert set(documents) == set(filters)
    for name, document in documents.items():
        assert document["DOCUMENTATION"]["name"] == name
        assert f"| {name}" in document["EXAMPLES"]


def test_the_report_is_plain_json(filters: dict[str, Any]) -> None:
    result = filters["speedup"](run_files())
    assert json.loads(json.dumps(result)) == result
    assert set(result) == {"problem", "report", "markdown", "table"}


def test_ansibles_own_types_are_taken(filters: dict[str, Any]) -> None:
    tagged = {name: trust_as_template(text) for name, text in run_files().items()}
    result = filters["speedup"](tagged)
    assert result == filters["speedup"](run_files())
    assert type(result["report"]["run"]["run_id"]) is str


def test_a_run_without_results_is_one_line(filters: dict[str, Any]) -> None:
    assert filters["speedup"]({}) == {"problem": "run.json: missing in the run's folder"}


def test_a_value_error_becomes_ansibles(filters: dict[str, Any]) -> None:
    with pytest.raises(AnsibleFilterError):
        filters["node_readiness"]([], expected=["pi-1"], architecture="arm64", now="yesterday")
