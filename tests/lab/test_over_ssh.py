"""Pis that are reached over real SSH: the kubeconfig is fetched and stays secret, each Pi is looked at.

One sshd on the loopback stands for all Pis, with this user's account. What differs from real Pis: there is no
root to become, so the kubeconfig is one that this user may read.
"""

from __future__ import annotations

import getpass
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.lab import PROJECT, Lab, Outcome
from tests.virtual import FEW, assert_told, await_that, playbook_environment

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
_numbers = itertools.count()
pytestmark = pytest.mark.skipif(
    SSHD is None and not os.environ.get("CI"), reason="there is no sshd on this machine (openssh-server)"
)


@dataclass(frozen=True)
class Ssh:
    """A running sshd, and the files of those who know it."""

    folder: Path
    port: int

    def inventory(self, lab: Lab, **of_pi_2: object) -> dict[str, Any]:
        """Return the lab's inventory with its Pis behind SSH; `of_pi_2` are variables of that Pi alone."""
        inventory: dict[str, Any] = yaml.safe_load((lab.folder / "inventory.yml").read_text())
        shared = inventory["all"]["vars"]
        for name in ("ansible_connection", "benchmark_kubeconfig", "benchmark_host_checks"):
            del shared[name]
        children = inventory["all"]["children"]
        children["server"] = {"hosts": {"pi-1": {}}}
        children["pis"]["hosts"]["pi-2"] = of_pi_2
        children["pis"]["vars"] = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": getpass.getuser(),
            # No root here; see above.
            "ansible_become": False,
            "ansible_ssh_private_key_file": str(self.folder / "key"),
            "ansible_ssh_common_args": self.known("known_hosts"),
            # A connection of its own for each Pi and test, so that one's trust in a key is no other's.
            "ansible_control_path": f"{self.folder}/{next(_numbers)}-{{{{ inventory_hostname }}}}",
        }
        shared["k3s_kubeconfig_source"] = str(lab.folder / "kubeconfig")
        return inventory

    def known(self, name: str) -> str:
        """Return the arguments that let ssh use this file of known hosts, and no other."""
        known = f"-o UserKnownHostsFile={self.folder / name} -o GlobalKnownHostsFile=/dev/null"
        return f"{known} -o IdentitiesOnly=yes"


@pytest.fixture(scope="module", name="ssh")
def fixture_ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    folder = tmp_path_factory.mktemp("ssh")
    folder.chmod(0o700)
    for name in ("key", "stranger", "greeted", "read_only", "full", "host", "other_host"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(words, check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    for name, key in (("known_hosts", "host"), ("changed", "other_host")):
        public = (folder / f"{key}.pub").read_text()
        (folder / name).write_text(f"[127.0.0.1]:{port} {public}")
    (folder / "unknown").touch()
    forced = {
        # As a login's shell does that says something, and as systemd marks a terminal's context.
        "greeted": r"printf 'Welcome.\n3 updates.\n\033]3008;start=1;type=shell\033\\\\'; "
        r"/bin/sh -c \"$SSH_ORIGINAL_COMMAND\"; rc=$?; printf '\033]3008;end=1\033\\\\Bye\n'; exit $rc",
        "read_only": r"exec unshare -m /bin/sh -c 'mount --make-rprivate /; for each in /tmp /var/tmp ~; do "
        r"mount --bind $each $each && mount -o remount,bind,ro $each; done; mount -o remount,bind,ro /; "
        r"exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"'",
        "full": r"exec unshare -m /bin/sh -c 'mount --make-rprivate /; mkdir -p ~/.ansible; "
        r"for each in /tmp /var/tmp ~/.ansible; do mount -t tmpfs -o size=4k none $each; "
        r"head -c 4096 /dev/zero >$each/full; done; cd /tmp; exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"'",
    }
    (folder / "forced").write_text(
        "".join(f'command="{what}" {(folder / f"{key}.pub").read_text()}' for key, what in forced.items())
    )
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/key.pub {folder}/forced\nStrictModes no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    assert SSHD is not None
    log = folder / "log"
    with log.open("wb") as output:
        daemon = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "config")], stderr=output)
    await_that(lambda: "listening" in log.read_text() or daemon.poll() is not None, "sshd listens")
    yield Ssh(folder, port)
    daemon.terminate()
    daemon.wait()


def play(door: str, inventory: dict[str, Any], folder: Path, *words: str) -> Outcome:
    path = folder / "inventory.yml"
    path.write_text(yaml.safe_dump(inventory))
    settings = {"benchmark_runs_dir": str(folder / "runs"), **FEW}
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(path), door, *words]
    done = subprocess.run(
        [*argv, "-e", json.dumps(settings)],
        cwd=PROJECT,
        env=playbook_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, folder / "runs/latest")


