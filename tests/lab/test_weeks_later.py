"""A run that goes on weeks later: what it finds then may not be what it began with."""

from __future__ import annotations

import json

import pytest

from tests.lab.killed import good_trials, interrupt
from tests.lab.lab import Lab
from tests.look_alikes import seen
from tests.virtual import assert_told, await_that

RUN = {"benchmark_run_id": "weeks", "benchmark_rounds": 3}


@pytest.mark.fault(
    "a run goes on in a cluster made anew, with other uids", "survived", kept="all; each trial counts once"
)
@pytest.mark.fault("a run goes on weeks later, with another kernel")
def test_a_run_goes_on_in_a_new_cluster_but_not_with_another_kernel(lab: Lab) -> None:
    playing = lab.start("benchmark.yml", **RUN, benchmark_samples_per_process=1_000_000)
    folder = playing.run_dir.with_name("weeks")
    await_that(lambda: good_trials(folder), "a trial is on disk")
    interrupt(playing)
    assert playing.end(within_seconds=60).exit_code == 2
    before = good_trials(folder)

    # With the namespace goes all that has a uid of ours.
    lab.kubectl("delete", "namespace", "pi-speedup")
    nodes = folder / "nodes.json"
    known = nodes.read_bytes()
    changed = json.loads(known)
    changed["nodes"][1]["kernel_version"] = "6.6.31"
    nodes.write_text(json.dumps(changed))
    unchanged = seen(folder / "trials"), nodes.read_bytes()
    told = lab.play("benchmark.yml", **RUN, benchmark_samples_per_process=1_000_000)
    assert_told(
        told, r"^run weeks: cannot go on, .* pi-2's kernel was 6\.6\.31 and is .* \[PS-712\]\. Next: "
    )
    assert (seen(folder / "trials"), nodes.read_bytes()) == unchanged

    nodes.write_bytes(known)
    done = lab.play("benchmark.yml", **RUN, benchmark_samples_per_process=1_000_000)
    assert done.exit_code == 0, done.output
    after = good_trials(folder)
    assert {name: after.get(name) for name in before} == before
    report = json.loads((folder / "report.json").read_text())
    assert report["progress"]["rounds_complete"] == 3
    # The one that was refused measured nothing.
    assert [each["number"] for each in report["sessions"]] == [1, 2]
    assert {after[name].session for name in before} == {1}
    assert {trial.session for trial in after.values()} == {1, 2}
    # The last Job stays, and tells what the last trial's file does.
    last = max((trial for trial in after.values() if trial.job), key=lambda trial: trial.number)
    (job,) = lab.get("jobs", "--namespace=pi-speedup")["items"]
    assert last.job is not None and last.job.uid == job["metadata"]["uid"]
    assert last.job.created == job["metadata"]["creationTimestamp"]
    assert job["metadata"]["annotations"] == {
        "pi-speedup/plan-sha256": last.plan_sha256,
        "pi-speedup/follows-sha256": last.follows_sha256,
    }
