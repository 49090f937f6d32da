"""A Pi that is not Ready: refused before anything is started, with its name and what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path


def test_one_line_names_the_pi_the_reason_and_the_next_step(output: str) -> None:
    assert re.search(r"pi-2 is not Ready \(.+\)\. Next: ssh pi-2 .*systemctl status k3s-agent", output)


def test_the_pis_that_are_well_are_not_accused(output: str) -> None:
    assert not re.search(r"pi-[13] is not", output)


def test_nothing_was_started(kubectl, latest_run: Path) -> None:
    assert kubectl("get", "jobs", "--all-namespaces")["items"] == []
    assert not (latest_run / "results").exists()


def test_what_was_seen_is_on_disk(latest_run: Path) -> None:
    nodes = json.loads((latest_run / "nodes.json").read_text())["nodes"]
    assert {node["name"]: node["usable"] for node in nodes} == {"pi-1": True, "pi-2": False, "pi-3": True}


def test_no_traceback_is_shown(output: str) -> None:
    assert "Traceback" not in output
