"""After the benchmark: what a person who logs in to the Pis sees there, and what lies on the control host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from testinfra.host import Host

PIS = ["pi-1", "pi-2", "pi-3"]


def report(run: Path):
    return json.loads((run / "report.json").read_text())


def test_one_can_log_in_to_each_pi(pi: Host) -> None:
    assert pi.user().name == "pi"
    assert pi.check_output("hostname") in PIS
    with pi.sudo():
        assert pi.process.filter(user="root", comm="sshd")


def test_each_pi_runs_a_kubelet_of_its_own(pi: Host, kubectl) -> None:
    name = pi.check_output("hostname")
    with pi.sudo():
        kubelets = [
            process for process in pi.process.filter(user="root") if "--hostname-override" in process.args
        ]
    assert [f"--hostname-override={name} " in f"{process.args} " for process in kubelets] == [True]
    conditions = {
        each["type"]: each["status"] for each in kubectl("get", "node", name)["status"]["conditions"]
    }
    assert conditions["Ready"] == "True"


def test_the_pods_and_docker_of_each_pi_have_half_a_core(pi: Host) -> None:
    with pi.sudo():
        groups = dict(line.split(":")[1:] for line in pi.check_output("cat /proc/1/cgroup").splitlines())
        version_1 = next((name for name in groups if "cpu" in name.split(",")), None)
        if version_1:
            folder = f"/sys/fs/cgroup/{version_1}{groups[version_1]}/work"
            quota, period = pi.check_output(
                f"cat {folder}/cpu.cfs_quota_us {folder}/cpu.cfs_period_us"
            ).split()
        else:
            folder = f"/sys/fs/cgroup{groups[''].removesuffix('/daemons')}/work"
            quota, period = pi.check_output(f"cat {folder}/cpu.max").split()
    assert int(quota) / int(period) == 0.5


def test_no_container_of_the_baseline_is_left(pi: Host) -> None:
    assert pi.check_output("docker ps --all --quiet") == ""


def test_the_servers_kubeconfig_is_still_roots_alone(pi: Host) -> None:
    with pi.sudo():
        kubeconfig = pi.file("/etc/rancher/k3s/k3s.yaml")
        if pi.check_output("hostname") == "pi-1":
            assert (kubeconfig.user, kubeconfig.mode) == ("root", 0o600)
        else:
            assert not kubeconfig.exists


def test_each_pi_ran_one_pod_by_the_words_of_the_api(kubectl) -> None:
    pods = kubectl("get", "pods", "--namespace=pi-speedup")["items"]
    assert sorted(pod["spec"]["nodeName"] for pod in pods) == PIS
    assert {pod["status"]["phase"] for pod in pods} == {"Succeeded"}


def test_the_baseline_was_a_container_of_the_pods_image(latest_run: Path) -> None:
    checks = {check["code"]: check["status"] for check in report(latest_run)["checks"]}
    assert checks["baseline_runtime"] == "pass"
    assert checks["image_differs"] == "pass"


@pytest.mark.parametrize("pattern, number", [("results/*.json", 5), ("logs/*.log", 5), ("report.md", 1)])
def test_what_was_measured_is_on_the_control_host(latest_run: Path, pattern: str, number: int) -> None:
    assert len(list(latest_run.glob(pattern))) == number


def test_the_runs_folder_is_private(control_host: Host, latest_run: Path) -> None:
    for path in [latest_run.resolve(), *latest_run.resolve().rglob("*")]:
        assert control_host.file(str(path)).mode == (0o700 if path.is_dir() else 0o600), path
