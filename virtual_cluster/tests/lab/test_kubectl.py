"""The lab is Kubernetes to those who know it: kubectl, kubernetes.core, and the tutorial's own Job."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from virtual_cluster.tests.rig import LabRig

SEED_JOB = Path(__file__).parent / "seed_job.yml"
READY_PI = re.compile(r"^pi-[123] +Ready .* v1\.34\.4\+k3s1 +127\.\S+ .* containerd://", re.MULTILINE)
LOG = re.compile(r"^Estimated Pi: 3\.14\d*, Time: \d+\.\d\d seconds$", re.MULTILINE)


@pytest.fixture(scope="module", name="pods")
def fixture_pods(lab: LabRig) -> Iterator[list[str]]:
    """The names of the three pods of the tutorial's Job, as it is written there, once it is complete."""
    lab.kubectl("apply", "-f", str(SEED_JOB))
    lab.kubectl("wait", "--for=condition=complete", "--timeout=120s", "job/pi-calculation-job")
    items = lab.get("pods", "--selector=job-name=pi-calculation-job")["items"]
    yield [pod["metadata"]["name"] for pod in items]
    lab.kubectl("delete", "job", "pi-calculation-job", "--wait=true")
    assert lab.get("pods", "--selector=job-name=pi-calculation-job")["items"] == []


def test_get_nodes_shows_three_pis(lab: LabRig) -> None:
    assert len(READY_PI.findall(lab.kubectl("get", "nodes", "--output=wide"))) == 3


def test_the_tutorials_job_completes_and_logs_as_in_the_tutorial(lab: LabRig, pods: list[str]) -> None:
    assert len(pods) == 3
    for pod in pods:
        assert LOG.fullmatch(lab.kubectl("logs", pod).strip())


def test_get_pods_shows_where_each_ran(lab: LabRig, pods: list[str]) -> None:
    shown = lab.kubectl("get", "pods", "--output=wide")
    for pod in pods:
        assert re.search(rf"^{pod} +0/1 +Completed .* pi-[123] ", shown, re.MULTILINE)


def test_describe_tells_the_pods_story(lab: LabRig, pods: list[str]) -> None:
    shown = lab.kubectl("describe", "pod", pods[0])
    for words in ("Reason:       Completed", "Exit Code:    0", "Successfully assigned", "Started container"):
        assert words in shown


def test_logs_follow_a_pod_to_its_end(lab: LabRig) -> None:
    program = "import time\nfor i in range(3):\n  print(i, flush=True); time.sleep(0.3)"
    lab.kubectl(
        "run", "counter", "--image=python:3.9", "--restart=Never", "--command", "--", "python3", "-c", program
    )
    lab.kubectl("wait", "--for=jsonpath={.status.phase}=Running", "--timeout=60s", "pod/counter")
    assert lab.kubectl("logs", "--follow", "counter").split() == ["0", "1", "2"]
    lab.kubectl("delete", "pod", "counter", "--wait=true")
    assert "counter" not in lab.kubectl("get", "pods")


@pytest.mark.parametrize(
    ("words", "answer"),
    [(("create", "jobs"), "yes"), (("create", "jobs", "--as=nobody-known"), "no")],
    ids=["the administrator may", "a stranger may not"],
)
def test_auth_can_i(lab: LabRig, words: tuple[str, ...], answer: str) -> None:
    assert lab.attempt("kubectl", "--", "auth", "can-i", *words).stdout.strip() == answer


def test_kubernetes_core_reads_a_pods_log(lab: LabRig, pods: list[str], tmp_path: Path) -> None:
    playbook = tmp_path / "log.yml"
    playbook.write_text(
        "- hosts: localhost\n"
        "  gather_facts: false\n"
        "  tasks:\n"
        "    - kubernetes.core.k8s_log:\n"
        f"        kubeconfig: {lab.folder}/kubeconfig\n"
        "        namespace: default\n"
        f"        name: {pods[0]}\n"
        "      register: read\n"
        "    - debug:\n"
        "        msg: 'LOG {{ read.log }}'\n"
    )
    argv = [sys.executable, "-m", "ansible", "playbook", "-i", str(lab.folder / "inventory.yml")]
    done = subprocess.run([*argv, str(playbook)], capture_output=True, text=True, check=False)
    assert "LOG Estimated Pi: 3.14" in done.stdout, done.stdout + done.stderr