def secrets(kubeconfig: Path) -> list[str]:
    """Return each long text of a kubeconfig."""
    config = yaml.safe_load(kubeconfig.read_text())
    holders = [entry["user"] for entry in config["users"]] + [
        entry["cluster"] for entry in config["clusters"]
    ]
    return [
        text for holder in holders for text in holder.values() if isinstance(text, str) and len(text) > 60
    ]


def shown(secret: str, text: str) -> bool:
    """Return whether any part of a secret is in a text, wrapped lines or not."""
    return any(secret[start : start + 24] in text for start in range(0, len(secret) - 24, 8))


def test_a_run_and_its_cleanup_over_ssh(ssh: Ssh, lab: Lab, tmp_path: Path) -> None:
    done = play("benchmark.yml", ssh.inventory(lab), tmp_path, "-vvvv")
    assert done.exit_code == 0, done.output
    run = done.run_dir

    known = secrets(lab.folder / "kubeconfig")
    assert len(known) >= 2
    assert [secret[:8] for secret in known if shown(secret, done.output)] == []
    for file in run.rglob("*"):
        assert not file.is_file() or not any(shown(secret, file.read_text()) for secret in known), file
    assert list((tmp_path / "runs").glob("*/private")) == []

    report = json.loads((run / "report.json").read_text())
    assert [host["name"] for host in report["hosts"]] == ["pi-1", "pi-2", "pi-3"]
    assert all(
        host["before"]["kernel"] == os.uname().release == host["after"]["kernel"] for host in report["hosts"]
    )
    statuses = {check["code"]: check["status"] for check in report["checks"]}
    assert statuses["clock_offset"] == "pass"

    left = run.resolve() / "private"
    left.mkdir(mode=0o700)
    fetched = left / "kubeconfig"
    fetched.write_text(
        f"# pi-speedup fetched this for {left.parent.name} and removes it when it has served.\n"
    )
    theirs = tmp_path / "runs" / "photos" / "private"
    theirs.mkdir(parents=True)
    (theirs / "diary.txt").write_text("mine")
    done = play("cleanup.yml", ssh.inventory(lab), tmp_path, "-vvvv")
    assert done.exit_code == 0, done.output
    assert [secret[:8] for secret in known if shown(secret, done.output)] == []
    assert f"- {fetched}\n" in done.output
    assert list((tmp_path / "runs").glob("*/private")) == [theirs]
    assert (theirs / "diary.txt").read_text() == "mine"
    # It says what was opened last, and holds no key.
    kept = {path.name for path in (tmp_path / "runs" / ".cleanup-pi-speedup").iterdir()}
    assert kept == {"run.json", "owner.json"}


def test_a_name_is_used_by_the_address_that_the_certificate_is_for(
    ssh: Ssh, lab: Lab, tmp_path: Path
) -> None:
    inventory = ssh.inventory(lab)
    variables = inventory["all"]["children"]["pis"]["vars"]
    # The certificate of a lab's API server has its addresses alone.
    variables["ansible_host"] = "localhost"
    variables["ansible_ssh_common_args"] += f" -o HostKeyAlias=[127.0.0.1]:{ssh.port}"
    done = play("benchmark.yml", inventory, tmp_path)
    assert done.exit_code == 0, done.output


def test_a_kubeconfig_that_is_given_wins(ssh: Ssh, lab: Lab, tmp_path: Path) -> None:
    inventory = ssh.inventory(lab)
    inventory["all"]["vars"]["benchmark_kubeconfig"] = str(lab.folder / "kubeconfig")
    # Nothing could be fetched from there.
    inventory["all"]["vars"]["k3s_kubeconfig_source"] = "/none"
    done = play("benchmark.yml", inventory, tmp_path)
    assert done.exit_code == 0, done.output


def test_what_a_login_says_at_its_begin_and_end_is_no_answer(ssh: Ssh, lab: Lab, tmp_path: Path) -> None:
    inventory = ssh.inventory(lab)
    pis = inventory["all"]["children"]["pis"]
    pis["vars"]["ansible_ssh_private_key_file"] = str(ssh.folder / "greeted")
    done = play("benchmark.yml", inventory, tmp_path)
    assert done.exit_code == 0, done.output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes its disk read-only")
def test_a_read_only_disk_is_told_as_that(ssh: Ssh, lab: Lab, tmp_path: Path) -> None:
    key = str(ssh.folder / "read_only")
    done = play("benchmark.yml", ssh.inventory(lab, ansible_ssh_private_key_file=key), tmp_path)
    assert_told(
        done,
        r"^pi-2: no file can be written there: Read-only file system \[PS-225\]\. Next: ssh .* sudo dmesg",
    )


