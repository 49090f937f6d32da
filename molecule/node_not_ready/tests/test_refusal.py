"""A Pi that is not Ready: refused before anything is started, with its name and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.fault(
    "node NotReady",
    "pi-2: not Ready (KubeletNotReady: container runtime network not ready: [31mcni "
    "plugin not initialized, for 4 min) [PS-301]. Next: ssh pi-2 systemctl status "
    "k3s-agent",
    kept="nothing begun",
)
def test_one_line_names_the_pi_the_reason_and_the_next_step(output: str) -> None:
    assert re.search(
        r"^pi-2: .*not Ready \(.+\) \[PS-301\]\. Next: ssh pi-2 .*systemctl status k3s-agent", output, re.M
    )


def test_it_is_the_last_line_and_stands_once(output: str) -> None:
    lines = [line for line in output.splitlines() if "pi-2" in line]
    assert lines == [output.strip().splitlines()[-1]]


def test_the_pis_that_are_well_are_not_accused(output: str) -> None:
    assert not re.search(r"pi-[13]: ", output)


def test_nothing_was_started(kubectl: Callable[..., Any], ephemeral: Path) -> None:
    assert kubectl("get", "jobs", "--all-namespaces")["items"] == []
    assert not list((ephemeral / "runs").glob("*/trials/*"))


def test_what_was_seen_is_on_disk(ephemeral: Path) -> None:
    (path,) = (ephemeral / "runs").glob("*/nodes.json")
    nodes = json.loads(path.read_text())["nodes"]
    assert {node["name"]: len(node["problems"]) for node in nodes} == {"pi-1": 0, "pi-2": 1, "pi-3": 0}


def test_no_traceback_is_shown(output: str) -> None:
    assert "Traceback" not in output
