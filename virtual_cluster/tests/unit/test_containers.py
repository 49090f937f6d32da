"""What a container Pi is given, and the parts of its start that need no container."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from virtual_cluster import pki
from virtual_cluster.containers import inventory, pis
from virtual_cluster.containers.image import pi_init

PI_1 = pis.ContainerPi("pi-1", "x-pi-1", "172.18.0.11", 0.5, "10.42.1.0/24", is_server=True)
PI_2 = pis.ContainerPi("pi-2", "x-pi-2", "172.18.0.12", 0.5, "10.42.2.0/24", is_server=False)
COMMANDS = {
    name: ("/kubernetes", name)
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = pis.Files(tmp_path_factory.mktemp("cluster"))
    files.control_plane.mkdir()
    keys = pki.create(
        files.control_plane,
        [pki.Kubelet(pi.name, f"system:node:{pi.name}", "system:nodes", [pi.address]) for pi in (PI_1, PI_2)],
        api_names=[PI_1.address],
    )
    for pi in (PI_1, PI_2):
        files.of_pi(pi).mkdir()
        pis.write(files, pi, PI_1, keys, COMMANDS, Path("/images.tar"), "ssh-ed25519 AAAA")
    return files.path


def services(folder: Path, pi: str) -> list[str]:
    stages = json.loads((folder / pi / "pi.json").read_text())["stages"]
    return [service["name"] for stage in stages for service in stage]


def test_the_server_carries_the_control_plane_and_the_others_do_not(folder: Path) -> None:
    assert {"etcd", "kube-apiserver", "kube-scheduler", "kubelet", "dockerd"} <= set(services(folder, "pi-1"))
    assert "etcd" not in services(folder, "pi-2")
    assert {"sshd", "containerd", "dockerd", "kubelet"} <= set(services(folder, "pi-2"))


def test_the_servers_kubeconfig_is_as_on_k3s(folder: Path) -> None:
    path = Path(json.loads((folder / "pi-1/pi.json").read_text())["kubeconfig"])
    assert yaml.safe_load(path.read_text())["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
    assert json.loads((folder / "pi-2/pi.json").read_text())["kubeconfig"] is None


def test_no_file_with_a_key_is_open_to_others(folder: Path) -> None:
    secret = [
        path
        for path in folder.rglob("*")
        if path.is_file() and ("PRIVATE KEY" in (text := path.read_text()) or "client-key-data" in text)
    ]
    assert len(secret) > 8
    assert {path.stat().st_mode & 0o777 for path in secret} == {0o600}


def test_a_pi_is_given_no_key_of_another(folder: Path) -> None:
    own = (folder / "control-plane/pi-2.key").read_text()
    assert all(own not in path.read_text() for path in (folder / "pi-1").rglob("*") if path.is_file())


def test_the_inventory_is_one_of_pis_reached_by_ssh(folder: Path) -> None:
    text = inventory.render([PI_1, PI_2], "amd64", folder / "id_ed25519", folder / "known_hosts")
    path = folder / "inventory.yml"
    path.write_text(text)
    argv = [sys.executable, "-m", "ansible", "inventory", "-i", str(path), "--list"]
    listed = json.loads(subprocess.check_output(argv, text=True))
    assert listed["pis"]["hosts"] == ["pi-1", "pi-2"]
    assert listed["server"]["hosts"] == listed["base"]["hosts"] == ["pi-1"]
    pi = listed["_meta"]["hostvars"]["pi-2"]
    assert (pi["ansible_host"], pi["ansible_user"]) == ("172.18.0.12", "pi")
    assert "StrictHostKeyChecking" not in pi["ansible_ssh_common_args"]
    assert inventory.addresses(text) == {"pi-1": "172.18.0.11", "pi-2": "172.18.0.12"}


@pytest.mark.parametrize("name", ["plain", "a b", "a b'c ü", "100%h"])
def test_ssh_finds_the_host_keys_wherever_the_cluster_lies(tmp_path: Path, name: str) -> None:
    known_hosts = tmp_path / name / "known_hosts"
    text = inventory.render([PI_1], "amd64", tmp_path / "key", known_hosts)
    words = yaml.safe_load(text)["all"]["children"]["pis"]["vars"]["ansible_ssh_common_args"]
    told = subprocess.check_output(["ssh", "-G", *shlex.split(words), "pi-1"], text=True).splitlines()
    (read,) = [line for line in told if line.startswith("userknownhostsfile ")]
    # As ssh would write it into its own configuration: with %% for a %, and without quotes.
    assert read.partition(" ")[2].replace("%%", "%") == str(known_hosts)


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("4:memory:/docker/ab\n1:name=systemd:/docker/ab\n0::/docker/ab\n", {"memory", "name=systemd", ""}),
        ("0::/system.slice/docker-ab.scope\n", {""}),
    ],
    ids=["version 1", "version 2"],
)
def test_the_containers_own_cgroups_are_found(text: str, groups: set[str]) -> None:
    assert set(pi_init.own_cgroups(text)) == groups


def test_on_version_2_daemons_move_to_a_leaf_and_the_budget_is_on_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = tmp_path / "docker/ab"
    parent.mkdir(parents=True)
    (parent / "cgroup.procs").write_text("1\n7\n")
    (parent / "cgroup.controllers").write_text("cpu memory pids\n")
    monkeypatch.setattr(pi_init, "_CGROUPS", tmp_path)
    assert pi_init.make_cgroups({"": "/docker/ab"}, 0.5) == "/docker/ab/work"
    assert (parent / "work/cpu.max").read_text() == "50000 100000"
    assert (parent / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (parent / "daemons/cgroup.procs").read_text() == "7"  # the kernel takes one at a time
