"""Runs to which anything may happen, at random: none hangs, loses a trial, counts one twice or harms others.

CI takes ten seeds. `make chaos` takes two hundred, and CHAOS="17 23" the ones it names; CHAOS_KIND=containers
takes Pis with SSH and Docker instead of a lab. docs/proofs.md has the record of a whole one.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.kube.access.client import Json, KubeClient
from pi_speedup.kube.owned.owned import MANAGED_BY, RUN_ID_LABEL, Place
from pi_speedup.store import RunStore
from tests.containers.cluster import Cluster
from tests.lab.chaos import BESIDE, CLOCK_SET, KIND, HostClock, Scene, let_happen, schedule
from tests.lab.fault_proxy import FaultProxy, fault_proxy
from tests.lab.killed import assert_as_undisturbed, good_trials, processes_of
from tests.lab.lab import Lab, Outcome
from tests.look_alikes import put_look_alikes, seen, touched
from tests.manifests import namespace
from tests.virtual import PROJECT, await_that
from virtual_cluster.containers.images import WORKER as IMAGE

SEEDS = [int(seed) for seed in os.environ.get("CHAOS", "").split()] or list(range(1, 11))
PLACE = Place("pi-speedup")
# A trial's own deadline; a claim counts for 40 s after its holder's last word.
_TIMEOUT_SECONDS = 30
_SETTLED_SECONDS = 90.0
_HANGS_AFTER_SECONDS = 30.0
_LOOK_ALIKES = 10
_STRANGER = "5f0c4a3e-0000-4000-8000-000000000000"
_LABELS = {"app.kubernetes.io/name": "pi-speedup", MANAGED_BY: "pi-speedup", RUN_ID_LABEL: "chaos-1"}
# restricted, as our namespace demands; held back, so that nothing changes it.
_POD = {
    "restartPolicy": "Never",
    "schedulingGates": [{"name": "example.org/held"}],
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 65534,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "containers": [
        {
            "name": "pi",
            "image": "python:3.9",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
}
# What we make too: the API, what is in one besides its name.
_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "configmaps": ("/api/v1", {}),
    "leases": ("/apis/coordination.k8s.io/v1", {"spec": {"holderIdentity": "somebody"}}),
    "networkpolicies": ("/apis/networking.k8s.io/v1", {"spec": {"podSelector": {"matchLabels": _LABELS}}}),
    "pods": ("/api/v1", {"spec": _POD}),
    "jobs": ("/apis/batch/v1", {"spec": {"suspend": True, "template": {"spec": _POD}}}),
}


def settings(run_id: str) -> dict[str, object]:
    return {
        "benchmark_run_id": run_id,
        "benchmark_rounds": 2,
        "benchmark_long_rounds": 1,
        "benchmark_samples_per_process": 3_000_000,
        "benchmark_timeout_seconds": _TIMEOUT_SECONDS,
        "benchmark_report_formats": "json",
    }


def with_our_label(client: KubeClient, *kinds: str) -> list[Json]:
    """Return all objects of these kinds that have our label, whoever's they are."""
    ours = {"labelSelector": f"{MANAGED_BY}=pi-speedup"}
    return [item for kind in kinds for item in client.list_all(f"{_KINDS[kind][0]}/{kind}", ours)[0]]


def versions(client: KubeClient) -> dict[str, str]:
    """Return what tells whether an object with our label was touched or made anew, by uid."""
    items = with_our_label(client, *_KINDS)
    return {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in items}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab | Cluster]:
    """A cluster of its own: others would find the look-alikes in theirs."""
    folder = tmp_path_factory.mktemp("chaos") / KIND
    running = Cluster(folder) if KIND == "containers" else Lab(folder)
    try:
        running.virtual_cluster("up", *(() if KIND == "containers" else ("--pis", "3", "--cpus", "0.5")))
        yield running
    finally:
        running.virtual_cluster("down")


