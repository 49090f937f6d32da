"""Containers brought up and ended in every way: one line for what cannot be, and nothing of them stays."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from virtual_cluster.tests.rig import ContainerRig, await_that, docker

NO_DAEMON = {"DOCKER_HOST": "unix:///nonexistent"}


@pytest.fixture
def single(tmp_path: Path) -> Iterator[ContainerRig]:
    """A cluster of one Pi, not up yet, in a folder whose path is hard for shells, ssh and YAML."""
    single = ContainerRig(tmp_path / "a b'c 100% ü" / "single")
    yield single
    single.attempt("down")


def up(single: ContainerRig) -> subprocess.CompletedProcess[str]:
    return single.attempt("up", "--pis", "1")


@dataclass(frozen=True)
class Traces:
    """What Docker and the kernel know of one container and what was made for it."""

    container_id: str
    networks: list[str]
    volumes: list[str]


def containers(cluster: ContainerRig) -> list[str]:
    return docker("ps", "--all", "--quiet", "--no-trunc", f"--filter=name={cluster.container('')}").split()


def traces(cluster: ContainerRig) -> Traces:
    """Return the traces of the only container there is."""
    (container_id,) = containers(cluster)
    networks = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}"
    volumes = "{{range .Mounts}}{{.Name}} {{end}}"
    return Traces(
        container_id,
        docker("inspect", f"--format={networks}", container_id).split(),
        docker("inspect", f"--format={volumes}", container_id).split(),
    )


def processes_in(container_id: str) -> list[str]:
    """Return the processes that the kernel counts to a container, or to a pod in it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if container_id in (entry / "cgroup").read_text():
                found.append(entry.name)
        except OSError:
            continue
    return found


def cgroups_of(container_id: str) -> list[Path]:
    return list(Path("/sys/fs/cgroup").rglob(f"*{container_id}*"))


def assert_nothing_left(cluster: ContainerRig, left: Traces) -> None:
    assert containers(cluster) == []
    assert not cluster.folder.exists()
    assert not set(left.networks) & set(docker("network", "ls", "--format={{.Name}}").split())
    assert not set(left.volumes) & set(docker("volume", "ls", "--quiet").split())
    assert cgroups_of(left.container_id) == []
    assert processes_in(left.container_id) == []


def error(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line with which a command failed; what it tells before is its progress."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    return line


def test_a_second_up_is_refused_and_changes_nothing(cluster: ContainerRig) -> None:
    before = containers(cluster)
    again = cluster.attempt("up")
    assert f"the cluster of {cluster.folder} runs already. Next: " in error(again)
    assert containers(cluster) == before
    assert cluster.attempt("status").returncode == 0


def test_ansible_can_log_in(single: ContainerRig) -> None:
    assert up(single).returncode == 0
    argv = [sys.executable, "-m", "ansible", "adhoc", "-i", str(single.folder / "inventory.yml"), "pis"]
    done = subprocess.run(
        [*argv, "--module-name=ansible.builtin.raw", "--args=echo $(whoami) on $(hostname)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "pi on pi-1" in done.stdout, done.stdout + done.stderr


def test_down_leaves_nothing_and_a_second_one_says_so(single: ContainerRig) -> None:
    assert up(single).returncode == 0
    there = traces(single)
    assert there.networks and cgroups_of(there.container_id) and processes_in(there.container_id)
    assert single.attempt("down").stdout == f"Removed the Pis of {single.folder}\n"
    assert_nothing_left(single, there)
    again = single.attempt("down")
    assert (again.returncode, again.stdout) == (0, f"No Pis of {single.folder}\n")


def test_down_clears_up_after_an_up_that_was_killed(single: ContainerRig) -> None:
    with subprocess.Popen(single.command("up", "--pis", "1"), stderr=subprocess.DEVNULL) as process:
        await_that(lambda: containers(single), "the first container is there")
        process.kill()
    there = traces(single)
    assert single.attempt("down").stdout == f"Removed the Pis of {single.folder}\n"
    assert_nothing_left(single, there)


def test_a_containers_name_that_is_taken_is_named_and_left_alone(
    single: ContainerRig, cluster: ContainerRig
) -> None:
    name = single.container("pi-1")
    image = docker("inspect", "--format={{.Config.Image}}", cluster.container("pi-1")).strip()
    others = docker("create", f"--name={name}", image).strip()
    try:
        assert f"there is a container {name} already. Next: " in error(up(single))
        assert containers(single) == [others]
        assert not single.folder.exists()
    finally:
        docker("rm", "--force", others)


def test_a_folder_of_others_is_refused_and_left_alone(single: ContainerRig) -> None:
    single.folder.mkdir(parents=True)
    (single.folder / "thesis.txt").write_text("mine")
    assert f"{single.folder} holds something that is not ours. Next: " in error(up(single))
    assert single.attempt("down").stdout == f"No Pis of {single.folder}\n"
    assert (single.folder / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("command", ["up", "status", "down"])
def test_without_a_daemon_one_line_says_so(single: ContainerRig, command: str) -> None:
    done = single.attempt(command, environment=NO_DAEMON)
    assert "no Docker daemon answers: " in error(done)
    assert "Next: " in done.stderr
    assert not single.folder.exists()
