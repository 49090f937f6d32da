"""After the benchmark: what a person who logs in to the Pis sees there, and what lies on the control host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from testinfra.host import Host

PIS = ["pi-1", "pi-2", "pi-3"]


def test_one_can_log_in_to_each_pi(pi: Host) -> None:
    assert pi.user().name == "pi"
    assert pi.check_output("hostname") in PIS
    with pi.sudo():
        assert pi.process.filter(user="root", comm="sshd")


def test_each_pi_runs_a_kubelet_of_its_own(pi: Host, kubectl: Callable[..., Any]) -> None:
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


def test_no_container_of_ours_is_left(pi: Host) -> None:
    assert pi.check_output("docker ps --all --quiet") == ""


def test_the_servers_kubeconfig_is_still_roots_alone(pi: Host) -> None:
    with pi.sudo():
        kubeconfig = pi.file("/etc/rancher/k3s/k3s.yaml")
        if pi.check_output("hostname") == "pi-1":
            assert (kubeconfig.user, kubeconfig.mode) == ("root", 0o600)
        else:
            assert not kubeconfig.exists


def test_each_pi_ran_one_pod_of_each_job(trials: list[dict[str, Any]]) -> None:
    jobs = [trial for trial in trials if trial["slot"]["cell"] == "together-3"]
    assert jobs
    for trial in jobs:
        assert (trial["outcome"], sorted(worker["pi"] for worker in trial["workers"])) == ("ok", PIS)


def test_the_pi_alone_ran_a_container_of_the_pods_image(trials: list[dict[str, Any]]) -> None:
    workers = [(trial["slot"]["cell"], worker) for trial in trials for worker in trial["workers"]]
    alone = [worker for cell, worker in workers if cell.startswith("alone")]
    pods = [worker for cell, worker in workers if cell.startswith("together")]
    assert {worker["runtime"] for worker in alone} == {"docker"}
    assert {worker["runtime"] for worker in pods} == {"kubernetes"}
    for worker in alone:
        assert all(set(worker["image_ids"]) & set(pod["image_ids"]) for pod in pods)


def test_what_was_measured_is_on_the_control_host(latest_run: Path, trials: list[dict[str, Any]]) -> None:
    assert trials
    assert all(worker["report"] for trial in trials for worker in trial["workers"])
    assert (latest_run / "report.md").is_file()
    assert {path.name for path in latest_run.glob("hosts/*.json")} == {
        f"{pi}.{when}.json" for pi in PIS for when in ("before", "after")
    }


def test_the_runs_folder_is_private(control_host: Host, latest_run: Path) -> None:
    for path in [latest_run.resolve(), *latest_run.resolve().rglob("*")]:
        assert control_host.file(str(path)).mode == (0o700 if path.is_dir() else 0o600), path
