"""What goes wrong on real Pis, one cause at a time: one line names the Pi or the pod, and little is left.

What a lab can show as well is tested there.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.containers.cluster import ENDLESS, NAMESPACE, PIS, Cluster, assert_told, read
from tests.virtual import Outcome, await_that

Cause = Callable[[Cluster, Path], AbstractContextManager[dict[str, object]]]

# From when a cause shows until the run has told of it.
TELLS_WITHIN_SECONDS = 30
# The Pis' own state matters to tests of its checks only.
UNSEEN: dict[str, object] = {"benchmark_host_checks": "false", "benchmark_scalings": "strong"}


@dataclass(frozen=True)
class Fault:
    """What is done to a Pi, to the cluster or to the settings, and what the user must read."""

    message: str
    settings: dict[str, object] = field(default_factory=dict)
    cause: Cause | None = None
    # In the files of the run: text that tells of the cause, by file.
    evidence: dict[str, str] = field(default_factory=dict)


def play_with(cluster: Cluster, folder: Path, fault: Fault) -> Outcome:
    cause = fault.cause(cluster, folder) if fault.cause else contextlib.nullcontext({})
    with cause as settings:
        return cluster.play("benchmark.yml", **{**fault.settings, **settings})


# A Pi that is not fit: the run ends before it does anything in the cluster.


@contextlib.contextmanager
def ssh_server_stopped(cluster: Cluster, _folder: Path) -> Iterator[dict[str, object]]:
    with cluster.without_sshd("pi-2"):
        yield {}


@contextlib.contextmanager
def docker_not_allowed(cluster: Cluster, _folder: Path) -> Iterator[dict[str, object]]:
    cluster.on("pi-1", "chmod", "600", "/var/run/docker.sock")
    try:
        yield {}
    finally:
        cluster.on("pi-1", "chmod", "660", "/var/run/docker.sock")


@contextlib.contextmanager
def clock_ahead(cluster: Cluster, _folder: Path) -> Iterator[dict[str, object]]:
    """Let all that is started over SSH see another time: the kernel's clock is everybody's."""
    library = cluster.on("pi-2", "find", "/usr/lib", "-name", "libfaketime.so.1").strip()
    setting = f"SetEnv LD_PRELOAD={library} FAKETIME=+90s FAKETIME_DONT_FAKE_MONOTONIC=1"
    path = "/etc/ssh/sshd_config.d/clock.conf"
    cluster.on("pi-2", "sh", "-c", f"echo '{setting}' > {path}")
    cluster.restart_sshd("pi-2")
    try:
        yield {}
    finally:
        cluster.on("pi-2", "rm", path)
        cluster.restart_sshd("pi-2")


UNFIT = {
    "SSH server stopped": Fault(
        r"pi-2 cannot be reached over ssh \(Connection refused\)", cause=ssh_server_stopped
    ),
    "Docker's socket closed to the user": Fault(
        r"pi-1: permission denied on docker's socket", cause=docker_not_allowed
    ),
    "clock 90 s ahead": Fault(
        r"pi-2: its clock is (89|90)\.\d s .*ahead of the control host's", cause=clock_ahead
    ),
}


@pytest.mark.parametrize("fault", UNFIT.values(), ids=UNFIT.keys())
def test_an_unfit_pi_is_named_before_anything_is_done(cluster: Cluster, tmp_path: Path, fault: Fault) -> None:
    before = cluster.left_behind()
    outcome = play_with(cluster, tmp_path, fault)
    assert_told(outcome, fault.message)
    assert (outcome.run_dir / "run.json").exists()
    assert cluster.left_behind() == before


# Pods and baselines that do not come to their end.


def only_the_pod_on_pi_2_is_late(cluster: Cluster) -> bool:
    phases = {pod["spec"].get("nodeName"): pod["status"]["phase"] for pod in cluster.objects("pods")}
    return phases == {"pi-1": "Succeeded", "pi-2": "Pending", "pi-3": "Succeeded"}


def test_a_configmap_that_goes_before_a_pod_starts(cluster: Cluster) -> None:
    """Its Job is left to itself here; kubectl delete without --cascade=orphan takes the Job along."""
    playing = cluster.start("benchmark.yml", benchmark_run_id="no-configmap", **UNSEEN)
    nodes = cluster.folder.parent / "runs/no-configmap/nodes.json"
    try:
        await_that(nodes.exists, "the Pis were found ready")
        # Held, so that its kubelet comes too late for the ConfigMap.
        with cluster.frozen("pi-2"):
            await_that(lambda: only_the_pod_on_pi_2_is_late(cluster), "the other pods are done")
            where = f"--namespace={NAMESPACE}"
            cluster.kubectl("delete", "configmap", "pi-speedup-worker", where, "--cascade=orphan")
        outcome = playing.end(within_seconds=TELLS_WITHIN_SECONDS)
        assert_told(outcome, r"pod \d on pi-2: FailedMount: .*configmap \"pi-speedup-worker\" not found")
        assert any(event["reason"] == "FailedMount" for event in read(outcome, "events.json"))
        # Nothing proves any more that the Job is ours: it stays until its namespace goes, but suspended.
        active = ("Pending", "Running")
        await_that(
            lambda: all(pod["status"]["phase"] not in active for pod in cluster.objects("pods")),
            "no pod is active",
        )
    finally:
        cluster.kubectl("delete", "namespace", NAMESPACE)
    assert cluster.left_behind() == []


@contextlib.contextmanager
def image_not_approved(cluster: Cluster, folder: Path) -> Iterator[dict[str, object]]:
    """Admit only pods with images from one registry, as companies do; ours is restricted-conformant, so that
    Pod Security admits it everywhere."""
    rule = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ]
        },
        "validations": [
            {
                "expression": "object.spec.containers.all(each, each.image.startsWith('registry.example/'))",
                "message": "images must come from registry.example",
            }
        ],
    }
    where = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "strict"}}}
    binding = {"policyName": "approved-images", "validationActions": ["Deny"], "matchResources": where}
    names = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "metadata": {"name": "approved-images"},
    }
    rules = [
        {**names, "kind": "ValidatingAdmissionPolicy", "spec": rule},
        {**names, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
    ]
    path = folder / "rules.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": rules}))
    cluster.kubectl("create", "namespace", "strict")
    cluster.kubectl("apply", f"--filename={path}")
    probe = ("--", "run", "probe", "--image=none", "--namespace=strict", "--dry-run=server")
    await_that(lambda: "denied" in cluster.attempt("kubectl", *probe).stderr, "the rule holds")
    try:
        yield {"benchmark_namespace": "strict"}
        # The namespace is another's: it stays, without anything of ours.
        assert cluster.play("cleanup.yml", benchmark_namespace="strict").exit_code == 0
        assert cluster.objects(namespace="strict") == []
        assert cluster.get("namespace", "strict")["status"]["phase"] == "Active"
    finally:
        cluster.kubectl("delete", f"--filename={path}")
        cluster.kubectl("delete", "namespace", "strict", "--wait=false")


@contextlib.contextmanager
def disk_full(_cluster: Cluster, folder: Path) -> Iterator[dict[str, object]]:
    """Sixteen pages of 4 KiB, one for each small file: the last baseline's result is the seventeenth."""
    runs = folder / "small"
    runs.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(runs)], check=True)
    yield {"benchmark_runs_dir": runs}


