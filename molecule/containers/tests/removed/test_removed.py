"""After the cleanup: nothing of ours is on the Pis or in the cluster, and the results stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from testinfra.host import Host


def test_no_container_runs_on_any_pi(pi: Host) -> None:
    assert pi.check_output("docker ps --all --quiet") == ""
    with pi.sudo():
        assert pi.check_output("ctr --namespace k8s.io tasks list --quiet") == ""


def test_no_file_of_ours_is_left_in_the_home_of_any_pi(pi: Host) -> None:
    assert "pi_worker" not in pi.check_output("find /home/pi /tmp -xdev")


def test_the_namespace_is_gone(kubectl: Callable[..., Any]) -> None:
    names = [item["metadata"]["name"] for item in kubectl("get", "namespaces")["items"]]
    assert "default" in names
    assert "pi-speedup" not in names


def test_the_results_stay(latest_run: Path) -> None:
    assert (latest_run / "report.json").is_file()
    assert list(latest_run.glob("trials/*.json"))
    assert list(latest_run.glob("logs/*/*.log"))
