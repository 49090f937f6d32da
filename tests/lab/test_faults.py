"""Each fault is one line that says which Pi or pod, what is wrong and what to do; its evidence is on disk."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.lab.lab import Lab, Outcome

Cause = Callable[[Lab, Path], AbstractContextManager[dict[str, object]]]


@dataclass(frozen=True)
class Fault:
    """What is done to the lab or to the settings, and what the user must read."""

    message: str
    settings: dict[str, object] = field(default_factory=dict)
    cause: Cause | None = None


@contextlib.contextmanager
def cordoned(lab: Lab, _folder: Path) -> Iterator[dict[str, object]]:
    lab.kubectl("cordon", "pi-2")
    yield {}
    lab.kubectl("uncordon", "pi-2")


@contextlib.contextmanager
def tainted(lab: Lab, _folder: Path) -> Iterator[dict[str, object]]:
    lab.kubectl("taint", "node", "pi-3", "dedicated=camera:NoSchedule")
    yield {}
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


@contextlib.contextmanager
def no_pod_allowed(lab: Lab, _folder: Path) -> Iterator[dict[str, object]]:
    lab.kubectl("create", "namespace", "full")
    lab.kubectl("create", "quota", "none", "--hard=pods=0", "--namespace=full")
    yield {"benchmark_namespace": "full"}
    lab.kubectl("delete", "namespace", "full", "--wait=false")


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "kubeconfig"
    path.write_text(text)
    path.chmod(mode)
    return path


@contextlib.contextmanager
def kubeconfig_is_missing(_lab: Lab, folder: Path) -> Iterator[dict[str, object]]:
    yield {"benchmark_kubeconfig": folder / "none"}


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


def play_with(lab: Lab, folder: Path, fault: Fault) -> Outcome:
    cause = fault.cause(lab, folder) if fault.cause else contextlib.nullcontext({})
    with cause as settings:
        return lab.play("benchmark.yml", **fault.settings, **settings)


FAULTS = {
    "cordoned node": Fault(r"pi-2 is cordoned.*Next: kubectl uncordon pi-2", cause=cordoned),
    "tainted node": Fault(r"pi-3 .*dedicated=camera:NoSchedule.*Next: ", cause=tainted),
    "wrong architecture": Fault(r"pi-1 .*arm64.*amd64.*Next: ", {"benchmark_architecture": "amd64"}),
    "unknown image": Fault(
        r"pod \d on pi-\d.*ErrImagePull.*no\.such/image.*Next: ", {"benchmark_image": "no.such/image:1"}
    ),
    "pod runs past the deadline": Fault(
        r"not finished after 3 s: pod \d on pi-\d running.*Next: ",
        {"benchmark_timeout_seconds": 3, "benchmark_samples_per_pod": 10**9},
    ),
    "no pod is allowed": Fault(r"exceeded quota.*Next: ", cause=no_pod_allowed),
    "API server stopped": Fault(r"https://127\.0\.0\.1:\d+.*refused.*Next: ", cause=api_server_stopped),
    "API server hangs": Fault(r"https://127\.0\.0\.1:\d+.*Next: ", cause=api_server_hangs),
    "kubeconfig missing": Fault(r"kubeconfig .*/none .*Next: ", cause=kubeconfig_is_missing),
    "kubeconfig malformed": Fault(r"kubeconfig .*Next: ", cause=kubeconfig_is_malformed),
    "kubeconfig readable by all": Fault(
        r"kubeconfig .*Next: chmod 600 ", cause=kubeconfig_is_readable_by_all
    ),
    "token unknown to the cluster": Fault(r"401.*Next: ", cause=kubeconfig("kubeconfig.wrong-token")),
    "user without rights": Fault(r"403|forbidden", cause=kubeconfig("kubeconfig.readonly")),
    "certificate for another address": Fault(
        r"certificate.*Next: .*", cause=kubeconfig("kubeconfig.wrong-address")
    ),
    "samples zero": Fault(r"samples.*\b0\b.*Next: ", {"benchmark_samples_per_pod": 0}),
    "samples negative": Fault(r"samples.*-1.*Next: ", {"benchmark_samples_per_pod": -1}),
    "samples no number": Fault(
        r"benchmark_samples_per_pod is .abc.*Next: ", {"benchmark_samples_per_pod": "abc"}
    ),
    "run's name of a forbidden form": Fault(
        r"benchmark_run_id is .*\.\./x.*Next: ", {"benchmark_run_id": "../x"}
    ),
    "namespace of a forbidden form": Fault(r"Bad_Name.*Next: ", {"benchmark_namespace": "Bad_Name"}),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_one_line_with_the_next_step(lab: Lab, tmp_path: Path, fault: Fault) -> None:
    outcome = play_with(lab, tmp_path, fault)
    assert outcome.exit_code != 0
    assert "Traceback" not in outcome.output
    errors = [line for line in outcome.output.splitlines() if "[ERROR]" in line]
    assert any(re.search(fault.message, line) for line in errors), outcome.output


def test_what_led_to_a_failed_run_is_on_disk(lab: Lab, tmp_path: Path) -> None:
    outcome = play_with(lab, tmp_path, FAULTS["unknown image"])
    job = json.loads((outcome.run_dir / "job.json").read_text())
    assert job["outcome"] == "failed"
    events = json.loads((outcome.run_dir / "events.json").read_text())
    assert any("no.such/image" in event["message"] for event in events)


def test_the_log_of_a_pod_past_its_deadline_is_on_disk(lab: Lab, tmp_path: Path) -> None:
    outcome = play_with(lab, tmp_path, FAULTS["pod runs past the deadline"])
    assert len(list(outcome.run_dir.glob("logs/*.log"))) == 3


def test_the_next_run_after_a_failed_one_is_well(lab: Lab, tmp_path: Path) -> None:
    play_with(lab, tmp_path, FAULTS["unknown image"])
    assert lab.play("benchmark.yml").exit_code == 0
    phases = [pod["status"]["phase"] for pod in lab.get("pods", "--namespace=pi-speedup")["items"]]
    assert phases == ["Succeeded"] * 3


def test_a_run_is_not_measured_into_anothers_folder(lab: Lab) -> None:
    assert lab.play("benchmark.yml", benchmark_run_id="twice").exit_code == 0
    again = lab.play("benchmark.yml", benchmark_run_id="twice")
    assert again.exit_code != 0
    assert re.search(r"\[ERROR\].*/twice holds a run of this name\. Next: ", again.output)


def test_cleanup_removes_the_namespace_of_ours_when_it_is_empty(lab: Lab) -> None:
    assert lab.play("benchmark.yml").exit_code == 0
    assert lab.play("cleanup.yml").exit_code == 0
    assert "pi-speedup" not in [each["metadata"]["name"] for each in lab.get("namespaces")["items"]]