@pytest.fixture
def unmounted(tmp_path: Path) -> Iterator[None]:
    yield
    if (tmp_path / "small").is_mount():
        subprocess.run(["umount", str(tmp_path / "small")], check=True)


BROKEN = {
    "unknown image": Fault(
        r"pod \d on pi-\d: (ErrImagePull|ImagePullBackOff): .*no\.such/image.*Next: check the image's name",
        {"benchmark_image": "no.such/image:1", **UNSEEN},
        evidence={"events.json": "no.such/image", "job.json": '"failed"'},
    ),
    "no image but a registry's": Fault(
        r"3 of 3 pods: FailedCreate: .*denied request: images must come from registry\.example",
        UNSEEN,
        image_not_approved,
        {"events.json": "registry.example", "job.json": "registry.example"},
    ),
    "too little memory for a pod": Fault(
        r"pod \d on pi-\d( \(and \d more\))?: exit code 137, OOMKilled\. Next: raise the memory limit",
        {"pi_job_memory_limit": "6Mi", **UNSEEN},
        evidence={"job.json": "OOMKilled"},
    ),
    "too little memory for the baseline": Fault(
        r"pi-1: the baseline was killed, most likely for want of memory.*Next: raise benchmark_memory_limit",
        {"docker_baseline_memory_limit_mib": 6, **UNSEEN},
        evidence={"job.json": '"complete"', "results/pod-0.json": "inside"},
    ),
    "control host's disk full": Fault(
        r"cannot write .*/small/.* \(No space left on device\)",
        cause=disk_full,
        evidence={
            **{f"results/pod-{index}.json": "inside" for index in range(len(PIS))},
            # Written before the result, and the same in it.
            "logs/baseline-strong.log": "inside",
            "logs/baseline-weak.log": "inside",
        },
    ),
}


