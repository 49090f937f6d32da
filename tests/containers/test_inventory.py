"""The inventory made from the K3s server alone: real ssh, real sudo, real Docker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.containers.cluster import Cluster
from tests.virtual import PROJECT, playbook_environment

TAINT = "CriticalAddonsOnly"


def made(
    cluster: Cluster, output: Path, address: str, *words: str, user: str = "pi", typed: str = ""
) -> tuple[int, str]:
    """Return exit code and all that the command printed."""
    files = f"-i {cluster.folder}/id_ed25519 -o UserKnownHostsFile={cluster.folder}/known_hosts"
    done = subprocess.run(
        [
            *(
                sys.executable,
                str(PROJECT / "src/pi_speedup"),
                "inventory",
                "--output",
                str(output),
                "--force",
            ),
            *("--server", f"{user}@{address}", "--ssh-args", f"{files} -o IdentitiesOnly=yes", *words),
        ],
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=playbook_environment(),
        cwd="/",
        start_new_session=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.fixture
def tainted(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster whose server takes no pods, and of whose Pis the first may not use Docker."""
    cluster.kubectl("taint", "node", "pi-1", f"{TAINT}=true:NoExecute")
    cluster.on("pi-2", "chmod", "600", "/var/run/docker.sock")
    yield cluster
    cluster.kubectl("taint", "node", "pi-1", f"{TAINT}-")
    cluster.on("pi-2", "chmod", "660", "/var/run/docker.sock")


@pytest.mark.fault(
    "the K3s server takes no pods (a taint): `inventory --server`",
    "survived",
    kept="all, of the other Pis; the server's kubeconfig is fetched from it",
)
def test_a_server_that_takes_no_pods_is_logged_in_to_and_no_pi(tainted: Cluster, tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    address = tainted.addresses()["pi-1"]
    code, said = made(tainted, inventory, address)
    assert code == 0, said
    assert said.splitlines() == [
        f"{inventory}: 2 Pis",
        "  pis     pi-2, pi-3: each takes pods",
        f"  not     pi-1: has the taint {TAINT}=true:NoExecute, which a Job doesn't tolerate",
        "  base    pi-3: it takes pods and has Docker; pi-2: permission denied on docker's socket",
        "  server  pi-1: the first one's kubeconfig is fetched for each run",
        f"Next: look at {inventory}; then make -C {PROJECT} benchmark 'ARGS=-i {inventory}'",
    ]
    found = yaml.safe_load(inventory.read_text())
    assert found["server"]["hosts"] == {"pi-1": {"ansible_host": address}}
    settings = yaml.safe_load((tainted.folder / "inventory.yml").read_text())["all"]["vars"]
    found["all"]["vars"] |= {name: value for name, value in settings.items() if name.startswith("benchmark_")}
    inventory.write_text(yaml.safe_dump(found))
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, "benchmark.yml"),
            *("-e", f"benchmark_runs_dir={tmp_path}/runs benchmark_samples_per_process=1000"),
            *("-e", "benchmark_rounds=1 benchmark_long_rounds=0"),
        ],
        cwd=PROJECT,
        env=playbook_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tainted.clean_up()


@pytest.fixture
def sudo_asks(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster on whose server sudo wants a password."""
    was = cluster.on("pi-1", "cat", "/etc/sudoers.d/pi")
    cluster.on("pi-1", "sh", "-c", "echo 'pi ALL=(ALL) ALL' > /etc/sudoers.d/pi; echo pi:right | chpasswd")
    yield cluster
    cluster.on("pi-1", "sh", "-c", f"echo '{was.strip()}' > /etc/sudoers.d/pi")


PASSWORDS = {
    "none": (None, 2, r"sudo wants a password [PS-211]. Next: add -K"),
    "a wrong one": ("wrong", 2, r"the password for sudo is not right [PS-212]. Next: "),
    "the right one": ("right", 0, "benchmark 'ARGS=-K "),
}


@pytest.mark.parametrize(("password", "code", "words"), PASSWORDS.values(), ids=PASSWORDS)
def test_a_sudo_that_wants_a_password(
    sudo_asks: Cluster, tmp_path: Path, password: str | None, code: int, words: str
) -> None:
    address = sudo_asks.addresses()["pi-1"]
    # Where there is no terminal the password is read from the standard input.
    words_of_it = () if password is None else ("-K",)
    ended, said = made(sudo_asks, tmp_path / "hosts.yml", address, *words_of_it, typed=f"{password}\n")
    assert (ended, words in said) == (code, True), said


REFUSED = {
    "no K3s server there": (
        "pi-2",
        "pi",
        "there is no /etc/rancher/k3s/k3s.yaml, so no K3s server runs there",
    ),
    "another user": ("pi-1", "ann", "ssh does not let ann in at "),
}


@pytest.mark.parametrize(("pi", "user", "words"), REFUSED.values(), ids=REFUSED)
def test_what_stands_in_the_way_is_one_line(
    cluster: Cluster, tmp_path: Path, pi: str, user: str, words: str
) -> None:
    code, said = made(cluster, tmp_path / "hosts.yml", cluster.addresses()[pi], user=user)
    assert code == 2
    assert words in said and said.count("\n") == 1, said
    assert not (tmp_path / "hosts.yml").exists()
