"""What the scenarios' verifiers look at: the product of a run, never a variable left behind."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

PROJECT = Path(__file__).resolve().parent.parent
Kubectl = Callable[..., Any]


@pytest.fixture(scope="session")
def ephemeral() -> Path:
    """The scenario's folder: its cluster, its runs, and what the playbooks printed."""
    return Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


@pytest.fixture(scope="session")
def control_host() -> Host:
    """The machine that the playbooks ran on."""
    return testinfra.get_host("local://")


@pytest.fixture(params=["pi-1", "pi-2", "pi-3"])
def pi(request: pytest.FixtureRequest, ephemeral: Path) -> Host:
    """Each Pi in turn, reached over SSH as the playbooks reach it."""
    inventory = ephemeral / "cluster/inventory.yml"
    return testinfra.get_host(f"ansible://{request.param}?ansible_inventory={inventory}")


@pytest.fixture(scope="session")
def latest_run(ephemeral: Path) -> Path:
    """The folder of the newest run."""
    return ephemeral / "runs" / "latest"


@pytest.fixture(scope="session")
def trials(latest_run: Path) -> list[dict[str, Any]]:
    """All trials of the newest run, in the order of the plan."""
    return [json.loads(path.read_text()) for path in sorted(latest_run.glob("trials/*.json"))]


@pytest.fixture(scope="session")
def outputs(ephemeral: Path) -> list[str]:
    """All that each playbook printed, errors last."""
    return ["\n".join(streams) for streams in json.loads((ephemeral / "output.json").read_text())]


@pytest.fixture(scope="session")
def output(outputs: list[str]) -> str:
    """All that the playbooks printed."""
    return "\n".join(outputs)


@pytest.fixture(scope="session")
def kubectl(ephemeral: Path, control_host: Host) -> Kubectl:
    """Ask the scenario's cluster: kubectl("get", "pods") returns the parsed JSON."""

    def ask(*words: str) -> Any:
        argv = [
            sys.executable,
            str(PROJECT / "virtual_cluster"),
            *(["containers"] if (ephemeral / "cluster/containers.json").exists() else []),
            "kubectl",
            "--dir",
            str(ephemeral / "cluster"),
            "--",
        ]
        return json.loads(control_host.check_output(shlex.join([*argv, *words, "--output=json"])))

    return ask