@pytest.mark.usefixtures("unmounted")
@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN.keys())
def test_a_run_that_fails_says_why_and_leaves_nothing_but_its_files(
    cluster: Cluster, tmp_path: Path, fault: Fault
) -> None:
    outcome = play_with(cluster, tmp_path, fault)
    assert_told(outcome, fault.message)
    for name, text in fault.evidence.items():
        assert text in (outcome.run_dir / name).read_text()
    job = read(outcome, "job.json")
    assert job["wall_seconds"] < TELLS_WITHIN_SECONDS
    # No earlier run's Job is there any more, nor a container; the rest goes with the cleanup, at the end.
    ours = {each["metadata"]["name"] for each in cluster.objects("jobs", job["namespace"])}
    assert ours <= {job["name"]}
    assert [cluster.containers_on(pi) for pi in PIS] == [[], [], []]


# A Pi that is lost.


@dataclass(frozen=True)
class Lost:
    """Three runs: one from which a Pi was taken, and two that began without it."""

    amid: Outcome
    unreachable: Outcome
    unready: Outcome


@pytest.fixture(scope="module")
def lost(cluster: Cluster) -> Lost:
    """Freeze pi-3 under a run whose pods would never end, run twice more, and thaw it."""
    settings = {"benchmark_samples_per_pod": ENDLESS, "benchmark_timeout_seconds": 600}
    playing = cluster.start("benchmark.yml", benchmark_run_id="pi-lost", **settings)
    await_that(lambda: cluster.pod_runs_on("pi-3"), "a pod runs on pi-3")
    with cluster.frozen("pi-3"):
        await_that(lambda: not cluster.is_ready("pi-3"), "the API server misses pi-3")
        amid = playing.end(within_seconds=TELLS_WITHIN_SECONDS)
        amid = Outcome(amid.exit_code, amid.output, amid.run_dir.with_name("pi-lost"))
        unready = cluster.start("benchmark.yml", **UNSEEN).end(within_seconds=TELLS_WITHIN_SECONDS)
        unreachable = cluster.start("benchmark.yml").end(within_seconds=TELLS_WITHIN_SECONDS)
    return Lost(amid, unreachable, unready)


def test_a_pi_lost_amid_a_run_is_named_long_before_the_timeout(lost: Lost) -> None:
    assert_told(lost.amid, r"pod \d on pi-3: .*the Pi was lost or stopped")
    assert read(lost.amid, "job.json")["outcome"] == "failed"
    assert len(list(lost.amid.run_dir.glob("logs/*.log"))) == len(PIS)


def test_a_lost_pi_is_named_by_its_node(lost: Lost) -> None:
    assert_told(lost.unready, r"pi-3 is lost: its kubelet stopped reporting")


def test_a_lost_pi_is_named_by_its_connection(lost: Lost) -> None:
    assert_told(lost.unreachable, r"pi-3 cannot be reached over ssh \(.*timed out\)")


# A connection that breaks while the Pi measures alone.


def until_the_baseline_runs(cluster: Cluster, timeout_seconds: int) -> Callable[[], Outcome]:
    """Start a run and return when its baseline runs, which would take minutes."""
    case = {"scaling": "strong", "samples": ENDLESS, "name": "pi-speedup-endless"}
    playing = cluster.start(
        "benchmark.yml",
        "--extra-vars",
        json.dumps({"docker_baseline_cases": [case]}),
        docker_baseline_timeout_seconds=timeout_seconds,
    )
    await_that(lambda: cluster.containers_on("pi-1"), "the baseline runs")
    return lambda: playing.end(within_seconds=TELLS_WITHIN_SECONDS)


BY_ANSIBLE = r"^\[ERROR\]: Task failed: (Data could not be sent|Failed to connect)"


def test_a_connection_that_breaks_under_the_baseline_leaves_no_container(cluster: Cluster) -> None:
    end = until_the_baseline_runs(cluster, timeout_seconds=600)
    cluster.break_connections("pi-1")
    outcome = end()
    assert_told(outcome, r"pi-1: the connection broke.*Next: ", besides=BY_ANSIBLE)
    assert len(list(outcome.run_dir.glob("results/pod-*.json"))) == len(PIS)
    assert cluster.containers_on("pi-1") == []


def test_a_baseline_that_nobody_can_reach_ends_at_its_deadline(cluster: Cluster) -> None:
    end = until_the_baseline_runs(cluster, timeout_seconds=12)
    with cluster.without_sshd("pi-1"):
        outcome = end()
        assert_told(outcome, r"pi-1: the connection broke.*Next: ", besides=BY_ANSIBLE)
        await_that(lambda: not cluster.containers_on("pi-1"), "the baseline's container is gone")


def test_cleanup_leaves_nothing_of_all_these_runs(cluster: Cluster) -> None:
    cluster.clean_up()
