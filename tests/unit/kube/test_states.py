"""Verdicts over recorded Kubernetes states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pi_speedup.codes import Code
from pi_speedup.kube.access.shape import is_controlled_by
from pi_speedup.kube.follow.states import (
    MEANINGS,
    PATIENCE_SECONDS,
    event_obstacle,
    has_started,
    job_verdict,
    placement_problems,
    pod_obstacle,
    pod_state,
    pull_cause,
    termination_message,
)
from pi_speedup.kube.follow.tracker import JobEnding, Tracker
from pi_speedup.problem import Problem

STATES = Path(__file__).parent / "states"
PIS = ("pi-1", "pi-2", "pi-3")


def load(name: str) -> Any:
    return yaml.safe_load((STATES / f"{name}.yml").read_text(encoding="utf-8"))


def track(name: str, expected: int = 3) -> Tracker:
    state = load(name)
    tracker = Tracker(state["job"], expected)
    for pod in state["pods"]:
        tracker.see_pod(pod, at=1)
    for event in state["events"]:
        tracker.see_event({"type": "Warning", **event}, at=1)
    return tracker


def problem_of(ending: JobEnding | None) -> Problem:
    assert ending is not None and ending.problem is not None
    return ending.problem


# State, pods expected, seconds it is watched, words the problem must hold, word of the next step, code.
HOPELESS = [
    ("image_unknown_first", 2, 0, "pod 0 on pi-1: ErrImagePull: ", "registry", Code.IMAGE_UNAVAILABLE),
    ("image_unknown_backoff", 1, 0, "pod 0 on pi-1: ImagePullBackOff: ", "registry", Code.IMAGE_UNAVAILABLE),
    (
        "registry_unreachable",
        1,
        13,
        "pod 0 on pi-1: ErrImagePull: python:3.9: dial tcp 10.0.0.9:443: connect: no route to host",
        "registry",
        Code.IMAGE_UNAVAILABLE,
    ),
    (
        "image_rate_limited",
        1,
        13,
        "pod 0 on pi-1: ErrImagePull: python:3.9: toomanyrequests: You have reached your unauthenti",
        "registries.yaml",
        Code.IMAGE_RATE_LIMIT,
    ),
    (
        "image_for_another_processor",
        1,
        0,
        "pod 0 on pi-1: ErrImagePull: python:3.9: no match for platform in manifest: not found",
        "built for this kind of Pi",
        Code.IMAGE_FOR_OTHER_PROCESSOR,
    ),
    ("image_never_pull", 1, 0, "pod 0 on pi-1: ErrImageNeverPull", "image", Code.IMAGE_UNAVAILABLE),
    ("image_name_invalid", 1, 0, "pod 0 on pi-1: InvalidImageName", "image", Code.IMAGE_UNAVAILABLE),
    (
        "run_as_root_refused",
        1,
        0,
        "pod 0 on pi-1: CreateContainerConfigError: container has runAsNonRoot",
        "image",
        Code.POD_SETTINGS_REFUSED,
    ),
    (
        "command_missing",
        2,
        0,
        "pod 0 on pi-1: exit code 128, StartError: OCI runtime create failed: runc create failed",
        "image",
        Code.IMAGE_WITHOUT_INTERPRETER,
    ),
    (
        "unschedulable",
        1,
        6,
        "pod 0: Unschedulable: 0/3 nodes are available: 3 Insufficient cpu",
        "room",
        Code.POD_UNSCHEDULABLE,
    ),
    (
        "cordoned",
        3,
        6,
        "pod 2: Unschedulable: 0/3 nodes are available: 1 node(s) were unschedulable",
        "uncordon",
        Code.POD_UNSCHEDULABLE,
    ),
    ("exit_1", 3, 0, "pod 1 on pi-2: exit code 1, Error", "log", Code.POD_FAILED),
    ("exit_1_others_running", 3, 3, "pod 1 on pi-2: exit code 1, Error", "log", Code.POD_FAILED),
    (
        "out_of_memory",
        1,
        0,
        "pod 0 on pi-1: exit code 137, OOMKilled",
        "benchmark_memory_limit_mib",
        Code.OUT_OF_MEMORY,
    ),
    (
        "killed_unexplained",
        1,
        0,
        "pod 0 on pi-1: exit code 137, Error (killed)",
        "benchmark_memory_limit_mib",
        Code.OUT_OF_MEMORY,
    ),
    (
        "memory_too_low_to_start",
        1,
        0,
        "pod 0 on pi-1: exit code 128, StartError",
        "benchmark_memory_limit_mib",
        Code.OUT_OF_MEMORY,
    ),
    (
        "power_cut",
        1,
        11,
        "pod 0 on pi-2: exit code 255, Unknown: possibly the Pi restarted or lost its power",
        "check the Pi's power",
        Code.PI_LOST_DURING_TRIAL,
    ),
    ("kubelet_refused", 1, 0, "pod 0 on pi-1: OutOfcpu: Pod was rejected", "make room", Code.POD_EVICTED),
    (
        "evicted",
        1,
        0,
        "pod 0 on pi-1: Evicted: The node was low on resource: memory",
        "make room",
        Code.POD_EVICTED,
    ),
    (
        "node_shut_down",
        1,
        0,
        "pod 0 on pi-1: Terminated: Pod was terminated",
        "power",
        Code.PI_LOST_DURING_TRIAL,
    ),
    (
        "deleted_by_hand",
        1,
        0,
        "pod 0 on pi-1: Deleted: the pod was deleted before it finished",
        "kubectl",
        Code.POD_DELETED,
    ),
    (
        "drained",
        1,
        0,
        "pod 0 on pi-1: EvictionByEvictionAPI: Eviction API: evicting (exit",
        "uncordon",
        Code.PI_DRAINED,
    ),
    (
        "preempted",
        1,
        0,
        "pod 0 on pi-1: PreemptionByScheduler: default-scheduler: preempting to accommodate a hi",
        "make room",
        Code.POD_EVICTED,
    ),
    ("deadline_target", 3, 0, "DeadlineExceeded: Job was active longer", "events", Code.TIMEOUT),
    (
        "node_lost_evicted",
        3,
        3,
        "pi-3: stopped answering, so Kubernetes gave up pod 2",
        "power",
        Code.PI_LOST_DURING_TRIAL,
    ),
    (
        "node_lost_index_failed",
        3,
        0,
        "pi-3: stopped answering, so Kubernetes gave up pod 2",
        "power",
        Code.PI_LOST_DURING_TRIAL,
    ),
    (
        "sandbox_fails",
        1,
        21,
        "pod 0 on pi-1: FailedCreatePodSandBox: rpc error",
        "network",
        Code.POD_NOT_STARTED,
    ),
    (
        "network_not_ready",
        1,
        21,
        "pod 0 on pi-1: NetworkNotReady: container runtime network not ready",
        "network",
        Code.POD_NOT_STARTED,
    ),
    (
        "memory_cgroup_missing",
        1,
        11,
        "pod 0 on pi-1: FailedCreatePodContainer",
        "cgroup_enable=memory",
        Code.POD_NOT_STARTED,
    ),
    (
        "disk_slow",
        1,
        31,
        "pod 0 on pi-1: CreateContainerError: context deadline exceeded",
        "disk",
        Code.POD_NOT_STARTED,
    ),
    (
        "disk_full",
        1,
        31,
        "pod 0 on pi-1: CreateContainerError: failed to create containerd container",
        "ssh pi-1 df -h",
        Code.PI_DISK_FULL,
    ),
    (
        "account_not_made_yet",
        1,
        11,
        "1 of 1 pods: FailedCreate: error looking up service account",
        "events",
        Code.POD_NOT_CREATED,
    ),
    (
        "pod_security_forbids",
        3,
        0,
        '3 of 3 pods: FailedCreate: violates PodSecurity "restr',
        "namespace",
        Code.NAMESPACE_RULE,
    ),
    (
        "quota_exceeded",
        3,
        0,
        "1 of 3 pods: FailedCreate: exceeded quota: pods",
        "namespace",
        Code.NAMESPACE_RULE,
    ),
]


@pytest.mark.fault(
    "pod unschedulable: no room",
    "pod 0: Unschedulable: 0/3 nodes are available: 3 Insufficient cpu. no new claims to "
    "deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for "
    "schedu… [PS-511]. Next: make room on the Pis, or let them take pods (kubectl "
    "uncordon), and run again",
    kept="trials",
    row="unschedulable",
)
@pytest.mark.fault(
    "a Pi's power is cut within a trial, and it is back before Kubernetes gives it up",
    "pod 0 on pi-2: exit code 255, Unknown: possibly the Pi restarted or lost its power [PS-526]. Next: "
    "check the Pi's power, network and k3s-agent, then run again",
    kept="trials; measured once more",
    row="power_cut",
)
@pytest.mark.fault("image unknown", row=["image_unknown_first", "image_unknown_backoff"])
@pytest.mark.fault(
    "registry not reachable",
    "pod 0 on pi-1: ErrImagePull: python:3.9: dial tcp 10.0.0.9:443: connect: no route to"
    " host [PS-501]. Next: check benchmark_image, and that the Pi reaches its registry: "
    "sudo k3s crictl pull on the Pi",
    kept="trials",
    row="registry_unreachable",
)
@pytest.mark.fault(
    "image has no build for this kind of Pi",
    "pod 0 on pi-1: ErrImagePull: python:3.9: no match for platform in manifest: not "
    "found [PS-503]. Next: set benchmark_image to one that is built for this kind of Pi; "
    "its registry's page says for which it is",
    kept="trials",
    row="image_for_another_processor",
)
@pytest.mark.fault(
    "registry's rate limit",
    "pod 0 on pi-1: ErrImagePull: python:3.9: toomanyrequests: You have reached your "
    "unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit "
    "[PS-502]. Next: wait an hour, log in to the registry "
    "(/etc/rancher/k3s/registries.yaml on each Pi), or set benchmark_image to one of "
    "another registry",
    kept="trials",
    row="image_rate_limited",
)
@pytest.mark.fault(
    "image without python3",
    "pod 0 on pi-1: exit code 128, StartError: OCI runtime create failed: runc create "
    'failed: unable to start container process: exec: "python3": executable file not '
    "found in $PATH: unknown [PS-504]. Next: see that the image holds python3 for this "
    "kind of Pi",
    kept="trials",
    row="command_missing",
)
@pytest.mark.fault(
    "container config error",
    "pod 0 on pi-1: CreateContainerConfigError: container has runAsNonRoot and image will"
    ' run as root (pod: "pi-speedup-r1-0-abcde_pi-speedup(x)", container: pi-calculator) '
    "[PS-514]. Next: change the image or the pod's settings as the message says",
    kept="trials",
    row="run_as_root_refused",
)
@pytest.mark.fault("Pod Security", row="pod_security_forbids")
@pytest.mark.fault("out of memory in a pod", row="out_of_memory")
@pytest.mark.fault(
    "pod evicted",
    "pod 0 on pi-1: Evicted: The node was low on resource: memory. Threshold quantity: "
    "100Mi, available: 80Mi [PS-523]. Next: make room on that Pi (kubectl describe node "
    "says what is used), then run again",
    kept="trials",
    row="evicted",
)
@pytest.mark.fault(
    "pod preempted",
    "pod 0 on pi-1: PreemptionByScheduler: default-scheduler: preempting to accommodate a"
    " higher priority pod (exit code 143, Error) [PS-523]. Next: make room on that Pi "
    "(kubectl describe node says what is used), then run again",
    kept="trials",
    row="preempted",
)
@pytest.mark.fault(
    "Pi drained",
    "pod 0 on pi-1: EvictionByEvictionAPI: Eviction API: evicting (exit code 143, Error) "
    "[PS-525]. Next: someone drained the Pi: kubectl uncordon it, then run again",
    kept="trials",
    row="drained",
)
@pytest.mark.fault(
    "pod deleted by another",
    "pod 0 on pi-1: Deleted: the pod was deleted before it finished (exit code 143, "
    "Error) [PS-524]. Next: see who removed it (kubectl get events -A), then run again",
    kept="trials",
    row="deleted_by_hand",
)
@pytest.mark.parametrize(
    ("state", "expected", "seconds", "words", "step", "code"), HOPELESS, ids=[row[0] for row in HOPELESS]
)
def test_hopeless_state_names_pod_pi_cause_and_next_step(
    state: str, expected: int, seconds: float, words: str, step: str, code: Code
) -> None:
    tracker = track(state, expected)
    tracker.ending(now=100)
    problem = problem_of(tracker.ending(now=100 + seconds))
    assert words in str(problem)
    assert step in problem.next_step
    assert problem.code is code
    assert str(problem).isprintable()
    assert len(problem.cause) <= 200


FLAPPING = [
    "registry_unreachable",
    "image_rate_limited",
    "unschedulable",
    "cordoned",
    "sandbox_fails",
    "network_not_ready",
    "memory_cgroup_missing",
    "disk_slow",
    "disk_full",
    "account_not_made_yet",
]


@pytest.mark.parametrize("state", FLAPPING)
def test_state_that_may_pass_is_given_time(state: str) -> None:
    tracker = track(state)
    assert tracker.ending(now=100) is None
    assert tracker.ending(now=102) is None


def test_patience_starts_again_when_the_obstacle_was_gone() -> None:
    tracker = track("unschedulable", expected=1)
    stuck = load("unschedulable")["pods"][0]
    tracker.ending(now=100)
    running = {**stuck, "status": {"phase": "Running"}}
    tracker.see_pod(running, at=104)
    assert tracker.ending(now=104) is None
    tracker.see_pod(stuck, at=106)
    assert tracker.ending(now=106) is None
    assert tracker.ending(now=112) is not None


HEALTHY = [
    "starting",
    "node_lost_unnoticed",
    "one_success_short_of_complete",
    "create_failed_once",
]


@pytest.mark.parametrize("state", HEALTHY)
def test_no_verdict_while_it_may_still_end_well(state: str) -> None:
    tracker = track(state)
    assert tracker.ending(now=0) is None
    assert tracker.ending(now=1000) is None


def test_complete() -> None:
    assert track("complete").ending(now=0) == JobEnding("CompletionsReached")


PASSING = {
    "evicted": ("evicted", 1, True),
    "refused for want of room": ("kubelet_refused", 1, True),
    "Pi lost": ("node_lost_evicted", 3, True),
    "memory limit": ("out_of_memory", 1, False),
    "preempted": ("preempted", 1, True),
    "drained": ("drained", 1, False),
    "deleted by hand": ("deleted_by_hand", 1, False),
    "image unknown": ("image_unknown_backoff", 1, False),
}


@pytest.mark.parametrize(("state", "expected", "passes"), PASSING.values(), ids=PASSING)
def test_what_passes_by_itself_is_worth_a_second_try(state: str, expected: int, passes: bool) -> None:
    tracker = track(state, expected)
    tracker.ending(now=0)
    ending = tracker.ending(now=30)
    assert ending is not None
    assert ending.passes_by_itself is passes


@pytest.mark.fault("node lost while its pod runs")
def test_a_lost_pi_is_told_with_the_time_of_its_last_word() -> None:
    tracker = track("node_lost_evicted")
    tracker.silent["pi-3"] = "12:03:20"
    tracker.ending(now=0)
    problem = problem_of(tracker.ending(now=3))
    assert str(problem).startswith(
        "pi-3: stopped answering at 12:03:20, so Kubernetes gave up pod 2 [PS-526]. Next: "
    )


PULLS = {
    "refused": (
        'failed to pull and unpack image "docker.io/library/python:3.9": failed to resolve reference '
        '"docker.io/library/python:3.9": failed to do request: Head '
        '"https://registry-1.docker.io/v2/library/python/manifests/3.9": dial tcp 127.0.0.1:443: connect: '
        "connection refused",
        "img: dial tcp 127.0.0.1:443: connect: connection refused",
    ),
    "no such name": (
        'failed to do request: Head "https://reg.local/v2/x/manifests/1": dial tcp: lookup reg.local on '
        "10.0.0.2:53: no such host",
        "img: dial tcp: lookup reg.local on 10.0.0.2:53: no such host",
    ),
    "another authority": (
        'failed to do request: Head "https://reg.local/v2/": tls: failed to verify certificate: x509: '
        "certificate signed by unknown authority",
        "img: tls: failed to verify certificate: x509: certificate signed by unknown authority",
    ),
    "too many pulls": (
        "failed to copy: httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/library/"
        "python/manifests/3.9: 429 Too Many Requests - Server message: toomanyrequests: You have reached it",
        "img: toomanyrequests: You have reached it",
    ),
    "another cause": ("a" * 300 + ": b: c", "img: b: c"),
    "short": ("not found", "not found"),
}


@pytest.mark.parametrize(("message", "cause"), PULLS.values(), ids=PULLS)
def test_a_failed_pull_keeps_its_innermost_cause(message: str, cause: str) -> None:
    assert pull_cause(message, "img") == cause


NO_ROOM = "mkdir /var/lib/x: no space left on device"


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "CreateContainerError"])
def test_a_full_disk_is_told_as_that_whatever_needed_it(reason: str) -> None:
    pod = load("disk_full")["pods"][0]
    pod["status"]["containerStatuses"][0]["state"]["waiting"] = {"reason": reason, "message": NO_ROOM}
    obstacle = pod_obstacle(pod)
    assert obstacle is not None and obstacle.kind == "disk"


@pytest.mark.parametrize("state", ["sandbox_fails", "memory_cgroup_missing"])
def test_a_full_disk_is_told_as_that_where_only_an_event_tells(state: str) -> None:
    found = load(state)
    event = {**found["events"][0], "message": NO_ROOM}
    obstacle = event_obstacle(event, found["job"]["metadata"]["uid"], found["pods"], 1)
    assert obstacle is not None and obstacle.kind == "disk"


def test_failure_target_is_a_verdict_before_the_last_pod_is_gone() -> None:
    verdict = job_verdict(load("deadline_target")["job"])
    assert verdict is not None
    assert (verdict.outcome, verdict.reason) == ("failed", "DeadlineExceeded")


def test_every_kind_has_patience_and_next_step() -> None:
    assert set(PATIENCE_SECONDS) <= set(MEANINGS)


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
    tracker.see_pod(state["pods"][0], at=1)
    assert str(problem_of(tracker.ending(now=0))).isprintable()


def test_copied_labels_make_no_pod_ours() -> None:
    state = load("exit_1")
    tracker = Tracker(state["job"], 3)
    stranger = state["pods"][1]
    stranger["metadata"]["ownerReferences"] = [{"kind": "Job", "uid": "another", "controller": True}]
    assert not is_controlled_by(stranger, tracker.uid)
    tracker.see_pod(stranger, at=1)
    assert tracker.pods == []


def test_pod_that_vanishes_while_it_runs_ends_the_trial() -> None:
    tracker = track("exit_1_others_running")
    tracker.see_pod(load("exit_1_others_running")["pods"][0], at=2, deleted=True)
    tracker.ending(now=0)
    assert "pod 0 on pi-1" in str(problem_of(tracker.ending(now=3)))


@pytest.mark.fault("Job deleted by another")
def test_deleted_job_ends_the_trial() -> None:
    tracker = track("starting")
    tracker.see_job(tracker.job, at=2, deleted=True)
    ending = tracker.ending(now=0)
    assert ending is not None
    assert ending.reason == "Deleted"


@pytest.mark.fault("Job suspended by another")
def test_a_job_that_another_suspends_ends_the_trial() -> None:
    tracker = track("exit_1_others_running")
    metadata = {**tracker.job["metadata"], "namespace": "ns"}
    tracker.see_job({**tracker.job, "metadata": metadata, "spec": {"suspend": True}}, at=2)
    assert str(problem_of(tracker.ending(now=0))) == (
        "Job pi-speedup-r1: suspended by someone else while it ran [PS-534]. Next: see who did "
        "(kubectl -n ns get job "
        "pi-speedup-r1 -o yaml --show-managed-fields), then run again"
    )


def test_timeout_names_the_pods_that_are_late() -> None:
    tracker = track("starting", expected=4)
    tracker.silent["pi-3"] = "12:03:20"
    ending = tracker.out_of_time(60)
    assert problem_of(ending).what == (
        "not finished after 60 s: pod 0 waiting for a Pi, pod 1 on pi-2 starting (ContainerCreating), "
        "pod 2 on pi-3 running (pi-3 stopped answering at 12:03:20), 1 pods not created"
    )
    assert ending.pod_name == "pi-speedup-r1-2-abcde"


@pytest.mark.fault(
    "private registry over http, K3s",
    "pod 0 on pi-1: ErrImagePull: registry.home:5000/python:3.9: … server gave HTTP response to HTTPS client "
    "[PS-501]. Next: tell K3s on each Pi that this registry speaks http: an endpoint http://... under "
    "mirrors in "
    "/etc/rancher/k3s/registries.yaml, …",
    kept="trials",
    row="a registry over http",
)
@pytest.mark.fault(
    "private registry with an authority of its own, K3s",
    "pod 0 on pi-1: ErrImagePull: registry.home:5000/python:3.9: … certificate signed by unknown authority "
    "[PS-501]. Next: name the registry's authority on each Pi: ca_file under configs in "
    "/etc/rancher/k3s/registries.yaml, …",
    kept="trials",
    row="an authority of its own",
)
@pytest.mark.parametrize(
    ("said", "step"),
    [
        ("http: server gave HTTP response to HTTPS client", "an endpoint http://... under mirrors in "),
        (
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "ca_file under ",
        ),
    ],
    ids=["a registry over http", "an authority of its own"],
)
def test_a_registry_at_home_is_told_to_k3s(said: str, step: str) -> None:
    image = "registry.home:5000/python:3.9"
    tried = f'failed to pull and unpack image "{image}": Head "https://registry.home:5000/v2/": {said}'
    waiting = {"state": {"waiting": {"reason": "ErrImagePull", "message": tried}}}
    found = pod_obstacle(
        {
            "metadata": {"name": "p-0", "annotations": {"batch.kubernetes.io/job-completion-index": "0"}},
            "spec": {"nodeName": "pi-1", "containers": [{"image": image}]},
            "status": {"phase": "Pending", "containerStatuses": [waiting]},
        }
    )
    assert found is not None and found.patience_seconds == 0
    assert step in found.problem.next_step and "/etc/rancher/k3s/registries.yaml" in found.problem.next_step


def test_a_webhook_that_does_not_answer_is_named_where_pods_are_not_created() -> None:
    said = (
        'Error creating: Internal error occurred: failed calling webhook "validate.policy.example": '
        "failed to "
        'call webhook: Post "https://policy.kube-system.svc:443/validate": dial tcp: connect: connection '
        "refused"
    )
    event = {"involvedObject": {"uid": "job"}, "reason": "FailedCreate", "message": said}
    found = event_obstacle(event, "job", (), expected=3)
    assert found is not None and found.patience_seconds == 20
    line = str(found.problem)
    assert "webhook validate.policy.example does not answer (connection refused) [PS-415]" in line
