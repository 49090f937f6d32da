"""The inventory says all that the product learns about a lab."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from virtual_cluster import inventory, pis


def rendered(count: int) -> dict[str, dict[str, dict[str, object]]]:
    text = inventory.render(pis.create(count, 0.5, "arm64", 40000), Path("/lab"), Path("/lab/kubeconfig"))
    loaded: dict[str, dict[str, dict[str, object]]] = yaml.safe_load(text)
    return loaded


@pytest.mark.parametrize("count", [1, 3, 100])
def test_groups(count: int) -> None:
    children = rendered(count)["all"]["children"]
    assert children["base"] == {"hosts": {"pi-1": {}}}
    assert children["pis"] == {"hosts": {f"pi-{number}": {} for number in range(1, count + 1)}}


def test_variables_describe_the_lab() -> None:
    variables = rendered(3)["all"]["vars"]
    assert variables["benchmark_kubeconfig"] == "/lab/kubeconfig"
    assert variables["benchmark_architecture"] == "arm64"
    assert variables["benchmark_base_runtime"] == "process"
    assert variables["benchmark_host_checks"] is False
    assert "virtual Pis" in str(variables["benchmark_caveat"])


def test_the_base_prefix_works_from_any_directory(tmp_path: Path) -> None:
    prefix = rendered(1)["all"]["vars"]["benchmark_base_command_prefix"]
    assert isinstance(prefix, list)
    answer = subprocess.run([*prefix, "true"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (
        125,
        "Error: no lab in /lab. Next: python -m virtual_cluster up --dir /lab\n",
    )
