"""Two people, one cluster: who came first is never disturbed, who came second gets one line."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

import pytest

from pi_speedup.store import RunStore
from tests.lab.lab import Lab
from tests.virtual import Playing, assert_told, await_that

# Longer than the longest delay.
_SETTINGS: dict[str, object] = {"benchmark_rounds": 6, "benchmark_samples_per_process": 1_000_000}
# Started at once, and while the first one's Jobs, base cases and report are under way.
_DELAYS = [0, 0.3, 1, 2, 2.5, 3, 4, 5, 7, 10] if os.environ.get("PROOFS") else [0, 2.5]


def start(lab: Lab, run_id: str, door: str = "benchmark.yml", **more: object) -> Playing:
    return lab.start(door, **{**_SETTINGS, "benchmark_run_id": run_id, **more})


@pytest.mark.parametrize("delay", _DELAYS, ids=lambda delay: f"{delay:g} s later")
def test_a_second_benchmark_is_refused_and_the_first_one_undisturbed(
    lab: Lab, delay: float, record_property: Callable[[str, object], None]
) -> None:
    names = [f"{which}-{delay:g}".replace(".", "-") for which in ("first", "second")]
    first = start(lab, names[0])
    # The delay itself is what is tested: there is no condition to await.
    time.sleep(delay)
    second = start(lab, names[1])
    outcomes = dict(zip(names, (first.end(120), second.end(120)), strict=True))
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


def test_cleanup_leaves_a_running_measurement_alone_unless_told(lab: Lab) -> None:
    measuring = start(lab, "measuring", benchmark_rounds=3)
    folder = measuring.run_dir.parent / "measuring/trials"
    await_that(lambda: list(folder.glob("*.json")), "a first trial is on disk")
    refused = lab.play("cleanup.yml")
    assert_told(refused, r"^a benchmark is measuring: run measuring by .*cleanup_running=true")
    assert refused.output.splitlines() == refused.errors
    assert measuring.end(120).exit_code == 0


def test_cleanup_takes_a_running_measurement_away_when_told(lab: Lab) -> None:
    measuring = start(lab, "taken", benchmark_rounds=50)
    folder = measuring.run_dir.parent / "taken/trials"
    await_that(lambda: list(folder.glob("*.json")), "a first trial is on disk")
    cleaned = lab.play("cleanup.yml", cleanup_running="true")
    assert cleaned.exit_code == 0, cleaned.output
    ended = measuring.end(120)
    # Which of these it notices first is a matter of the moment.
    words = ("claim on the cluster: taken away", "deleted by someone else", "it is being terminated")
    assert_told(ended, "|".join(words))
    # Nothing was begun anew in the meantime.
    assert lab.left_behind() == []
