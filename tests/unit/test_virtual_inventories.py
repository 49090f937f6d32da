"""What the rig's inventories set is valid, though the rig does not know the product's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pi_speedup.model.settings import settings_from
from virtual_cluster import inventory as lab
from virtual_cluster import pis
from virtual_cluster.containers import inventory as containers
from virtual_cluster.containers.pis import ContainerPi

FOLDER = Path("/somewhere/a b'c")
CONTAINER_PI = ContainerPi("pi-1", "pi-1-x", "172.18.0.11", 0.5, "10.42.1.0/24", is_server=True)
INVENTORIES = {
    "a lab": lab.render(pis.create(3, 0.5, "arm64", 40000), FOLDER, FOLDER / "kubeconfig"),
    "containers": containers.render([CONTAINER_PI], "amd64", FOLDER / "key", FOLDER / "known_hosts"),
}


@pytest.fixture(params=list(INVENTORIES))
def inventory(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(INVENTORIES[str(request.param)])["all"]
    return found


def test_its_settings_are_valid(inventory: dict[str, Any]) -> None:
    settings = settings_from(inventory["vars"])
    assert settings.cpu_limit_cores == 0.5
    assert "virtual Pis" in settings.caveat


def test_it_has_the_groups_that_the_doors_need(inventory: dict[str, Any]) -> None:
    groups = {name: list(group["hosts"]) for name, group in inventory["children"].items()}
    assert groups["base"] == ["pi-1"]
    assert set(groups["pis"]) >= {"pi-1"}
