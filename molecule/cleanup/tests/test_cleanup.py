"""Benchmark, cleanup, cleanup: ours is gone, and the foreign is as it was to the last version number."""

from __future__ import annotations

import json
import re
from pathlib import Path


def test_the_foreign_objects_are_untouched(ephemeral: Path, kubectl) -> None:
    def identities(metadata: list[dict[str, str]]) -> set[tuple[str, str, str]]:
        return {(each["name"], each["uid"], each["resourceVersion"]) for each in metadata}

    before = identities(json.loads((ephemeral / "foreign.json").read_text()))
    now = identities([item["metadata"] for item in kubectl("get", "jobs,pods", "--all-namespaces")["items"]])
    assert len(before) == 24
    assert now == before


def test_the_worker_of_ours_is_gone_and_the_foreign_configmap_is_not(kubectl) -> None:
    names = {
        item["metadata"]["name"] for item in kubectl("get", "configmaps", "--namespace=pi-speedup")["items"]
    }
    assert names == {"kube-root-ca.crt", "pi-speedup-worker-2"}


def test_the_namespace_stays_because_others_use_it(kubectl) -> None:
    assert kubectl("get", "namespace", "pi-speedup")["status"]["phase"] == "Active"


def test_the_second_cleanup_changed_nothing(output: str) -> None:
    recaps = re.findall(r"^localhost +: ok=\d+ +changed=(\d+)", output, re.MULTILINE)
    assert len(recaps) == 3
    assert int(recaps[1]) > 0
    assert int(recaps[2]) == 0


def test_the_results_stay(latest_run: Path) -> None:
    assert (latest_run / "report.json").is_file()