# Ansible keeps a connection for a minute, by host and user: another key would not be asked for.
OWN_CONNECTION = {"ansible_control_path": "none"}
UNREACHABLE = {
    "nobody listens": (
        {"ansible_port": 9},
        # On a busy machine Ansible may still write to the ssh that is ending, and then says only that.
        r"^pi-2: cannot be reached over ssh \((Connection refused|the connection broke)\) \[PS-201\]\. "
        r"Next: ssh ",
    ),
    "unknown host key": (
        {"known": "unknown"},
        r"^pi-2: the ssh host key of .* is not known here \[PS-202\]\. Next: ",
    ),
    "another host key": (
        {"known": "changed"},
        r"^pi-2: .* shows another ssh host key .*Next: .*ssh-keygen -R",
    ),
    "not let in": (
        {"key": "stranger"},
        r"^pi-2: ssh does not let .* in at .*\(Permission denied \(publickey\)\) \[PS-204\]\. Next: ssh-copy",
    ),
    "full disk": (
        {"key": "full", **OWN_CONNECTION},
        # All that Debian's sh says of a full disk is that it could not write.
        r"^pi-2: no file can be written there \(.*echo: I/O error\) \[PS-607\]\. Next: ssh .* df -h / /tmp$",
    ),
    "no Python": (
        {"ansible_python_interpreter": "/usr/bin/python-none"},
        r"^pi-2: Ansible found no working Python there .*Next: set ansible_python_interpreter for pi-2",
    ),
}


@pytest.mark.fault(
    "ssh: one of three Pis away",
    "pi-2: cannot be reached over ssh (Connection refused) [PS-201]. Next: ssh "
    "pi@192.168.1.102; check its power, its network and ansible_host in the inventory",
    kept="nothing begun",
    row="nobody listens",
)
@pytest.mark.fault(
    "ssh: host key unknown",
    "pi-2: the ssh host key of 192.168.1.102 is not known here [PS-202]. Next: ssh "
    "pi@192.168.1.102, compare the fingerprint with …",
    kept="nothing begun",
    row="unknown host key",
)
@pytest.mark.fault(
    "ssh: another host key",
    "pi-2: 192.168.1.102 shows another ssh host key than the one known here [PS-203]. "
    "Next: if that machine was set up anew, ssh-keygen -R '192.168.1.102', then …",
    kept="nothing begun",
    row="another host key",
)
@pytest.mark.fault(
    "ssh: user not let in",
    "pi-2: ssh does not let pi in at 192.168.1.102 (Permission denied (publickey)) "
    "[PS-204]. Next: ssh-copy-id pi@192.168.1.102, or correct ansible_user in the "
    "inventory",
    kept="nothing begun",
    row="not let in",
)
@pytest.mark.fault(
    "disk of a Pi full when it is looked at",
    "pi-2: no file can be written there (… echo: I/O error) [PS-607]. Next: ssh … df -h / /tmp",
    kept="nothing begun",
    row="full disk",
)
@pytest.mark.fault(
    "no Python on a Pi",
    "pi-2: Ansible found no working Python there (…) [PS-215]. Next: set "
    "ansible_python_interpreter for pi-2 in the inventory",
    kept="nothing begun",
    row="no Python",
)
@pytest.mark.parametrize(("variables", "line"), UNREACHABLE.values(), ids=UNREACHABLE)
def test_a_pi_that_cannot_be_worked_on_stops_the_run(
    ssh: Ssh, lab: Lab, tmp_path: Path, variables: dict[str, Any], line: str
) -> None:
    variables = dict(variables)
    if "known" in variables:
        variables["ansible_ssh_common_args"] = ssh.known(variables.pop("known"))
    if "key" in variables:
        variables["ansible_ssh_private_key_file"] = str(ssh.folder / variables.pop("key"))
    done = play("benchmark.yml", ssh.inventory(lab, **variables), tmp_path)
    assert_told(done, line)
    # The other Pis were looked at all the same, and nothing was planned.
    looks = (tmp_path / "runs").glob("*/hosts/*")
    assert sorted(path.name for path in looks) == ["pi-1.before.json", "pi-3.before.json"]
    assert list((tmp_path / "runs").glob("*/plan.json")) == []


