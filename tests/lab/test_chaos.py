"""Runs to which anything may happen, at random: none hangs, loses a trial, counts one twice or harms others.

CI takes ten seeds. `make chaos` takes two hundred, and CHAOS="17 23" the ones it names; docs/proofs.md has
the record of a whole one.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.kube.client import Json, KubeClient
from pi_speedup.kube.owned import MANAGED_BY, RUN_ID_LABEL, Place
from pi_speedup.store import RunStore
from tests.lab.chaos import Scene, let_happen, schedule
from tests.lab.fault_proxy import FaultProxy
from tests.lab.killed import assert_as_undisturbed, good_trials, processes_of
from tests.lab.lab import Lab, Outcome
from tests.manifests import namespace
from tests.virtual import await_that

SEEDS = [int(seed) for seed in os.environ.get("CHAOS", "").split()] or list(range(1, 11))
PLACE = Place("pi-speedup")
# A trial's own deadline; a claim counts for 40 s after its holder's last word.
_TIMEOUT_SECONDS = 30
_SETTLED_SECONDS = 90.0
_HANGS_AFTER_SECONDS = 30.0
_LOOK_ALIKES = 10
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
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of its own: others would find the look-alikes in theirs."""
    running = Lab(tmp_path_factory.mktemp("chaos") / "lab")
    running.virtual_cluster("up", "--pis", "3", "--cpus", "0.5")
    yield running
    running.virtual_cluster("down")


@pytest.fixture(scope="module")
def foreign(lab: Lab) -> dict[str, str]:
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
def undisturbed(lab: Lab, foreign: dict[str, str]) -> tuple[float, dict[str, Any]]:
    """How many seconds a run takes that nobody disturbs, and its report."""
    begin = time.monotonic()
    outcome = lab.play("benchmark.yml", **settings("undisturbed"))
    assert outcome.exit_code == 0, outcome.output
    return time.monotonic() - begin, report_of(outcome.run_dir)


def report_of(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report


def go_on(lab: Lab, run_id: str) -> Outcome:
    """Go on with a run until it is complete, once claims of the dead and taints of the sick are gone."""
    deadline = time.monotonic() + _SETTLED_SECONDS
    while True:
        outcome = lab.play("benchmark.yml", **settings(run_id))
        assert "Traceback" not in outcome.output, outcome.output
        if outcome.exit_code == 0 or "is complete" in outcome.output:
            return outcome
        assert time.monotonic() < deadline, outcome.output


def written_by_us(lab: Lab, since: str) -> Iterator[tuple[str, str]]:
    """Give what our client has changed by the API server's own account: verb, and namespace/kind/name."""
    with (lab.folder / "audit.log").open("rb") as log:
        for line in log:
            if not line.endswith(b"\n") or b'"userAgent":"pi-speedup"' not in line:
                continue
            entry = json.loads(line)
            of = entry.get("objectRef", {})
            asks = entry["verb"] in ("get", "list", "watch") or of.get("apiGroup") == "authorization.k8s.io"
            if asks or entry["requestReceivedTimestamp"] < since:
                continue
            yield entry["verb"], "/".join(of.get(key, "") for key in ("namespace", "resource", "name"))


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_nothing_is_lost_and_nobody_harmed(
    lab: Lab,
    proxy: FaultProxy,
    foreign: dict[str, str],
    undisturbed: tuple[float, dict[str, Any]],
    seed: int,
    record_property: Callable[[str, object], None],
) -> None:
    alone_seconds, report = undisturbed
    chance = random.Random(seed)
    strokes = schedule(chance, alone_seconds)
    record_property("strokes", "; ".join(map(str, strokes)))
    print(f"CHAOS={seed}: {'; '.join(map(str, strokes))}")
    run_id = f"chaos-{seed}-{os.getpid()}"
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    playing = lab.start("benchmark.yml", **settings(run_id), benchmark_kubeconfig=proxy.kubeconfig)
    folder = playing.run_dir.parent / run_id
    # Each stroke may cost a trial its time, and what it lasts.
    deadline = alone_seconds + sum(stroke.seconds + _TIMEOUT_SECONDS for stroke in strokes)
    scene = Scene(lab, proxy, playing, run_id, chance)
    outcome, spent = let_happen(scene, strokes, deadline + _HANGS_AFTER_SECONDS)

    assert "Traceback" not in outcome.output, outcome.output
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
    written = list(written_by_us(lab, since))
    assert written
    assert [
        each for each in written if "look-alike" in each[1] or not each[1].startswith("pi-speedup/")
    ] == []