@pytest.fixture
def proxy(lab: Lab | Cluster, tmp_path: Path) -> Iterator[FaultProxy]:
    """A proxy before its API server."""
    with fault_proxy(lab.folder / "kubeconfig", tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def strangers(lab: Lab | Cluster) -> Iterator[Callable[[], bool]]:
    """What is somebody else's on the Pi that works alone, by all marks but the owner; says if it is left."""
    words = [sys.executable, "-c", "import time; time.sleep(1e6)", "--run-id=look-alike"]
    process = subprocess.Popen(words, env={"PI_SPEEDUP_BASE": _STRANGER})
    there: list[Callable[[], bool]] = [lambda: process.poll() is None]
    if isinstance(lab, Cluster):
        marks = {"app.kubernetes.io/managed-by": "pi-speedup", "pi-speedup/owner": _STRANGER}
        labels = [f"--label={key}={value}" for key, value in marks.items()]
        program = ("--entrypoint=python3", IMAGE, "-c", "import time; time.sleep(1e6)")
        lab.on("pi-1", "docker", "run", "--detach", "--name=look-alike", *labels, *program)
        there.append(lambda: lab.containers_on("pi-1") == ["look-alike"])
    yield lambda: all(each() for each in there)
    process.kill()
    process.wait()
    if isinstance(lab, Cluster):
        lab.on("pi-1", "docker", "rm", "--force", "look-alike")


@pytest.fixture(scope="module")
def foreign(lab: Lab | Cluster) -> dict[str, str]:
    """A hundred objects of somebody else that have our labels, in our namespace and in another."""
    with KubeClient(lab.folder / "kubeconfig") as client:
        client.create("/api/v1/namespaces", namespace(PLACE))
        for number in range(_LOOK_ALIKES):
            metadata = {"name": f"look-alike-{number}", "labels": _LABELS}
            for where in (PLACE.namespace, "default"):
                for kind, (api, content) in _KINDS.items():
                    client.create(f"{api}/namespaces/{where}/{kind}", {"metadata": metadata, **content})

        def settled() -> bool:
            items = with_our_label(client, "jobs", "pods")
            return all(item.get("status", {}).get("conditions") for item in items)

        await_that(settled, "the controllers have said what they have to say of the look-alikes")
        found = versions(client)
    assert len(found) == 2 * _LOOK_ALIKES * len(_KINDS)
    return found


@pytest.fixture(scope="module")
def others(lab: Lab | Cluster) -> dict[str, tuple[int, int, str]]:
    """What somebody else has in the folder of the runs: names that a run's files have, links, pipes."""
    runs = lab.folder.parent / "runs"
    put_look_alikes(runs)
    return seen(runs)


@pytest.fixture(scope="module")
def undisturbed(lab: Lab | Cluster, foreign: dict[str, str]) -> tuple[float, dict[str, Any]]:
    """How many seconds a run takes that nobody disturbs, and its report."""
    begin = time.monotonic()
    outcome = lab.play("benchmark.yml", **settings("undisturbed"))
    assert outcome.exit_code == 0, outcome.output
    return time.monotonic() - begin, report_of(outcome.run_dir)


def report_of(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report


def assert_no_traceback(outcome: Outcome, folder: Path) -> None:
    """Allow Python's own: a Ctrl-C that comes while it still imports Ansible meets no line of ours."""
    frames = re.findall(r'^ *File "([^"]+)"', outcome.output, re.MULTILINE)
    if outcome.exit_code == -signal.SIGINT and not folder.exists() and frames:
        assert not [each for each in frames if Path(each).is_relative_to(PROJECT) and ".venv" not in each]
    else:
        assert "Traceback" not in outcome.output, outcome.output


def go_on(lab: Lab | Cluster, run_id: str) -> Outcome:
    """Go on with a run until it is complete, once claims of the dead and taints of the sick are gone."""
    deadline = time.monotonic() + _SETTLED_SECONDS
    while True:
        outcome = lab.play("benchmark.yml", **settings(run_id))
        assert "Traceback" not in outcome.output, outcome.output
        if outcome.exit_code == 0 or "is complete" in outcome.output:
            return outcome
        assert time.monotonic() < deadline, outcome.output


def audited(lab: Lab | Cluster) -> Iterator[str]:
    """Give the lines of the API server's own account."""
    if isinstance(lab, Cluster):
        yield from lab.on("pi-1", "cat", "/var/log/pi-speedup/audit.log").splitlines(keepends=True)
    else:
        with (lab.folder / "audit.log").open() as log:
            yield from log


def written_by_us(lab: Lab | Cluster, since: str) -> Iterator[tuple[str, str]]:
    """Give what our client has changed by the API server's own account: verb, and namespace/kind/name."""
    for line in audited(lab):
        if not line.endswith("\n") or '"userAgent":"pi-speedup"' not in line:
            continue
        entry = json.loads(line)
        of = entry.get("objectRef", {})
        asks = entry["verb"] in ("get", "list", "watch") or of.get("apiGroup") == "authorization.k8s.io"
        if asks or entry["requestReceivedTimestamp"] < since:
            continue
        yield entry["verb"], "/".join(of.get(key, "") for key in ("namespace", "resource", "name"))


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_nothing_is_lost_and_nobody_harmed(
    lab: Lab | Cluster,
    proxy: FaultProxy,
    foreign: dict[str, str],
    strangers: Callable[[], bool],
    others: dict[str, tuple[int, int, str]],
    undisturbed: tuple[float, dict[str, Any]],
    seed: int,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    alone_seconds, report = undisturbed
    chance = random.Random(seed)
    strokes = schedule(chance, alone_seconds)
    record_property("strokes", "; ".join(map(str, strokes)))
    print(f"CHAOS={seed}: {'; '.join(map(str, strokes))}")
    run_id = f"chaos-{seed}-{os.getpid()}"
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    clock = HostClock(tmp_path)
    sees = clock.environment() if CLOCK_SET in {stroke.what for stroke in strokes} else {}
    playing = lab.start_in(sees, "benchmark.yml", **settings(run_id), benchmark_kubeconfig=proxy.kubeconfig)
    folder = playing.run_dir.parent / run_id
    # Each stroke may cost a trial its time, and what it lasts.
    deadline = alone_seconds + sum(stroke.seconds + _TIMEOUT_SECONDS for stroke in strokes)
    scene = Scene(lab, proxy, playing, run_id, clock, chance)
    outcome, spent = let_happen(scene, strokes, deadline + _HANGS_AFTER_SECONDS)

    assert_no_traceback(outcome, folder)
    before = good_trials(folder)
    record_property("met", "; ".join(scene.met))
    record_property("exit code", outcome.exit_code)
    record_property("ended after", f"{spent:.0f} s")
    record_property("trials on disk", len(before))
    record_property("said", " | ".join(outcome.errors))
    if outcome.exit_code == 0:
        assert report_of(folder)["progress"]["ending"]["kind"] == "complete"
    elif outcome.exit_code == 2:
        assert outcome.errors, outcome.output
    else:
        assert any("playbook:" in stroke.what for stroke in strokes), outcome.output

    await_that(lambda: all(map(lab.is_ready, ("pi-1", "pi-2", "pi-3"))), "all Pis are well again")
    go_on(lab, run_id)
    after = good_trials(folder)
    assert {name: after.get(name) for name in before} == before
    slots = [trial.slot for trial in after.values()]
    assert sorted(slots, key=str) == sorted(RunStore(folder).plan().slots, key=str)
    assert_as_undisturbed(report_of(folder), report)

    cleaned = lab.play("cleanup.yml")
    assert cleaned.exit_code == 0, cleaned.output
    assert processes_of(run_id) == {}
    with KubeClient(lab.folder / "kubeconfig") as client:
        assert versions(client) == foreign
    assert touched(others, folder.parent) == {}
    assert strangers()
    written = list(written_by_us(lab, since))
    assert written
    assert [
        each
        for each in written
        if "look-alike" in each[1] or not each[1].startswith(("pi-speedup/", f"{BESIDE}/"))
    ] == []
