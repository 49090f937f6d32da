"""Two people, one cluster: who came first is never disturbed, who came second gets one line."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable

import pytest

from pi_speedup.clock import boot_seconds
from pi_speedup.codes import Code
from pi_speedup.kube.access.client import KubeClient
from pi_speedup.kube.owned.lease import LEASE_NAME, hold
from pi_speedup.kube.owned.owned import Place
from pi_speedup.store import RunStore
from tests.lab.lab import Lab
from tests.virtual import Playing, assert_told, await_that

# Of what has not ended by then something hangs.
HANGS_SECONDS = 300
# Longer than the longest delay.
_SETTINGS: dict[str, object] = {"benchmark_rounds": 6, "benchmark_samples_per_process": 1_000_000}
# Started at once, and while the first one's Jobs, base cases and report are under way.
_DELAYS = [0, 0.3, 1, 2, 2.5, 3, 4, 5, 7, 10] if os.environ.get("PROOFS") else [0, 2.5]


def start(lab: Lab, run_id: str, door: str = "benchmark.yml", **more: object) -> Playing:
    return lab.start(door, **{**_SETTINGS, "benchmark_run_id": run_id, **more})


@pytest.mark.fault("Lease held by another run", row="0 s later")
@pytest.mark.parametrize("delay", _DELAYS, ids=lambda delay: f"{delay:g} s later")
def test_a_second_benchmark_is_refused_and_the_first_one_undisturbed(
    lab: Lab, delay: float, record_property: Callable[[str, object], None]
) -> None:
    names = [f"{which}-{delay:g}".replace(".", "-") for which in ("first", "second")]
    first = start(lab, names[0])
    # The delay itself is what is tested: there is no condition to await.
    time.sleep(delay)
    second = start(lab, names[1])
    outcomes = dict(zip(names, (first.end(HANGS_SECONDS), second.end(HANGS_SECONDS)), strict=True))
    winners = [name for name, outcome in outcomes.items() if outcome.exit_code == 0]
    # Started at once, either may be the one that measures; later, the first must be.
    assert winners in ([names[:1], names[1:]] if delay < 1 else [names[:1]]), outcomes
    (winner,) = winners
    record_property("measured", winner.partition("-")[0])
    for name, outcome in outcomes.items():
        store = RunStore(outcome.run_dir.parent / name)
        if name == winner:
            assert [trial.outcome for trial in store.trials()] == ["ok"] * len(store.plan().slots)
            assert {trial.attempt for trial in store.trials()} == {1}
            flags = flagged(store)
            assert not flags & {"overlap", "order_done", "outages", "failed_attempts"}, outcome.output
        else:
            assert_told(outcome, rf"^another benchmark is measuring: run {winner} by .*Next: wait for it")
            assert store.trials() == ()


def flagged(store: RunStore) -> set[str]:
    report = json.loads((store.folder / "report.json").read_text())
    return {check["code"] for check in report["checks"] if check["status"] == "flag"}


@pytest.mark.fault(
    "another benchmark in another namespace",
    "survived",
    kept="all; each is told of the other, and the check neighbours makes both doubtful",
)
@pytest.mark.parametrize("pair", range(10 if os.environ.get("PROOFS") else 1))
def test_two_benchmarks_in_two_namespaces_know_of_each_other(lab: Lab, pair: int) -> None:
    # The same run's name in both, which on a Pi must not collide either.
    runs = {
        namespace: lab.folder.parent / f"runs-{pair}-{namespace}" for namespace in ("pi-speedup", "bench")
    }
    playing = {
        namespace: start(
            lab, "same", benchmark_namespace=namespace, benchmark_runs_dir=folder, benchmark_rounds=12
        )
        for namespace, folder in runs.items()
    }
    trials = [folder / "same/trials" for folder in runs.values()]
    await_that(lambda: all(any(each.glob("*.json")) for each in trials), "both measure", within_seconds=180)
    # Beside both, in their namespaces and in another.
    beside = {
        namespace: lab.start("cleanup.yml", benchmark_namespace=namespace)
        for namespace in (*runs, "nobody-s")
    }
    for namespace in runs:
        refused = beside[namespace].end(HANGS_SECONDS)
        assert_told(refused, r"^a benchmark is measuring: run same by .*cleanup_running=true")
    assert beside["nobody-s"].end(HANGS_SECONDS).exit_code == 0
    for namespace, other in (("pi-speedup", "bench"), ("bench", "pi-speedup")):
        outcome = playing[namespace].end(HANGS_SECONDS)
        assert outcome.exit_code == 0, outcome.output
        told = rf"^another benchmark measures on pi-1, pi-2, pi-3: run same by .* in namespace {other}; "
        assert len(re.findall(told, outcome.output, re.MULTILINE)) == 1, outcome.output
        store = RunStore(runs[namespace] / "same")
        assert [(trial.outcome, trial.attempt) for trial in store.trials()] == [("ok", 1)] * len(
            store.plan().slots
        )
        shared = [run.seconds for trial in store.trials() for run in trial.other_runs]
        assert max(shared) > 0
        checks = json.loads((store.folder / "report.json").read_text())["checks"]
        (found,) = [check for check in checks if check["code"] == "neighbours"]
        assert (found["status"], found["effect"]) == ("flag", "doubtful")
        assert f"in namespace {other} measured for " in found["found"]
        # Each namespace for itself: none of the other's is gone.
        assert lab.play("cleanup.yml", benchmark_namespace=namespace).exit_code == 0


@pytest.mark.fault(
    "claim taken by another benchmark within a trial",
    "this benchmark's claim on the cluster: taken over by run thief by bob@desk since 12:00, its claim "
    "counts until 12:00:40 [PS-422]. Next: see who else measures there, then ansible-playbook … "
    "-e benchmark_run_id=robbed",
    kept="trials; that one is failed",
)
def test_a_trial_in_which_somebody_took_the_cluster_is_not_kept_as_good(lab: Lab) -> None:
    robbed = start(lab, "robbed", benchmark_samples_per_process=3_000_000)
    store = RunStore(robbed.run_dir.parent / "robbed")
    await_that(lambda: list((store.folder / "trials").glob("*.json")), "a first trial is on disk")
    place = Place("pi-speedup")
    with KubeClient(lab.folder / "kubeconfig") as client:
        claimed = client.get(f"{place.leases}/{LEASE_NAME}")
        client.delete(f"{place.leases}/{LEASE_NAME}", claimed["metadata"]["uid"], "Background")
        with hold(client, place, "bob@desk", "thief"):
            taken_at = boot_seconds()
            ended = robbed.end(HANGS_SECONDS)
    assert_told(ended, r"^this benchmark's claim on the cluster: taken (over by run thief|away).*PS-422")
    *good, last = store.trials()
    assert all(trial.started.boot_seconds + (trial.wall_seconds or 0) < taken_at for trial in good)
    assert last.outcome == "failed" and last.problem is not None and last.problem.code == Code.CLAIM_LOST


@pytest.mark.fault(
    "cleanup beside a run",
    "a benchmark is measuring: run run-1 by ann@laptop since 12:00, its claim counts "
    "until 12:00:40 [PS-801]. Next: wait for its end, or remove it too: ansible-playbook cleanup.yml -e "
    "cleanup_running=true",
    kept="all",
)
def test_cleanup_leaves_a_running_measurement_alone_unless_told(lab: Lab) -> None:
    measuring = start(lab, "measuring", benchmark_rounds=15)
    folder = measuring.run_dir.parent / "measuring/trials"
    await_that(lambda: list(folder.glob("*.json")), "a first trial is on disk")
    refused = lab.play("cleanup.yml")
    assert_told(refused, r"^a benchmark is measuring: run measuring by .*cleanup_running=true")
    assert refused.output.splitlines() == refused.errors
    assert measuring.end(HANGS_SECONDS).exit_code == 0


def test_cleanup_takes_a_running_measurement_away_when_told(lab: Lab) -> None:
    measuring = start(lab, "taken", benchmark_rounds=50)
    folder = measuring.run_dir.parent / "taken/trials"
    await_that(lambda: list(folder.glob("*.json")), "a first trial is on disk")
    cleaned = lab.play("cleanup.yml", cleanup_running="true")
    assert cleaned.exit_code == 0, cleaned.output
    ended = measuring.end(HANGS_SECONDS)
    # Which of these it notices first is a matter of the moment.
    words = (
        "claim on the cluster: taken (away|over by cleanup)",
        "deleted by someone else",
        "it is being terminated",
    )
    assert_told(ended, "|".join(words))
    # Nothing was begun anew in the meantime.
    assert lab.left_behind() == []
