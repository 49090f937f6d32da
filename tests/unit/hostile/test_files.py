"""The files of a run, a report that somebody posted, and kubeconfigs: whatever they hold."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pi_speedup.cli.runs import find_report
from pi_speedup.kube.access.client import ONCE, KubeClient
from pi_speedup.kube.access.kubeconfig import current_cluster
from pi_speedup.kube.access.server import parse_server_kubeconfig
from pi_speedup.model.report import Report
from pi_speedup.plan.opening import Here, Inventory, open_door
from pi_speedup.report.build import build_report
from pi_speedup.report.evidence import read_contents
from pi_speedup.runs.compare import compare, rate_estimate, rounds_of
from pi_speedup.runs.history import past, past_of, run_folders
from pi_speedup.text import one_line
from tests.unit.hostile.made_up import ODD_TEXTS, as_json, changed, examples, sound, spoiled
from tests.unit.report import factory

PLAN = factory.plan(rounds=1)
PIS = PLAN.pis
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "default",
    "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default", "namespace": "x"}}],
    "clusters": [
        {
            "name": "default",
            "cluster": {
                "server": "http://127.0.0.1:1",
                "tls-server-name": "pi-1",
                "insecure-skip-tls-verify": False,
                "proxy-url": "http://127.0.0.1:1",
                "certificate-authority-data": base64.b64encode(b"-----BEGIN CERTIFICATE-----\nx\n").decode(),
            },
        }
    ],
    "users": [
        {
            "name": "default",
            "user": {
                "token": "abc",
                "username": "me",
                "password": "x",
                "client-certificate-data": base64.b64encode(b"-----BEGIN CERTIFICATE-----\nx\n").decode(),
                "client-key-data": base64.b64encode(b"-----BEGIN PRIVATE KEY-----\nx\n").decode(),
            },
        }
    ],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder that is as it should be."""
    return factory.write(
        tmp_path_factory.mktemp("whole") / "run", factory.contents(PLAN, hosts=factory.hosts(PLAN))
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Paths that nothing is at yet."""
    runs = tmp_path_factory.mktemp("runs")
    return (runs / str(number) / factory.RUN for number in itertools.count())


@pytest.fixture(scope="module")
def report(whole: Path) -> dict[str, Any]:
    """A report as JSON."""
    found: dict[str, Any] = json.loads(build_report(read_contents(whole)).text())
    return found


@examples(40)
@given(data=st.data())
def test_any_file_of_a_run(whole: Path, folders: Iterator[Path], data: st.DataObject) -> None:
    folder = next(folders)
    shutil.copytree(whole, folder)
    names = sorted(str(path.relative_to(whole)) for path in whole.rglob("*.json"))
    # The plan more often: of a trial there are many.
    name = data.draw(st.sampled_from(["plan.json", "nodes.json", *names]))
    path = folder / name
    known = json.loads(path.read_bytes())
    content = data.draw(st.one_of(changed(known, most=2).map(as_json), spoiled(st.just(path.read_bytes()))))
    way = data.draw(
        st.sampled_from(["changed", "changed", "changed", "gone", "a folder", "a link to itself"])
    )
    if way == "changed":
        path.write_bytes(content)
    else:
        path.unlink()
        if way == "a folder":
            path.mkdir()
        elif way == "a link to itself":
            path.symlink_to(path.name)
    named = [str(folder), "trials/"]
    (entry,) = run_folders(folder.parent) or (folder,)
    line, made = past(entry)
    if made is not None:
        assert Report.model_validate_json(made.text()) == made
    elif name != "plan.json" or path.exists():
        # Why there is none is said in its line.
        assert sound(lambda: build_report(read_contents(folder)), named) is None and line.problem
    here = Here(folder.parent, {}, folder.parent, "20261124-071530", 7)
    variables = {
        f"benchmark_{key}": value
        for key, value in {
            **PLAN.settings.model_dump(mode="json"),
            "run_id": folder.name,
            "runs_dir": str(folder.parent),
        }.items()
    }
    sound(
        lambda: open_door(
            "benchmark", variables, Inventory(PIS, PIS[:1]), here, sha256_of=lambda _: "ab" * 32
        ),
        [str(folder), f"run {factory.RUN}", "run "],
        longest=5000,
    )
    shutil.rmtree(folder.parent)


@examples(20)
@given(data=st.data())
def test_any_report(report: dict[str, Any], folders: Iterator[Path], data: st.DataObject) -> None:
    path = next(folders)
    path.parent.mkdir(exist_ok=True)
    content = data.draw(st.one_of(changed(report).map(as_json), spoiled(st.just(as_json(report)))))
    if data.draw(st.booleans()):
        content = (
            b'<!doctype html><script type="application/json" id="report">' + content + b"</script><![x[<!-"
        )
    path.write_bytes(content)
    found = sound(lambda: find_report(str(path), path.parent), [str(path)])
    path.unlink()
    if found is None:
        return
    other = Report.model_validate_json(json.dumps(report))
    for a, b in ((found, other), (other, found)):
        compare(a, b, history=[a, b, a, b, a, b])
    past_of(found)
    for side in ("together", "alone"):
        rate_estimate(found, side)
        rounds_of(found, side)


@examples(10)
@given(named=ODD_TEXTS)
def test_any_name_of_a_run(folders: Iterator[Path], named: str) -> None:
    runs = next(folders).parent
    sound(lambda: find_report(named, runs), [one_line(named, 200) or "''"], longest=500)


@examples(20)
@given(
    content=st.one_of(
        changed(KUBECONFIG).map(as_json),
        changed(KUBECONFIG, most=1).map(
            lambda value: yaml.safe_dump(json.loads(as_json(value))).encode("utf-8", "replace")
        ),
        spoiled(st.just(yaml.safe_dump(KUBECONFIG).encode())),
    ),
    address=ODD_TEXTS,
)
def test_any_kubeconfig(folders: Iterator[Path], content: bytes, address: str) -> None:
    # A kubeconfig may name a program to be run: that would be no test.
    assert b"exec" not in content and b"auth-provider" not in content
    path = next(folders)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o600)

    def ask() -> object:
        with KubeClient(path) as client:
            return client.with_patience(ONCE).find("/api/v1/nodes")

    sound(ask, [f"kubeconfig {path}", "API server "], longest=400)
    sound(lambda: current_cluster(path), [f"kubeconfig {path}"])
    text = content.decode("utf-8", "replace")
    server = sound(
        lambda: parse_server_kubeconfig(text, pi="pi-1", path="/etc/rancher/k3s/k3s.yaml"), ["pi-1"]
    )
    if server is not None:
        assert yaml.safe_load(server.pointing_to(address))
    path.unlink()
