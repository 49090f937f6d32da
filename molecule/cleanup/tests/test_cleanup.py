"""Benchmark, cleanup, cleanup: ours is gone, and the foreign is as it was to the last version number."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.fault(
    "foreign objects with our name or label",
    "namespace … stays: it holds an object of others, such as secrets/theirs",
    kept="theirs",
    exit_code=0,
)
def test_the_foreign_objects_are_untouched(ephemeral: Path, kubectl: Callable[..., Any]) -> None:
    def identities(metadata: list[dict[str, str]]) -> set[tuple[str, str, str]]:
        return {(each["name"], each["uid"], each["resourceVersion"]) for each in metadata}

    before = identities(json.loads((ephemeral / "foreign.json").read_text()))
    now = identities([item["metadata"] for item in kubectl("get", "jobs,pods", "--all-namespaces")["items"]])
    assert len(before) == 24
    assert now == before


def test_the_configmap_of_ours_is_gone_and_the_foreign_configmap_is_not(kubectl: Callable[..., Any]) -> None:
    names = {
        item["metadata"]["name"] for item in kubectl("get", "configmaps", "--namespace=pi-speedup")["items"]
    }
    assert names == {"kube-root-ca.crt", "pi-speedup-owner-2"}


def test_the_namespace_stays_because_others_use_it(kubectl: Callable[..., Any]) -> None:
    assert kubectl("get", "namespace", "pi-speedup")["status"]["phase"] == "Active"


def test_the_first_cleanup_says_what_it_removed_and_the_second_one_removed_nothing(
    outputs: list[str],
) -> None:
    _, first, second = outputs
    assert "removed ConfigMap pi-speedup-owner" in first
    assert "removed " not in second


def test_the_results_stay(latest_run: Path) -> None:
    assert (latest_run / "report.json").is_file()
