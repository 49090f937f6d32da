"""An inventory of k3s-ansible whose hosts are addresses, over SSH, with the kubeconfig of its server."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from pi_speedup.store import RunStore
from tests.containers.cluster import PIS, Cluster


def test_it_works_as_it_is(cluster: Cluster, tmp_path: Path) -> None:
    own = yaml.safe_load((cluster.folder / "inventory.yml").read_text())["all"]
    first, *others = (cluster.addresses()[pi] for pi in PIS)
    groups = {"server": {"hosts": {first: None}}, "agent": {"hosts": dict.fromkeys(others)}}
    reached = own["children"]["pis"]["vars"]
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster/inventory.yml").write_text(
        yaml.safe_dump({"k3s_cluster": {"children": groups, "vars": {**own["vars"], **reached}}})
    )
    as_it_is = Cluster(tmp_path / "cluster")
    outcome = as_it_is.play("benchmark.yml", benchmark_rounds=1, **own["vars"])
    assert outcome.exit_code == 0, outcome.output
    report = json.loads((outcome.run_dir / "report.json").read_text())
    assert (report["pis"], report["base_pi"]) == (list(PIS), "pi-1")
    # What each Pi said of itself over SSH stands under its name.
    assert [bool(host.before and host.after) for host in RunStore(outcome.run_dir).hosts(PIS)] == [True] * 3
    assert sorted(path.name.split(".")[0] for path in (outcome.run_dir / "hosts").iterdir()) == sorted(
        2 * PIS
    )
    cleaned = as_it_is.play("cleanup.yml", **own["vars"])
    assert cleaned.exit_code == 0, cleaned.output
    assert cluster.left_behind() == []