@pytest.mark.fault("disk of the Pi full that works alone, as a process", "survived", kept="all")
def test_a_full_disk_costs_the_pi_that_works_alone_nothing(ssh: Ssh, lab: Lab, tmp_path: Path) -> None:
    inventory = ssh.inventory(lab)
    full = {"ansible_ssh_private_key_file": str(ssh.folder / "full"), **OWN_CONNECTION}
    inventory["all"]["children"]["pis"]["hosts"]["pi-1"] = full
    shared = inventory["all"]["vars"]
    # Neither the kubeconfig is read there, nor is it looked at: it works only.
    shared |= {"benchmark_kubeconfig": str(lab.folder / "kubeconfig"), "benchmark_host_checks": False}
    # The lab's CPU budget is kept by a program in a folder that the full disk hides.
    shared["benchmark_base_command_prefix"] = []
    done = play("benchmark.yml", inventory, tmp_path)
    assert done.exit_code == 0, done.output


@pytest.mark.fault(
    "ssh: one of three Pis away, and two are enough",
    "pi-2: cannot be reached over ssh (Connection refused); measuring without it "
    "(benchmark_min_pis: 2) [PS-201]. Next: ssh pi@…; check its power, its network and "
    "ansible_host in the inventory",
    kept="all, of the two; the report names the third",
    exit_code=0,
)
def test_a_pi_that_is_away_is_left_out_where_two_are_enough(ssh: Ssh, lab: Lab, tmp_path: Path) -> None:
    inventory = ssh.inventory(lab, ansible_port=9)
    inventory["all"]["vars"]["benchmark_min_pis"] = 2
    done = play("benchmark.yml", inventory, tmp_path)
    assert done.exit_code == 0, done.output
    warnings = [line for line in done.output.splitlines() if line.startswith("[WARNING]")]
    assert len(warnings) == 1 and warnings[0].startswith(
        "[WARNING]: pi-2: cannot be reached over ssh (Connection refused); measuring without it "
        "(benchmark_min_pis: 2) [PS-201]. Next: ssh "
    )
    report = json.loads((done.run_dir / "report.json").read_text())
    assert (report["pis"], report["left_out"][0]["pi"]) == (["pi-1", "pi-3"], "pi-2")
    assert [host["name"] for host in report["hosts"] if host["before"] and host["after"]] == ["pi-1", "pi-3"]


@pytest.mark.fault(
    "ssh: the Pi that works alone is away, and two are enough",
    "pi-1: cannot be reached over ssh (Connection refused) [PS-201]. Next: ssh pi@…; "
    "check its power, its network and ansible_host in the inventory; or put another Pi "
    "into the group `base`",
    kept="nothing begun",
)
def test_the_pi_that_works_alone_is_never_left_out(ssh: Ssh, lab: Lab, tmp_path: Path) -> None:
    inventory = ssh.inventory(lab)
    inventory["all"]["vars"]["benchmark_min_pis"] = 2
    inventory["all"]["children"]["pis"]["hosts"]["pi-1"] = {"ansible_port": 9}
    done = play("benchmark.yml", inventory, tmp_path)
    assert_told(
        done, r"^pi-1: cannot be reached over ssh .*Next: .*; or put another Pi into the group `base`$"
    )


SERVER = {
    "no K3s server there": (
        {"k3s_kubeconfig_source": "/none/k3s.yaml"},
        r"^pi-1: there is no /none/k3s\.yaml, so no K3s server runs there \[PS-436\]\. Next: name",
    ),
    "no kubeconfig": (
        {"k3s_kubeconfig_source": "/etc/hostname"},
        r"^pi-1: /etc/hostname is not a valid kubeconfig as K3s writes it \[PS-434\]\. Next: ",
    ),
    "no such address": (
        {"k3s_kubeconfig_server_address": "no-such-pi.invalid"},
        r"^pi-1: this machine cannot resolve no-such-pi\.invalid \[PS-401\]\. Next: ",
    ),
}


@pytest.mark.parametrize(("settings", "line"), SERVER.values(), ids=SERVER)
def test_a_kubeconfig_that_cannot_be_fetched_is_one_line(
    ssh: Ssh, lab: Lab, tmp_path: Path, settings: dict[str, str], line: str
) -> None:
    inventory = ssh.inventory(lab)
    inventory["all"]["vars"] |= {**settings}
    done = play("benchmark.yml", inventory, tmp_path)
    assert_told(done, line)
    assert list((tmp_path / "runs").glob("*/private")) == []


def test_a_cleanup_without_a_kubeconfig_goes_on_and_says_what_is_left(
    ssh: Ssh, lab: Lab, tmp_path: Path
) -> None:
    inventory = ssh.inventory(lab)
    inventory["all"]["vars"]["k3s_kubeconfig_source"] = "/none/k3s.yaml"
    done = play("cleanup.yml", inventory, tmp_path)
    assert_told(
        done,
        r"^pi-1: there is no /none/k3s\.yaml, .* \[PS-436\]\. Next: .*; then run "
        r"\S*ansible-playbook .*cleanup\.yml again, or ",
    )
