"""Two people, one cluster: who came first is never disturbed, who came second gets one line."""

from __future__ import annotations

import os
import re
import time

import pytest

from pi_speedup.store import RunStore
from tests.lab.lab import Lab
from tests.virtual import Playing, await_that

_SETTINGS: dict[str, object] = {"benchmark_rounds": 2, "benchmark_samples_per_process": 1_000_000}
# Started at once, and while the first one's Jobs, base cases and report are under way.
_DELAYS = [0, 0.3, 1, 2, 2.5, 3, 4, 5, 7, 10] if os.environ.get("PROOFS") else [0, 2.5]


def start(lab: Lab, run_id: str, door: str = "benchmark.yml", **more: object) -> Playing:
    return lab.start(door, **{**_SETTINGS, "benchmark_run_id": run_id, **more})


@pytest.mark.parametrize("delay", _DELAYS, ids=lambda delay: f"{delay:g} s later")
def test_a_second_benchmark_is_refused_and_the_first_one_undisturbed(lab: Lab, delay: float) -> None:
    first = start(lab, f"first-{delay:g}".replace(".", "-"))
    # The delay itself is what is tested: there is no condition to await.
    time.sleep(delay)
    second = start(lab, f"second-{delay:g}".replace(".", "-"))
    outcomes = {"first": first.end(120), "second": second.end(120)}
    codes = {name: outcome.exit_code for name, outcome in outcomes.items()}
    # Started at once, either may be the one that measures; later, the first must be.
    winners = [name for name, code in codes.items() if code == 0]
    assert winners in ([["first"], ["second"]] if delay < 1 else [["first"]]), outcomes
    for name, outcome in outcomes.items():
        if name in winners:
            plan = RunStore(outcome.run_dir.parent / f"{name}-{delay:g}".replace(".", "-"))
            trials = plan.trials()
            assert [trial.outcome for trial in trials] == ["ok"] * len(plan.plan().slots)
            assert {trial.attempt for trial in trials} == {1}
        else:
            last = outcome.output.strip().splitlines()[-1]
            assert re.search(r"another benchmark is measuring.*Next: ", last), outcome.output


def test_cleanup_leaves_a_running_measurement_alone_unless_told(lab: Lab) -> None:
    measuring = start(lab, "measuring", benchmark_rounds=3)
    folder = measuring.run_dir.parent / "measuring/trials"
    await_that(lambda: list(folder.glob("*.json")), "a first trial is on disk")
    refused = lab.play("cleanup.yml")
    assert refused.exit_code != 0
    assert re.search(r"measuring.*Next: ", refused.output.strip().splitlines()[-1]), refused.output
    assert measuring.end(120).exit_code == 0


def test_cleanup_takes_a_running_measurement_away_when_told(lab: Lab) -> None:
    measuring = start(lab, "taken", benchmark_rounds=50)
    folder = measuring.run_dir.parent / "taken/trials"
    await_that(lambda: list(folder.glob("*.json")), "a first trial is on disk")
    cleaned = lab.play("cleanup.yml", cleanup_running="true")
    assert cleaned.exit_code == 0, cleaned.output
    ended = measuring.end(120)
    assert ended.exit_code != 0
    assert "Traceback" not in ended.output
