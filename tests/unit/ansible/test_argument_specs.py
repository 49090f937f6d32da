"""What a role documents is what it has: argument_specs against defaults, for every role."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[3]
ROLES = sorted(path for path in (PROJECT / "roles").iterdir() if path.is_dir())
# Its settings are the user's own words, and their defaults are in the model from which the file is made.
SETTINGS = "benchmark_"


def specs_of(role: Path) -> dict[str, Any]:
    specs: dict[str, Any] = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())
    return dict(specs["argument_specs"])


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_are_those_documented(role: Path) -> None:
    defaults_file = role / "defaults" / "main.yml"
    defaults = (yaml.safe_load(defaults_file.read_text()) or {}) if defaults_file.exists() else {}
    options: dict[str, Any] = {}
    for entry, spec in specs_of(role).items():
        for name, option in spec.get("options", {}).items():
            if role.name == "run_plan" and name.startswith(SETTINGS):
                continue
            assert name.startswith(f"{role.name}_"), f"{name} of {entry} doesn't carry the role's name"
            assert option.get("required", False) != ("default" in option), (
                f"{name}: required or with a default"
            )
            assert options.setdefault(name, option).get("default") == option.get("default"), f"{name} differs"
    documented = {name: option["default"] for name, option in options.items() if "default" in option}
    assert documented == defaults


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_each_entry_has_its_tasks(role: Path) -> None:
    assert all((role / "tasks" / f"{entry}.yml").exists() for entry in specs_of(role))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_each_input_is_used(role: Path) -> None:
    tasks = "".join(path.read_text() for path in (role / "tasks").glob("*.yml"))
    names = {name for spec in specs_of(role).values() for name in spec.get("options", {})}
    unused = {name for name in names if not name.startswith(SETTINGS) and name not in tasks}
    assert not unused


def plays() -> list[dict[str, Any]]:
    paths = sorted((PROJECT / "playbooks").glob("*.yml"))
    return [play for path in paths for play in yaml.safe_load(path.read_text())]


def test_playbooks_pass_in_what_a_role_requires() -> None:
    given = [call for play in plays() for call in calls(play, {*play.get("vars", {})})]
    assert {role for role, _, _ in given} == {role.name for role in ROLES}
    for role, entry, names in given:
        spec = specs_of(PROJECT / "roles" / role)[entry].get("options", {})
        required = {name for name, option in spec.items() if option.get("required")}
        names = {name for name in names if name.startswith(f"{role}_")}
        assert required <= names, f"{role}, {entry}: {required - names} not given"
        assert names <= set(spec), f"{role}, {entry}: {names - set(spec)} not known"


def calls(tasks: dict[str, Any], known: set[str]) -> list[tuple[str, str, set[str]]]:
    """Return role, entry and names given of each role that a play or block has, imports or includes."""
    found = [(role["role"], "main", {*role, *known}) for role in tasks.get("roles", ())]
    for section in ("tasks", "block", "rescue", "always"):
        for task in tasks.get(section, ()):
            role = task.get("ansible.builtin.import_role") or task.get("ansible.builtin.include_role")
            if role:
                names = {*task.get("vars", {}), *known}
                found.append((role["name"], role.get("tasks_from", "main"), names))
            found += calls(task, known)
    return found


def test_roles_read_a_run_s_files_and_have_few_inputs() -> None:
    inputs = {
        name
        for role in ROLES
        for spec in specs_of(role).values()
        for name in spec.get("options", {})
        if not name.startswith(SETTINGS)
    }
    assert len(inputs) <= 20, sorted(inputs)
    text = "".join(path.read_text() for path in (PROJECT / "playbooks").glob("*.yml"))
    assert text.count("hostvars") <= 6


def test_a_spec_that_is_not_enforced_says_why() -> None:
    for path in sorted((PROJECT / "playbooks").glob("*.yml")):
        lines = path.read_text().splitlines()
        for before, line in pairwise(lines):
            assert "rolespec_validate" not in line or before.lstrip().startswith("# "), path.name
