"""A run is killed at any moment, in four ways, and goes on: each trial counts once, none is measured again.

CI takes every seventh of the moments; `make proofs` takes all of them, and docs/proofs.md records them.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from pi_speedup.store import RunStore
from tests.lab.killed import WAYS, assert_as_undisturbed, good_trials, processes_of
from tests.lab.lab import Lab, Outcome
from tests.virtual import assert_told, await_that

ROUNDS = 3
# Long enough for each moment to be another one, short enough to be made thirty times.
SAMPLES = 3_000_000
# A claim counts for 40 s after its holder's last word.
_CLAIM_SECONDS = 60.0


@dataclass(frozen=True)
class Moment:
    """A share of an undisturbed run's time, and what happens then."""

    share: float
    way: str


# Thirty moments from the first second to the last, each way at seven or eight of them.
MOMENTS = [
    Moment((number + 0.5) / 30, way) for number, way in zip(range(30), itertools.cycle(WAYS), strict=False)
]
# Seven and four have no divisor in common: each way is among them.
_EVERY = 1 if os.environ.get("PROOFS") else 7


@pytest.fixture(scope="module")
def undisturbed(lab: Lab) -> float:
    """How long a run takes that nobody disturbs, in seconds."""
    begin = time.monotonic()
    outcome = play(lab, "undisturbed")
    assert outcome.exit_code == 0, outcome.output
    return time.monotonic() - begin


def settings(run_id: str) -> dict[str, object]:
    return {
        "benchmark_run_id": run_id,
        "benchmark_rounds": ROUNDS,
        "benchmark_long_rounds": 1,
        "benchmark_samples_per_process": SAMPLES,
    }


def play(lab: Lab, run_id: str) -> Outcome:
    return lab.play("benchmark.yml", **settings(run_id))


def go_on(lab: Lab, run_id: str) -> Outcome:
    """Go on with a run, once the killed one's claim on the cluster has run out."""
    deadline = time.monotonic() + _CLAIM_SECONDS
    while "another benchmark is measuring" in (outcome := play(lab, run_id)).output:
        assert time.monotonic() < deadline, outcome.output
        time.sleep(1)
    return outcome


@pytest.mark.fault(
    "SIGKILL",
    "(none: nobody is left to say it)",
    kept="trials; the run goes on",
    exit_code=-9,
    row="SIGKILL to all after 2%",
)
@pytest.mark.fault("SIGKILL", row="SIGKILL to Ansible after 72%")
@pytest.mark.parametrize(
    "moment", MOMENTS[::_EVERY], ids=lambda moment: f"{moment.way} after {moment.share:.0%}"
)
def test_a_killed_run_goes_on_and_counts_each_trial_once(
    lab: Lab, undisturbed: float, moment: Moment, record_property: Callable[[str, object], None]
) -> None:
    # Another session of tests on this machine has other names.
    run_id = f"kill-{MOMENTS.index(moment)}-{os.getpid()}"
    playing = lab.start("benchmark.yml", **settings(run_id))
    folder = playing.run_dir.parent / run_id
    # The moment itself is what is tested: there is no condition to await.
    time.sleep(moment.share * undisturbed)
    WAYS[moment.way](playing)
    begin = time.monotonic()
    ended = playing.end(within_seconds=30)
    record_property("ended after", f"{time.monotonic() - begin:.1f} s")
    record_property("exit code", ended.exit_code)
    if "stopped by" in ended.output:
        # While it measured: the line that says how it goes on is the last one.
        assert_told(
            ended,
            rf"^run {run_id}: stopped by .* after \d of {ROUNDS} rounds \[PS-901\]\. Next: .*benchmark.yml",
        )
    if moment.way != "SIGKILL to all":
        # Whoever could, ended what it had started.
        await_that(lambda: not processes_of(run_id), f"nothing of {run_id} runs", 10)
    before = good_trials(folder)
    record_property("trials on disk", len(before))

    begin = time.monotonic()
    outcome = go_on(lab, run_id)
    record_property("went on for", f"{time.monotonic() - begin:.0f} s")

    assert outcome.exit_code == 0 or "is complete" in outcome.output, outcome.output
    after = good_trials(folder)
    assert {name: after.get(name) for name in before} == before
    plan = RunStore(folder).plan()
    slots = [trial.slot for trial in after.values()]
    assert sorted(slots, key=str) == sorted(plan.slots, key=str)
    report = json.loads((folder / "report.json").read_text())
    assert_as_undisturbed(report, json.loads((folder.parent / "undisturbed/report.json").read_text()))
    cleaned = lab.play("cleanup.yml")
    assert cleaned.exit_code == 0, cleaned.output
    assert lab.left_behind() == []
    assert processes_of(run_id) == {}
