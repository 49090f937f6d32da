"""Settings and inventory: any value for any setting, any name for any host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi_speedup.model.settings import PREFIX, Settings, settings_from
from pi_speedup.plan.opening import Here, Inventory, open_door
from pi_speedup.text import one_line
from tests.unit.hostile.made_up import ANYTHING, LEAVES, ODD_TEXTS, examples, sound

SETTINGS = st.sampled_from(sorted(Settings.model_fields))
NAMES = st.one_of(st.sampled_from(["pi-1", "pi-2", "pi-3", "localhost", "10.0.0.1"]), ODD_TEXTS)
GROUP = st.none() | st.lists(NAMES, max_size=4)


@examples(50)
@given(
    given=st.dictionaries(st.one_of(SETTINGS, ODD_TEXTS), st.one_of(LEAVES, ANYTHING), min_size=1, max_size=3)
)
def test_any_value_of_any_setting(given: dict[str, Any]) -> None:
    variables = {f"{PREFIX}{name}": value for name, value in given.items()}
    settings = sound(
        lambda: settings_from(variables), [one_line(f"{PREFIX}{one_line(name, 60)}", 300) for name in given]
    )
    if settings is not None:
        # It can be sealed, and read again.
        assert Settings.model_validate_json(settings.text()) == settings


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder."""
    return tmp_path_factory.mktemp("project")


@examples(40)
@given(
    door=st.sampled_from(["benchmark", "cleanup", "rbac", "report"]),
    groups=st.fixed_dictionaries(
        {"pis": GROUP, "base": GROUP, "server": GROUP, "agent": GROUP, "reached": GROUP}
    ),
    limit=st.none() | ODD_TEXTS,
    places=st.dictionaries(st.sampled_from(["runs_dir", "kubeconfig", "run_id"]), ODD_TEXTS),
    environment=st.dictionaries(st.just("KUBECONFIG"), ODD_TEXTS),
)
def test_any_inventory(
    project: Path, door: Any, groups: Any, limit: Any, places: dict[str, str], environment: dict[str, str]
) -> None:
    here = Here(project, environment, Path("/home/me"), "20261124-071530", 7)
    variables = {f"{PREFIX}{name}": value for name, value in places.items()}
    names = [one_line(name, 60) for group in groups.values() for name in group or ()]
    opened = sound(
        lambda: open_door(
            door, variables, Inventory(**groups, limit=limit), here, sha256_of=lambda _: "ab" * 32
        ),
        ["inventory", "--limit", "$KUBECONFIG", "/", *variables, *filter(None, names)],
    )
    if opened is not None:
        assert all(name.isprintable() for name in (*opened.pis, opened.base_pi, opened.id))
