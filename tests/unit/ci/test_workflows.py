"""What a fork's CI may do, and that it tests what the project promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.virtual import PROJECT

WORKFLOWS = sorted((PROJECT / ".github/workflows").glob("*.yml"))


def workflow(name: str) -> Any:
    return yaml.safe_load((PROJECT / f".github/workflows/{name}.yml").read_text("utf-8"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_action_is_pinned_by_commit(path: Path) -> None:
    used = re.findall(r"uses:.*", path.read_text("utf-8"))
    assert used
    for line in used:
        assert re.fullmatch(r"uses: [-\w]+/[-\w]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line), line


def test_the_token_reads_only() -> None:
    assert workflow("ci")["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in workflow("ci")["jobs"].values())
    # But for the one job that makes a release of a tag.
    assert workflow("release")["permissions"] == {}
    assert workflow("release")["on"] == {"push": {"tags": ["v*"]}}


def test_nothing_of_a_pull_request_is_part_of_a_command() -> None:
    for path in WORKFLOWS:
        for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values():
            for step in job["steps"]:
                assert "${{" not in step.get("run", ""), step["name"]
                assert step.get("with", {}).get("persist-credentials", False) is False


def test_each_part_of_make_test_is_run_with_both_pythons() -> None:
    jobs = workflow("ci")["jobs"]
    assert jobs["lab"]["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    (parts,) = re.findall(r"for part in (.*); do", (PROJECT / "Makefile").read_text("utf-8"))
    run = " ".join(step.get("run", "") for job in jobs.values() for step in job["steps"])
    for part in parts.split():
        assert f" make {part}" in run, part
