"""What goes wrong on real Pis, one cause at a time: one line names the Pi or the pod, and little is left.

What a lab can show as well is tested there.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pi_speedup.model.trial import Trial
from pi_speedup.store import RunStore
from tests.containers.cluster import ENDLESS, PIS, Cluster, trials
from tests.lab.killed import interrupt
from tests.virtual import PROJECT, Outcome, assert_told, await_that

Cause = Callable[[Cluster, Path], AbstractContextManager[dict[str, object]]]

# From when a cause shows until the run has told of it.
TELLS_WITHIN_SECONDS = 120
# The Pis' own state matters to tests of its checks only.
UNSEEN: dict[str, object] = {"benchmark_host_checks": "false"}
# The seeds with which the Job comes first, and the base case.
JOB_FIRST: dict[str, object] = {"benchmark_order_seed": 0}
BASE_FIRST: dict[str, object] = {"benchmark_order_seed": 1}


@dataclass(frozen=True)
class Fault:
    """What is done to a Pi, to the cluster or to the settings, and what the user must read."""

    message: str
    settings: dict[str, object] = field(default_factory=dict)
    cause: Cause | None = None
    # What the trials on disk must tell.
    evidence: Callable[[tuple[Trial, ...]], bool] = lambda found: True


def play_with(cluster: Cluster, folder: Path, fault: Fault) -> Outcome:
    cause = fault.cause(cluster, folder) if fault.cause else contextlib.nullcontext({})
    with cause as settings:
        return cluster.play(
            "benchmark.yml", **{"benchmark_runs_dir": folder / "runs", **fault.settings, **settings}
        )


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
    with cluster.clock_ahead("pi-2", 90):
        yield {}


UNFIT = {
    "SSH server stopped": Fault(
        r"^pi-2: cannot be reached over ssh \(Connection refused\)", cause=ssh_server_stopped
    ),
    "Docker's socket closed to the user": Fault(
        r"^pi-1: permission denied on docker's socket", cause=docker_not_allowed
    ),
    "clock 90 s ahead": Fault(
        r"^pi-2: its clock is (89|90)\.\d s .*ahead of the control host's", cause=clock_ahead
    ),
}


@pytest.mark.fault("ssh: one of three Pis away", row="SSH server stopped")
@pytest.mark.fault(
    "clock 90 s ahead",
    "pi-2: its clock is 90.0 s (+/- 0.9 s) ahead of the control host's [PS-223]. Next: "
    "ssh pi-2 timedatectl, and see that NTP is on there (…) and here",
    kept="nothing begun",
    row="clock 90 s ahead",
)
@pytest.mark.fault(
    "docker forbidden to the user",
    "pi-1: permission denied on docker's socket [PS-602]. Next: ssh pi-1 'sudo groupadd "
    "-f docker && sudo usermod -aG docker $USER' (where it is a snap, then sudo snap restart docker); …",
    kept="nothing begun",
    row="Docker's socket closed to the user",
)
@pytest.mark.parametrize("fault", UNFIT.values(), ids=UNFIT.keys())
def test_an_unfit_pi_is_named_before_anything_is_done(cluster: Cluster, tmp_path: Path, fault: Fault) -> None:
    before = cluster.left_behind()
    outcome = play_with(cluster, tmp_path, fault)
    assert_told(outcome, fault.message)
    assert outcome.output.splitlines() == outcome.errors
    # What was seen of the Pis is on disk, and no key.
    assert list(tmp_path.glob("runs/*/hosts/*.before.json"))
    assert list(tmp_path.glob("runs/*/plan.json")) + list(tmp_path.glob("runs/*/private")) == []
    assert cluster.left_behind() == before


# Pods and base cases that do not come to their end.


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
    """25 pages of 4 KiB, twelve for what starts it by hand: the warm-up has room, what follows has not."""
    runs = folder / "small"
    runs.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "none", str(runs)], check=True)
    yield {"benchmark_runs_dir": runs}


def without_room(pi: str, place: str) -> Cause:
    """Leave no room for one file more in a folder of a Pi, as where its disk is full."""

    @contextlib.contextmanager
    def cause(cluster: Cluster, _folder: Path) -> Iterator[dict[str, object]]:
        cluster.on(pi, "mkdir", "-p", place)
        cluster.on(pi, "mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=1", "none", place)
        try:
            yield {}
        finally:
            cluster.on(pi, "umount", place)

    return cause


@pytest.fixture
def unmounted(tmp_path: Path) -> Iterator[None]:
    yield
    if (tmp_path / "small").is_mount():
        subprocess.run(["umount", str(tmp_path / "small")], check=True)


def hungry(*, in_pods: bool) -> Cause:
    """Let the worker take more memory than it may have, in pods or in the container alone."""

    @contextlib.contextmanager
    def cause(_cluster: Cluster, folder: Path) -> Iterator[dict[str, object]]:
        first_line = "from __future__ import annotations\n"
        eats = (
            f"import os\nif ('JOB_COMPLETION_INDEX' in os.environ) is {in_pods}:\n    bytearray(64 << 20)\n"
        )
        worker = (PROJECT / "files/pi_worker.py").read_text()
        path = folder / "hungry_worker.py"
        path.write_text(worker.replace(first_line, first_line + eats, 1))
        yield {"_run_plan_worker": str(path)}

    return cause


def reported(found: tuple[Trial, ...], cell: str) -> bool:
    """Say whether each worker of the trial of a cell has its report on disk."""
    return any(
        trial.slot.cell == cell and trial.outcome == "ok" and all(worker.report for worker in trial.workers)
        for trial in found
    )


BROKEN = {
    "unknown image": Fault(
        r"^pi-1: .*no\.such/image:1.*Next: ",
        {"benchmark_image": "no.such/image:1", **UNSEEN},
        # The Pi that works alone is asked for it first.
        evidence=lambda found: found == (),
    ),
    "no image but a registry's": Fault(
        r"^3 of 3 pods: FailedCreate: .*denied request: images must come from registry\.example",
        {**JOB_FIRST, **UNSEEN},
        image_not_approved,
        lambda found: "registry.example" in found[0].events[0].message,
    ),
    "too little memory for a pod": Fault(
        r"^pod \d on pi-\d: exit code 137, OOMKilled( \(and \d more\))? \[PS-522\]\. Next: raise benchmark_m",
        {"benchmark_memory_limit_mib": 32, **JOB_FIRST, **UNSEEN},
        hungry(in_pods=True),
        lambda found: "OOMKilled" in str(found[0].problem),
    ),
    "too little memory for the base case": Fault(
        r"^pi-1: the base case was killed, most likely for want of memory.*Next: raise benchmark_memory_lim",
        {"benchmark_memory_limit_mib": 32, **JOB_FIRST, **UNSEEN},
        hungry(in_pods=False),
        lambda found: reported(found, "together-3"),
    ),
    "a Pi's disk full, where its pod starts": Fault(
        r"^pod \d on pi-2: .*no space left on device \[PS-607\]\. Next: ssh .*@\S+ df -h",
        {**BASE_FIRST, **UNSEEN},
        without_room("pi-2", "/var/lib/containerd/io.containerd.grpc.v1.cri/containers"),
        lambda found: reported(found, "alone"),
    ),
    "a Pi's disk full, where it works alone": Fault(
        r"^pi-1: its disk is full \(.*no space left on device.*\) \[PS-607\]\. Next: ssh .*@\S+ df -h",
        {**JOB_FIRST, **UNSEEN},
        without_room("pi-1", "/var/lib/docker/containers"),
        lambda found: reported(found, "together-3"),
    ),
    "control host's disk full": Fault(
        r"/small/.*: cannot be written \(No space left on device\)",
        {**BASE_FIRST, **UNSEEN},
        disk_full,
        lambda found: reported(found, "together-3") and reported(found, "alone"),
    ),
}


@pytest.mark.fault(
    "admission policy of others",
    "3 of 3 pods: FailedCreate: ValidatingAdmissionPolicy 'approved-images' … denied "
    "request: images must come from registry.example [PS-413]. Next: use a namespace "
    "whose rules admit this pod (benchmark_namespace), or change the rule",
    kept="trials",
    row="no image but a registry's",
)
@pytest.mark.fault(
    "out of memory in a pod",
    "pod 0 on pi-1: exit code 137, OOMKilled [PS-522]. Next: raise benchmark_memory_limit_mib",
    kept="trials",
    row="too little memory for a pod",
)
@pytest.mark.fault(
    "docker pull: no such image",
    "pi-1: no registry has image no.such/image:1, or it is a private one (…) [PS-501]. "
    "Next: correct benchmark_image, or ssh pi-1 docker login",
    kept="trials",
    row="unknown image",
)
@pytest.mark.fault("base case killed", row="too little memory for the base case")
@pytest.mark.fault(
    "disk of a Pi full, in a trial",
    "pod 1 on pi-2: CreateContainerError: … no space left on device [PS-607]. Next: ssh pi@… df -h shows …",
    kept="trials",
    row="a Pi's disk full, where its pod starts",
)
@pytest.mark.fault(
    "disk of a Pi full, in a trial",
    row="a Pi's disk full, where it works alone",
)
@pytest.mark.fault("control host's disk full, at ten sizes", row="control host's disk full")
@pytest.mark.usefixtures("unmounted")
@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN.keys())
def test_a_run_that_fails_says_why_and_leaves_nothing_but_its_files(
    cluster: Cluster, tmp_path: Path, fault: Fault
) -> None:
    outcome = play_with(cluster, tmp_path, fault)
    assert_told(outcome, fault.message)
    assert fault.evidence(trials(outcome)), outcome.output
    assert all(trial.spent_seconds < TELLS_WITHIN_SECONDS for trial in trials(outcome))
    # Nothing computes, and only the last Job is left to be looked at; the cleanup, at the end, takes it.
    jobs = cluster.objects("jobs")
    assert len(jobs) <= 1
    assert not any(job["status"].get("active") for job in jobs)
    assert [cluster.containers_on(pi) for pi in PIS] == [[], [], []]


# A Pi that is lost.


@dataclass(frozen=True)
class Lost:
    """Four runs: one from which a Pi was taken, two that began without it, and one that may do without it."""

    amid: Outcome
    unreachable: Outcome
    unready: Outcome
    without: Outcome


@pytest.fixture(scope="module")
def lost(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Lost:
    """Freeze pi-3 under a run whose pods would never end, run three times more, and thaw it."""
    runs: dict[str, object] = {"benchmark_runs_dir": tmp_path_factory.mktemp("lost")}
    endless = {"benchmark_samples_per_process": ENDLESS, "benchmark_timeout_seconds": 600, **JOB_FIRST}
    playing = cluster.start("benchmark.yml", benchmark_run_id="pi-lost", **endless, **runs)
    await_that(lambda: cluster.pod_runs_on("pi-3"), "a pod runs on pi-3")
    with cluster.frozen("pi-3"):
        await_that(lambda: not cluster.is_ready("pi-3"), "the API server misses pi-3")
        amid = playing.end(within_seconds=TELLS_WITHIN_SECONDS)
        amid = Outcome(amid.exit_code, amid.output, amid.run_dir.with_name("pi-lost"))
        unready = cluster.start("benchmark.yml", **UNSEEN, **runs).end(within_seconds=TELLS_WITHIN_SECONDS)
        unreachable = cluster.start("benchmark.yml", **runs).end(within_seconds=TELLS_WITHIN_SECONDS)
        without = cluster.start("benchmark.yml", benchmark_min_pis=2, **runs).end(TELLS_WITHIN_SECONDS)
    return Lost(amid, unreachable, unready, without)


@pytest.mark.fault(
    "node lost while its pod runs",
    "pi-3: stopped answering at 12:03:20, so Kubernetes gave up pod 2 [PS-526]. Next: "
    "check the Pi's power, network and k3s-agent, then run again",
    kept="trials; measured once more",
)
def test_a_pi_lost_amid_a_run_is_named_long_before_the_timeout(lost: Lost) -> None:
    # It may come back, so it is measured once more.
    assert re.search(r"^  pi-3: stopped answering.* that may pass by itself", lost.amid.output, re.MULTILINE)
    assert_told(lost.amid, r"^pi-3: lost: its kubelet stopped reporting")
    assert [(trial.attempt, trial.outcome) for trial in trials(lost.amid)] == [(1, "failed"), (2, "failed")]
    assert len(list(lost.amid.run_dir.glob("logs/r000-00-together-3/*.log"))) == len(PIS)


@pytest.mark.fault(
    "node Unknown",
    "pi-2: lost: its kubelet stopped reporting (NodeStatusUnknown: Kubelet stopped "
    "posting node status, for 45 s) [PS-303]. Next: check its power and network, then ssh"
    " pi-2 systemctl status k3s-agent",
    kept="nothing begun",
)
def test_a_lost_pi_is_named_by_its_node(lost: Lost) -> None:
    assert_told(lost.unready, r"^pi-3: lost: its kubelet stopped reporting")


def test_a_lost_pi_is_named_by_its_connection(lost: Lost) -> None:
    assert_told(lost.unreachable, r"^pi-3: cannot be reached over ssh \(.*timed out\)")


@pytest.mark.fault("ssh: one of three Pis away, and two are enough")
def test_a_lost_pi_is_left_out_where_two_are_enough(lost: Lost) -> None:
    # Although a pod of the first run is still there, which does not end as long as pi-3 is away.
    assert lost.without.exit_code == 0, lost.without.output
    assert re.search(
        r"^\[WARNING\]: pi-3: cannot be reached over ssh \(.*timed out\) \(and 1 more\); measuring without "
        r"it \(benchmark_min_pis: 2\) \[PS-201\]\. Next: ",
        lost.without.output,
        re.MULTILINE,
    )
    assert {trial.slot.cell for trial in trials(lost.without)} == {"alone", "together-2"}
    assert all(trial.outcome == "ok" for trial in trials(lost.without))


# A run that goes on, on Pis that are no longer as they were.


def test_a_run_that_goes_on_under_another_clock_keeps_both_readings(cluster: Cluster, tmp_path: Path) -> None:
    run = {
        "benchmark_run_id": "resumed",
        "benchmark_runs_dir": tmp_path / "runs",
        "benchmark_rounds": 2,
        "benchmark_samples_per_process": 1_000_000,
    }
    playing = cluster.start("benchmark.yml", **run)
    store = RunStore(tmp_path / "runs/resumed")
    await_that(lambda: store.has_plan and store.trials(), "a trial is on disk")
    interrupt(playing)
    assert playing.end(within_seconds=TELLS_WITHIN_SECONDS).exit_code == 2
    with cluster.clock_ahead("pi-2", 0.6):
        done = cluster.play("benchmark.yml", **run)
    assert done.exit_code == 0, done.output
    looks = {(host.session, host.name): host for host in store.hosts(PIS)}
    assert set(looks) == {(session, pi) for session in (1, 2) for pi in PIS}
    # Whoever presses Ctrl-C wants an end: nobody looked after the first.
    first, second = looks[1, "pi-2"], looks[2, "pi-2"]
    assert first.before and not first.after and second.before and second.after
    moved = second.before.clock_offset_seconds - first.before.clock_offset_seconds
    assert moved == pytest.approx(0.6, abs=0.3)
    report = json.loads((store.folder / "report.json").read_text())
    assert [each["number"] for each in report["sessions"]] == [1, 2]
    assert report["clocks_corrected"]


# A connection that breaks while a Pi works alone.


def container(attempt: int) -> str:
    return f"pi-speedup-pi-speedup.broken-r000-00-alone.{attempt}"


def until_the_base_case_runs(cluster: Cluster, folder: Path, timeout_seconds: int) -> Callable[[], Outcome]:
    """Start a run and return when its base case runs, which would take minutes."""
    playing = cluster.start(
        "benchmark.yml",
        benchmark_run_id="broken",
        benchmark_runs_dir=folder / "runs",
        benchmark_samples_per_process=ENDLESS,
        benchmark_timeout_seconds=timeout_seconds,
        **BASE_FIRST,
        **UNSEEN,
    )
    await_that(lambda: cluster.containers_on("pi-1") == [container(1)], "the base case runs")
    return lambda: playing.end(within_seconds=TELLS_WITHIN_SECONDS)


@pytest.mark.fault(
    "ssh lost in a base case",
    "pi-1: cannot be reached over ssh (Connection refused) [PS-201]. Next: ssh pi@…; "
    "check its power, its network and ansible_host in the inventory",
    kept="trials; measured once more, and no container is left",
)
def test_a_connection_that_breaks_is_tried_once_more_and_leaves_no_container(
    cluster: Cluster, tmp_path: Path
) -> None:
    end = until_the_base_case_runs(cluster, tmp_path, timeout_seconds=600)
    cluster.break_connections("pi-1")
    # The second attempt is alone there.
    await_that(lambda: cluster.containers_on("pi-1") == [container(2)], "it is measured once more")
    cluster.break_connections("pi-1")
    outcome = end()
    assert_told(outcome, r"^pi-1: cannot be reached over ssh \(.*Next: ")
    assert outcome.output.count("that may pass by itself") == 1
    assert [(trial.attempt, trial.outcome) for trial in trials(outcome)] == [(1, "failed"), (2, "failed")]
    assert cluster.containers_on("pi-1") == []
    assert list(tmp_path.glob("runs/*/private")) == []


@pytest.mark.fault("ssh lost in a base case")
def test_a_base_case_that_nobody_can_reach_ends_at_its_deadline(cluster: Cluster, tmp_path: Path) -> None:
    end = until_the_base_case_runs(cluster, tmp_path, timeout_seconds=20)
    with cluster.without_sshd("pi-1"):
        outcome = end()
        assert_told(outcome, r"^pi-1: cannot be reached over ssh \(Connection refused\).*Next: ")
        assert "it ends within 20 s by itself" in outcome.output
        await_that(lambda: not cluster.containers_on("pi-1"), "the base case's container is gone")


def test_cleanup_leaves_nothing_of_all_these_runs(cluster: Cluster) -> None:
    cluster.clean_up()
