"""What a role documents is what it has: argument_specs against defaults, for every role."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = sorted(path for path in (Path(__file__).parents[2] / "roles").iterdir() if path.is_dir())


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_are_those_documented(role: Path) -> None:
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    defaults_file = role / "defaults" / "main.yml"
    defaults = (yaml.safe_load(defaults_file.read_text()) or {}) if defaults_file.exists() else {}
    options: dict[str, Any] = {}
    for entry, spec in specs.items():
        for name, option in spec.get("options", {}).items():
            assert name.startswith(f"{role.name}_"), f"{name} of {entry} doesn't carry the role's name"
            assert option.get("required", False) != ("default" in option), (
                f"{name}: required or with a default"
            )
            assert options.setdefault(name, option).get("default") == option.get("default"), f"{name} differs"
    documented = {name: option["default"] for name, option in options.items() if "default" in option}
    assert documented == defaults


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_each_entry_has_its_tasks(role: Path) -> None:
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    assert all((role / "tasks" / f"{entry}.yml").exists() for entry in specs)
