"""Verdicts over recorded Kubernetes states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pi_kube.tracker import Tracker
from pi_speedup.job_progress import (
    NEXT_STEPS,
    PATIENCE_SECONDS,
    has_started,
    is_controlled_by,
    job_verdict,
    placement_problems,
    pod_state,
    termination_message,
)

STATES = Path(__file__).parent / "states"
PIS = ("pi-1", "pi-2", "pi-3")


def load(name: str) -> Any:
    return yaml.safe_load((STATES / f"{name}.yml").read_text(encoding="utf-8"))


def track(name: str, expected: int = 3) -> Tracker:
    state = load(name)
    tracker = Tracker(state["job"], expected)
    for pod in state["pods"]:
        tracker.see_pod(pod)
    for event in state["events"]:
        tracker.see_event(event)
    return tracker


# State, pods expected, seconds it is watched, words the message must hold, word of the next step.
HOPELESS = [
    ("image_unknown_first", 2, 0, "pod 0 on pi-1: ErrImagePull: failed to pull", "registry"),
    ("image_unknown_backoff", 1, 0, "pod 0 on pi-1: ImagePullBackOff: Back-off pulling", "registry"),
    ("registry_unreachable", 1, 13, "pod 0 on pi-1: ErrImagePull", "registry"),
    ("image_never_pull", 1, 0, "pod 0 on pi-1: ErrImageNeverPull", "image"),
    ("image_name_invalid", 1, 0, "pod 0 on pi-1: InvalidImageName", "image"),
    (
        "run_as_root_refused",
        1,
        0,
        "pod 0 on pi-1: CreateContainerConfigError: container has runAsNonRoot",
        "image",
    ),
    (
        "command_missing",
        2,
        0,
        "pod 0 on pi-1: exit code 128, StartError: failed to create containerd",
        "image",
    ),
    ("unschedulable", 1, 6, "pod 0: Unschedulable: 0/3 nodes are available: 3 Insufficient cpu", "room"),
    (
        "cordoned",
        3,
        6,
        "pod 2: Unschedulable: 0/3 nodes are available: 1 node(s) were unschedulable",
        "uncordon",
    ),
    ("exit_1", 3, 0, "pod 1 on pi-2: exit code 1, Error", "log"),
    ("exit_1_others_running", 3, 3, "pod 1 on pi-2: exit code 1, Error", "log"),
    ("out_of_memory", 1, 0, "pod 0 on pi-1: exit code 137, OOMKilled", "benchmark_memory_limit_mib"),
    (
        "killed_unexplained",
        1,
        0,
        "pod 0 on pi-1: exit code 137, Error (killed)",
        "benchmark_memory_limit_mib",
    ),
    (
        "memory_too_low_to_start",
        1,
        0,
        "pod 0 on pi-1: exit code 128, StartError",
        "benchmark_memory_limit_mib",
    ),
    ("kubelet_refused", 1, 0, "pod 0 on pi-1: OutOfcpu: Pod was rejected", "make room"),
    ("evicted", 1, 0, "pod 0 on pi-1: Evicted: The node was low on resource: memory", "make room"),
    ("node_shut_down", 1, 0, "pod 0 on pi-1: Terminated: Pod was terminated", "power"),
    ("deleted_by_hand", 1, 0, "pod 0 on pi-1: Deleted: the pod was deleted before it finished", "kubectl"),
    ("drained", 1, 0, "pod 0 on pi-1: EvictionByEvictionAPI: Eviction API: evicting (exit", "uncordon"),
    ("deadline_target", 3, 0, "DeadlineExceeded, Job was active longer", "events.json"),
    ("node_lost_evicted", 3, 3, "pod 2 on pi-3: DeletionByTaintManager", "the Pi was lost"),
    ("node_lost_index_failed", 3, 0, "pod 2 on pi-3: DeletionByTaintManager", "the Pi was lost"),
    ("configmap_missing", 1, 11, "pod 0 on pi-1: FailedMount: MountVolume.SetUp failed", "ConfigMap"),
    ("sandbox_fails", 1, 21, "pod 0 on pi-1: FailedCreatePodSandBox", "network"),
    ("network_not_ready", 1, 21, "pod 0 on pi-1: NetworkNotReady: network is not ready", "network"),
    ("memory_cgroup_missing", 1, 11, "pod 0 on pi-1: FailedCreatePodContainer", "cgroup_enable=memory"),
    ("disk_slow", 1, 31, "pod 0 on pi-1: CreateContainerError: context deadline exceeded", "disk"),
    ("account_not_made_yet", 1, 11, "1 of 1 pods: FailedCreate: Error creating", "events"),
    ("pod_security_forbids", 3, 0, "3 of 3 pods: FailedCreate: Error creating", "namespace"),
    ("quota_exceeded", 3, 0, "1 of 3 pods: FailedCreate", "namespace"),
]


@pytest.mark.parametrize(
    ("state", "expected", "seconds", "words", "step"), HOPELESS, ids=[row[0] for row in HOPELESS]
)
def test_hopeless_state_names_pod_pi_cause_and_next_step(
    state: str, expected: int, seconds: float, words: str, step: str
) -> None:
    tracker = track(state, expected)
    tracker.ending(now=100)
    ending = tracker.ending(now=100 + seconds)
    assert ending is not None
    assert ending.outcome == "failed"
    assert words in ending.message
    assert step in ending.next_step
    assert "\n" not in ending.message


FLAPPING = [
    "registry_unreachable",
    "unschedulable",
    "cordoned",
    "configmap_missing",
    "sandbox_fails",
    "network_not_ready",
    "memory_cgroup_missing",
    "disk_slow",
    "account_not_made_yet",
]


@pytest.mark.parametrize("state", FLAPPING)
def test_state_that_may_pass_is_given_time(state: str) -> None:
    tracker = track(state)
    assert tracker.ending(now=100) is None
    assert 0 < tracker.next_check(now=100, longest=1000) <= 30


def test_a_cache_that_fills_hides_nothing_that_is_missing() -> None:
    state = load("configmap_missing")
    (missing,) = state["events"]
    message = 'MountVolume.SetUp failed for volume "worker" : failed to sync configmap cache: timed out'
    filling = {**missing, "metadata": {"uid": "another"}, "message": message}
    tracker = Tracker(state["job"], 1)
    for pod in state["pods"]:
        tracker.see_pod(pod)
    tracker.see_event(filling)
    assert tracker.ending(now=100) is None
    assert tracker.ending(now=111) is None
    tracker.see_event(missing)
    assert tracker.ending(now=112) is None
    ending = tracker.ending(now=123)
    assert ending is not None
    assert "not found" in ending.message


def test_patience_starts_again_when_the_obstacle_was_gone() -> None:
    tracker = track("unschedulable", expected=1)
    stuck = load("unschedulable")["pods"][0]
    tracker.ending(now=100)
    running = {**stuck, "status": {"phase": "Running"}}
    tracker.see_pod(running)
    assert tracker.ending(now=104) is None
    tracker.see_pod(stuck)
    assert tracker.ending(now=106) is None
    assert tracker.ending(now=112) is not None


HEALTHY = [
    "starting",
    "node_lost_unnoticed",
    "one_success_short_of_complete",
    "create_failed_once",
    "mounted_late",
]


@pytest.mark.parametrize("state", HEALTHY)
def test_no_verdict_while_it_may_still_end_well(state: str) -> None:
    tracker = track(state)
    assert tracker.ending(now=0) is None
    assert tracker.ending(now=1000) is None


def test_complete() -> None:
    ending = track("complete").ending(now=0)
    assert ending is not None
    assert (ending.outcome, ending.reason) == ("complete", "CompletionsReached")


def test_failure_target_is_a_verdict_before_the_last_pod_is_gone() -> None:
    verdict = job_verdict(load("deadline_target")["job"])
    assert verdict is not None
    assert (verdict.outcome, verdict.reason) == ("failed", "DeadlineExceeded")


def test_every_kind_has_patience_and_next_step() -> None:
    assert set(PATIENCE_SECONDS) <= set(NEXT_STEPS)


PLACEMENTS = {
    "one each": (("pi-1", "pi-2", "pi-3"), ()),
    "one Pi twice": (
        ("pi-1", "pi-2", "pi-1"),
        ("pi-1 ran 2 pods instead of 1", "pi-3 ran 0 pods instead of 1"),
    ),
    "a Pi of others": (
        ("pi-1", "pi-2", "nas"),
        ("nas ran 1 pods instead of 0", "pi-3 ran 0 pods instead of 1"),
    ),
    "none": ((), tuple(f"{name} ran 0 pods instead of 1" for name in PIS)),
}


@pytest.mark.parametrize(("nodes", "problems"), PLACEMENTS.values(), ids=PLACEMENTS)
def test_placement(nodes: tuple[str, ...], problems: tuple[str, ...]) -> None:
    pods = []
    for index, (node, pod) in enumerate(zip(nodes, load("complete")["pods"], strict=False)):
        pod["spec"]["nodeName"] = node
        assert pod_state(pod).index == index
        pods.append(pod_state(pod))
    assert placement_problems(pods, PIS) == problems


def test_complete_job_with_a_pi_used_twice_is_seen() -> None:
    pods = [pod_state(pod) for pod in load("freed_pi_taken_again")["pods"]]
    assert placement_problems(pods, PIS) == (
        "pi-1 ran 2 pods instead of 1",
        "pi-3 ran 0 pods instead of 1",
    )


PHASES = [
    ("starting", ["waiting for a Pi", "starting (ContainerCreating)", "running"]),
    ("exit_1", ["succeeded", "failed (exit code 1, Error)", "succeeded"]),
    ("deadline_target", ["terminating"]),
]


@pytest.mark.parametrize(("state", "phases"), PHASES, ids=[row[0] for row in PHASES])
def test_phase_in_words(state: str, phases: list[str]) -> None:
    assert [pod_state(pod).phase for pod in load(state)["pods"]] == phases


def test_only_a_container_that_ran_has_a_log() -> None:
    missing, fine = load("command_missing")["pods"]
    assert has_started(fine)
    assert not has_started(load("image_unknown_first")["pods"][0])
    assert termination_message(missing) is not None
    assert termination_message(fine) is None


def test_control_characters_of_a_message_never_reach_the_terminal() -> None:
    state = load("image_unknown_first")
    waiting = state["pods"][0]["status"]["containerStatuses"][0]["state"]["waiting"]
    waiting["message"] = "not found\x1b[2J\nfatal: [pi-1]: fake \u202e line"
    tracker = Tracker(state["job"], 2)
    tracker.see_pod(state["pods"][0])
    ending = tracker.ending(now=0)
    assert ending is not None
    assert ending.message.isprintable()


def test_copied_labels_make_no_pod_ours() -> None:
    state = load("exit_1")
    tracker = Tracker(state["job"], 3)
    stranger = state["pods"][1]
    stranger["metadata"]["ownerReferences"] = [{"kind": "Job", "uid": "another", "controller": True}]
    assert not is_controlled_by(stranger, tracker.uid)
    assert tracker.see_pod(stranger) is None
    assert tracker.pods == []


def test_progress_says_each_change_once() -> None:
    pods = load("starting")["pods"]
    tracker = Tracker(load("starting")["job"], 3)
    assert tracker.see_pod(pods[2]) == "pod 2 on pi-3: running"
    assert tracker.see_pod(pods[2]) is None
    finished = load("complete")["pods"][2]
    assert tracker.see_pod(finished) == "pod 2 on pi-3: succeeded (1 of 3)"


def test_pod_that_vanishes_while_it_runs_ends_the_run() -> None:
    tracker = track("exit_1_others_running")
    tracker.see_pod(load("exit_1_others_running")["pods"][0], deleted=True)
    tracker.ending(now=0)
    ending = tracker.ending(now=3)
    assert ending is not None
    assert "pod 0 on pi-1" in ending.message


def test_deleted_job_ends_the_run() -> None:
    tracker = track("starting")
    tracker.see_job(tracker.job, deleted=True)
    ending = tracker.ending(now=0)
    assert ending is not None
    assert ending.reason == "Deleted"


def test_timeout_names_the_pods_that_are_late() -> None:
    ending = track("starting", expected=4).out_of_time(60)
    assert ending.message == (
        "not finished after 60 s: pod 0 waiting for a Pi, pod 1 on pi-2 starting (ContainerCreating), "
        "pod 2 on pi-3 running, 1 pods not created"
    )
    assert ending.pod_name == "pi-speedup-r1-2-abcde"
