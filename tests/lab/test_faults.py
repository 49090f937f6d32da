"""Each fault is one line that says which Pi or pod, what is wrong and what to do; its evidence is on disk.

Mistakes in settings and inventory need no cluster; they are in test_inventory.py.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pi_speedup.store import RunStore
from tests.lab.lab import Lab, Outcome
from tests.virtual import assert_told, await_that

Cause = Callable[[Lab, Path], AbstractContextManager[dict[str, object]]]

# The seed with which the Job comes before the base case.
JOB_FIRST: dict[str, object] = {"benchmark_order_seed": 0}
# Where no run has made anything yet.
UNTOUCHED = "untouched"


@dataclass(frozen=True)
class Fault:
    """What is done to the lab or to the settings, and what the user must read."""

    message: str
    settings: dict[str, object] = field(default_factory=dict)
    cause: Cause | None = None


def play_with(lab: Lab, folder: Path, fault: Fault, **more: object) -> Outcome:
    cause = fault.cause(lab, folder) if fault.cause else contextlib.nullcontext({})
    with cause as settings:
        return lab.play("benchmark.yml", **more, **fault.settings, **settings)


# What is found out before anything is created.


@contextlib.contextmanager
def cordoned(lab: Lab, _folder: Path) -> Iterator[dict[str, object]]:
    lab.kubectl("cordon", "pi-2")
    try:
        yield {}
    finally:
        lab.kubectl("uncordon", "pi-2")


@contextlib.contextmanager
def tainted(lab: Lab, _folder: Path) -> Iterator[dict[str, object]]:
    lab.kubectl("taint", "node", "pi-3", "dedicated=camera:NoSchedule")
    try:
        yield {}
    finally:
        lab.kubectl("taint", "node", "pi-3", "dedicated-")


@contextlib.contextmanager
def api_server_hangs(lab: Lab, _folder: Path) -> Iterator[dict[str, object]]:
    pid = lab.pid("kube-apiserver")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield {}
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def api_server_stopped(lab: Lab, folder: Path) -> Iterator[dict[str, object]]:
    # Bound, so that nobody else takes the port; not listening, so that it refuses as a stopped server's does.
    with socket.socket() as stopped:
        stopped.bind(("127.0.0.1", 0))
        kubeconfig = (lab.folder / "kubeconfig").read_text()
        port = stopped.getsockname()[1]
        path = written(folder, re.sub(r"https://127\.0\.0\.1:\d+", f"https://127.0.0.1:{port}", kubeconfig))
        yield {"benchmark_kubeconfig": path}


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "kubeconfig"
    path.write_text(text)
    path.chmod(mode)
    return path


@contextlib.contextmanager
def kubeconfig_is_malformed(_lab: Lab, folder: Path) -> Iterator[dict[str, object]]:
    yield {"benchmark_kubeconfig": written(folder, "clusters: [\n")}


@contextlib.contextmanager
def kubeconfig_is_readable_by_all(lab: Lab, folder: Path) -> Iterator[dict[str, object]]:
    yield {"benchmark_kubeconfig": written(folder, (lab.folder / "kubeconfig").read_text(), 0o644)}


def kubeconfig(name: str) -> Cause:
    @contextlib.contextmanager
    def other_kubeconfig(lab: Lab, _folder: Path) -> Iterator[dict[str, object]]:
        yield {"benchmark_kubeconfig": lab.folder / name}

    return other_kubeconfig


REFUSED = {
    "cordoned node": Fault(r"^pi-2: cordoned .*Next: kubectl uncordon pi-2", cause=cordoned),
    "tainted node": Fault(r"^pi-3: .*dedicated=camera:NoSchedule.*Next: ", cause=tainted),
    "API server stopped": Fault(
        r"^API server https://127\.0\.0\.1:\d+: cannot be reached: connection refused \[PS-401\]\. Next: ",
        cause=api_server_stopped,
    ),
    "API server hangs": Fault(
        r"^API server https://127\.0\.0\.1:\d+: cannot be reached: no .*Next: ", cause=api_server_hangs
    ),
    "kubeconfig malformed": Fault(r"^kubeconfig .*malformed.*Next: ", cause=kubeconfig_is_malformed),
    "kubeconfig readable by all": Fault(
        r"^kubeconfig .*open to other users.*Next: chmod 600 ", cause=kubeconfig_is_readable_by_all
    ),
    "token unknown to the cluster": Fault(
        r"^API server .*does not accept the identity.*Next: ", cause=kubeconfig("kubeconfig.wrong-token")
    ),
    "user without rights": Fault(
        rf"^kubeconfig .*lacks rights in namespace {UNTOUCHED}: .*jobs \(create, .*, namespaces \(create\)"
        r" \[PS-407\]\. Next: as administrator, "
        rf"\S*ansible-playbook (-i \S+ )?rbac.yml -e benchmark_namespace={UNTOUCHED} makes ",
        cause=kubeconfig("kubeconfig.readonly"),
    ),
    "certificate for another address": Fault(
        r"^API server .*a certificate that doesn't fit.*Next: ", cause=kubeconfig("kubeconfig.wrong-address")
    ),
}


@pytest.mark.fault(
    "API server refuses connections",
    "API server https://127.0.0.1:6443: cannot be reached: connection refused [PS-401]. "
    "Next: on the K3s server, systemctl status k3s; here, check the server address in …",
    kept="nothing begun",
    row="API server stopped",
)
@pytest.mark.fault(
    "API server does not answer (black hole)",
    "API server https://127.0.0.1:6443: cannot be reached: no answer within the time "
    "allowed [PS-401]. Next: on the K3s server, systemctl status k3s; here, check the "
    "server address in …",
    kept="nothing begun",
    row="API server hangs",
)
@pytest.mark.fault(
    "certificate for another address",
    "API server https://localhost:6443: shows a certificate that doesn't fit …: Hostname "
    "mismatch, certificate is not valid for 'localhost' [PS-402]. Next: use the address "
    "the certificate names, or …",
    kept="nothing begun",
    row="certificate for another address",
)
@pytest.mark.fault(
    "401: a token that the cluster does not know",
    "API server https://127.0.0.1:6443: does not accept the identity in … (401 "
    "Unauthorized) [PS-406]. Next: fetch a fresh kubeconfig from the K3s server",
    kept="nothing begun",
    row="token unknown to the cluster",
)
@pytest.mark.fault(
    "403: no rights to write",
    "kubeconfig …: lacks rights in namespace untouched: configmaps (create, patch), "
    "leases (create, patch, delete), jobs (create, watch, patch, delete), pods (watch), "
    "namespaces (create) [PS-407]. Next: as administrator, ansible-playbook rbac.yml -e "
    "benchmark_namespace=untouched makes …",
    kept="nothing begun",
    row="user without rights",
)
@pytest.mark.fault(
    "kubeconfig open to others",
    "kubeconfig …: open to other users (mode 0644) [PS-433]. Next: chmod 600 …",
    kept="nothing begun",
    row="kubeconfig readable by all",
)
@pytest.mark.fault(
    "kubeconfig malformed",
    "kubeconfig …: malformed: while parsing a flow node expected the node content, but "
    "found '<stream end>' … [PS-434]. Next: fetch it again from the K3s server "
    "(/etc/rancher/k3s/k3s.yaml)",
    kept="nothing begun",
    row="kubeconfig malformed",
)
@pytest.mark.fault(
    "node cordoned",
    "pi-2: cordoned (unschedulable) [PS-302]. Next: kubectl uncordon pi-2",
    kept="nothing begun",
    row="cordoned node",
)
@pytest.mark.fault(
    "node tainted",
    "pi-3: has the taint dedicated=camera:NoSchedule, which a Job doesn't tolerate "
    "[PS-304]. Next: leave pi-3 out of `pis` (it stays in `server`), for its owner keeps work away "
    "from it; or, if nobody wants that any more, kubectl taint nodes pi-3 dedicated:NoSchedule-",
    kept="nothing begun",
    row="tainted node",
)
@pytest.mark.parametrize("fault", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_go_well_is_refused_before_anything_is_created(
    lab: Lab, tmp_path: Path, fault: Fault
) -> None:
    outcome = play_with(lab, tmp_path, fault, benchmark_namespace=UNTOUCHED, benchmark_runs_dir=tmp_path)
    assert_told(outcome, fault.message)
    assert outcome.output.splitlines() == outcome.errors
    assert UNTOUCHED not in namespaces(lab)
    assert list(tmp_path.rglob("plan.json")) == []


@pytest.mark.fault(
    "nodes of another architecture",
    "pi-2: has the architecture amd64, benchmark_architecture is arm64 [PS-308]. Next: "
    "change benchmark_architecture, or leave pi-2 out of the inventory",
    kept="nothing begun",
)
def test_pis_of_another_architecture_have_a_line_each(lab: Lab) -> None:
    outcome = lab.play("benchmark.yml", benchmark_architecture="amd64", benchmark_namespace=UNTOUCHED)
    assert outcome.exit_code == 2
    assert outcome.output.splitlines() == outcome.errors
    assert [line.partition(": ")[0] for line in outcome.errors] == ["pi-1", "pi-2", "pi-3"]
    assert all(re.search(r"arm64.*amd64.*Next: ", line) for line in outcome.errors)
    assert UNTOUCHED not in namespaces(lab)


def namespaces(lab: Lab) -> list[str]:
    return [each["metadata"]["name"] for each in lab.get("namespaces")["items"]]


# What only a trial shows.


@contextlib.contextmanager
def no_pod_allowed(lab: Lab, _folder: Path) -> Iterator[dict[str, object]]:
    lab.kubectl("create", "namespace", "full")
    lab.kubectl("create", "quota", "none", "--hard=pods=0", "--namespace=full")
    try:
        yield {"benchmark_namespace": "full"}
    finally:
        lab.kubectl("delete", "namespace", "full", "--wait=false")


BROKEN = {
    "unknown image": Fault(
        r"^pod \d on pi-\d: ErrImagePull.*no\.such/image.*Next: check benchmark_image",
        {"benchmark_image": "no.such/image:1"},
    ),
    "pod runs past the deadline": Fault(
        r"^Job \S+: not finished after 3 s: pod \d on pi-\d running.*Next: raise benchmark_timeout_seconds",
        {"benchmark_timeout_seconds": 3, "benchmark_samples_per_process": 10**9, **JOB_FIRST},
    ),
    "no pod is allowed": Fault(
        r"^3 of 3 pods: FailedCreate: .*exceeded quota.*Next: use a namespace whose rules admit this pod",
        JOB_FIRST,
        no_pod_allowed,
    ),
}


@pytest.mark.fault(
    "image unknown",
    'pod 0 on pi-2: ErrImagePull: failed to pull and unpack image "no.such/image:1": '
    'failed to resolve reference "no.such/image:1": no.such/image:1: not found [PS-501]. '
    "Next: check benchmark_image, and that the Pi reaches its registry: sudo k3s crictl "
    "pull on the Pi",
    kept="trials",
    row="unknown image",
)
@pytest.mark.fault(
    "quota on pods",
    "3 of 3 pods: FailedCreate: exceeded quota: none, requested: pods=1, used: pods=0, "
    "limited: pods=0 [PS-413]. Next: use a namespace whose rules admit this pod "
    "(benchmark_namespace), or change the rule",
    kept="trials",
    row="no pod is allowed",
)
@pytest.mark.fault(
    "deadline: pods that do not end",
    "Job pi-speedup-…-r000-00-a1: not finished after 3 s: pod 0 on pi-1 running, pod 1 on"
    " pi-2 running, pod 2 on pi-3 running [PS-531]. Next: raise "
    "benchmark_timeout_seconds, give each process less to do, or look at that Pi",
    kept="trials, with the logs until then",
    row="pod runs past the deadline",
)
@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN.keys())
def test_a_trial_that_fails_is_one_line_and_a_file(lab: Lab, tmp_path: Path, fault: Fault) -> None:
    outcome = play_with(lab, tmp_path, fault)
    assert_told(outcome, fault.message)
    *_, last = RunStore(outcome.run_dir.resolve()).trials()
    assert (last.outcome, last.slot.cell) == ("failed", "together-3")
    assert last.problem is not None
    # The line is the trial's problem; it may also say how the run goes on.
    assert outcome.errors[0].startswith(last.problem.cause)
    assert (outcome.run_dir / "report.json").exists()


@pytest.mark.fault(
    "node cordoned while it is measured",
    "pi-2: cordoned (unschedulable) [PS-302]. Next: kubectl uncordon pi-2; then "
    "ansible-playbook … -e benchmark_run_id=amid",
    kept="trials",
)
def test_a_pi_that_is_cordoned_amid_a_run_is_named(lab: Lab) -> None:
    playing = lab.start("benchmark.yml", benchmark_rounds=50, benchmark_run_id="amid")
    trials = playing.run_dir.parent / "amid/trials"
    await_that(lambda: list(trials.glob("r001-*.json")), "a first round is measured")
    with cordoned(lab, lab.folder):
        outcome = playing.end(within_seconds=60)
    assert_told(
        outcome, r"^pi-2: cordoned \(unschedulable\) \[PS-302\]\. Next: kubectl uncordon pi-2; then .*=amid"
    )
    assert RunStore(trials.parent).trials()[-1].outcome == "failed"


@pytest.mark.fault(
    "runs folder moved away while it is measured",
    "…/runs/moved: its plan is gone: someone moved or removed it while it measured "
    "[PS-714]. Next: put it back, then ansible-playbook …; or begin a new run",
    kept="trials, where they were moved to",
)
def test_a_runs_folder_that_is_moved_away_amid_a_run_is_one_line(lab: Lab) -> None:
    playing = lab.start("benchmark.yml", benchmark_rounds=50, benchmark_run_id="moved")
    folder = playing.run_dir.parent / "moved"
    await_that(lambda: list(folder.glob("trials/r001-*.json")), "a first round is measured")
    folder.rename(folder.with_name("elsewhere"))
    assert_told(playing.end(within_seconds=60), r"/moved: its plan is gone: .*Next: put it back")
    assert RunStore(folder.with_name("elsewhere")).trials()


@pytest.mark.fault(
    "Job deleted by another",
    "Job pi-speedup-orphan-r000-00-a1: deleted by someone else while it ran [PS-533]. "
    "Next: see who removed it, or the ConfigMap that owns it, then ansible-playbook …",
    kept="trials",
)
def test_an_owner_that_is_deleted_amid_a_run_takes_the_pods_along(lab: Lab) -> None:
    endless = {"benchmark_samples_per_process": 10**9, **JOB_FIRST}
    playing = lab.start("benchmark.yml", benchmark_run_id="orphan", **endless)
    where = "--namespace=pi-speedup"
    await_that(lambda: running(lab), "a pod runs", 30)
    lab.kubectl("delete", "configmap", "pi-speedup-owner", where, "--wait=false")
    outcome = playing.end(within_seconds=60)
    assert_told(outcome, r"^Job \S+: deleted by someone else while it ran \[PS-533\]\. Next: ")
    await_that(lambda: not lab.get("pods", where)["items"], "the pods are gone")


def running(lab: Lab) -> bool:
    pods = lab.get("pods", "--namespace=pi-speedup")["items"]
    return any(pod["status"]["phase"] == "Running" for pod in pods)


def test_the_events_of_a_failed_trial_are_on_disk(lab: Lab, tmp_path: Path) -> None:
    outcome = play_with(lab, tmp_path, BROKEN["unknown image"])
    *_, last = RunStore(outcome.run_dir.resolve()).trials()
    assert any("no.such/image" in event.message for event in last.events)


def test_the_logs_of_pods_past_their_deadline_are_on_disk(lab: Lab, tmp_path: Path) -> None:
    outcome = play_with(lab, tmp_path, BROKEN["pod runs past the deadline"])
    assert len(list(outcome.run_dir.glob("logs/*-together-3/*.log"))) == 3


def test_the_next_run_after_a_failed_one_is_well(lab: Lab, tmp_path: Path) -> None:
    play_with(lab, tmp_path, BROKEN["unknown image"])
    outcome = lab.play("benchmark.yml")
    assert outcome.exit_code == 0, outcome.output
    phases = [pod["status"]["phase"] for pod in lab.get("pods", "--namespace=pi-speedup")["items"]]
    assert phases == ["Succeeded"] * 3


def test_cleanup_removes_the_namespace_of_ours_when_it_is_empty(lab: Lab) -> None:
    assert lab.play("benchmark.yml").exit_code == 0
    assert lab.play("cleanup.yml").exit_code == 0
    assert "pi-speedup" not in namespaces(lab)
