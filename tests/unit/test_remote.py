"""The one place that writes an `ssh` command: each form can be typed as it is printed."""

from __future__ import annotations

import shlex

import pytest

from pi_speedup.remote import Remote, typable

FORMS = {
    "a name alone": ({}, "ssh pi-1"),
    "an address": ({"ansible_host": "192.168.1.101"}, "ssh 192.168.1.101"),
    "a user": ({"ansible_host": "192.168.1.101", "ansible_user": "pi"}, "ssh pi@192.168.1.101"),
    "another port": ({"ansible_host": "host", "ansible_port": 2222}, "ssh -p 2222 host"),
    "the usual port": ({"ansible_host": "host", "ansible_port": 22}, "ssh host"),
    "older names": (
        {"ansible_ssh_host": "host", "ansible_ssh_user": "pi", "ansible_ssh_port": "2222"},
        "ssh -p 2222 pi@host",
    ),
    "IPv6": ({"ansible_host": "fe80::1%eth0", "ansible_user": "pi"}, "ssh pi@fe80::1%eth0"),
    "a key": (
        {"ansible_host": "host", "ansible_ssh_private_key_file": "~/.ssh/my key"},
        "ssh -i '/home/ann/.ssh/my key' host",
    ),
    "a jump host": (
        {"ansible_host": "host", "ansible_ssh_common_args": "-J ann@bastion:2200"},
        "ssh -J ann@bastion:2200 host",
    ),
    "a jump host as a setting": (
        {"ansible_host": "host", "ansible_ssh_common_args": "-o ProxyJump=bastion -o ServerAliveInterval=5"},
        "ssh -o ProxyJump=bastion host",
    ),
    "a command for a jump": (
        {"ansible_host": "host", "ansible_ssh_common_args": '-o ProxyCommand="ssh -W %h:%p -q bastion"'},
        "ssh -o 'ProxyCommand=ssh -W %h:%p -q bastion' host",
    ),
    "IPv6 with a port": (
        {"ansible_host": "2001:db8::5", "ansible_port": 2222, "ansible_user": "pi"},
        "ssh -p 2222 pi@2001:db8::5",
    ),
    "a user with a dot": ({"ansible_host": "host", "ansible_user": "ann.lee"}, "ssh ann.lee@host"),
    "a user of a domain": ({"ansible_host": "host", "ansible_user": "CORP\\ann"}, r"ssh 'CORP\ann@host'"),
    "two jumps": (
        {"ansible_host": "host", "ansible_ssh_common_args": "-J a@b1:22,b2"},
        "ssh -J a@b1:22,b2 host",
    ),
    "a jump host close to its option": (
        {"ansible_host": "host", "ansible_ssh_common_args": "-4A -Jbastion"},
        "ssh -J bastion host",
    ),
    "a jump host as a setting with a blank": (
        {"ansible_host": "host", "ansible_ssh_common_args": "-o 'ProxyJump ann@bastion'"},
        "ssh -o 'ProxyJump ann@bastion' host",
    ),
    "a jump host among all arguments": (
        {"ansible_host": "host", "ansible_ssh_args": "-C -J bastion"},
        "ssh -J bastion host",
    ),
    "in both kinds of arguments": (
        {"ansible_host": "host", "ansible_ssh_common_args": "-J b", "ansible_ssh_extra_args": "-o Port=2200"},
        "ssh -J b -o Port=2200 host",
    ),
    "a file of settings": (
        {"ansible_host": "host", "ansible_ssh_common_args": "-F ./ssh.cfg"},
        "ssh -F ./ssh.cfg host",
    ),
    "a key among the arguments": (
        {"ansible_host": "host", "ansible_ssh_common_args": "-o IdentityFile=/k/x -o IdentitiesOnly=yes"},
        "ssh -o IdentityFile=/k/x -o IdentitiesOnly=yes host",
    ),
    "arguments that cannot be read": ({"ansible_host": "host", "ansible_ssh_extra_args": "-o '"}, "ssh host"),
}


@pytest.mark.parametrize(("variables", "command"), FORMS.values(), ids=FORMS)
def test_the_command_is_what_ssh_would_take(
    variables: dict[str, object], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    remote = Remote.of("pi-1", variables)
    assert remote.ssh == command
    assert shlex.split(remote.ssh_with_terminal)[:2] == ["ssh", "-t"]


def test_a_key_is_copied_the_same_way() -> None:
    remote = Remote.of(
        "pi-1",
        {
            "ansible_host": "host",
            "ansible_user": "pi",
            "ansible_port": 2222,
            "ansible_ssh_common_args": "-J bastion",
        },
    )
    assert remote.copy_id == "ssh-copy-id -o ProxyJump=bastion -p 2222 pi@host"


REMOTES = {
    "pi-1": Remote("pi-1", "192.168.1.101", "pi", 2222),
    "node.example": Remote("node.example", "10.0.0.7", "ubuntu", None, ("-J", "bastion")),
}
LINES = {
    "the whole step": ("ssh pi-1", "ssh -p 2222 pi@192.168.1.101"),
    "with a command": (
        "ssh pi-1 sudo systemctl status k3s",
        "ssh -p 2222 pi@192.168.1.101 sudo systemctl status k3s",
    ),
    "in a sentence": (
        "pi-1: lost. Next: check its power, then ssh pi-1 df -h, or ssh node.example; then run again",
        "pi-1: lost. Next: check its power, then ssh -p 2222 pi@192.168.1.101 df -h, or "
        "ssh -J bastion ubuntu@10.0.0.7; then run again",
    ),
    "another machine": ("ssh pi-9 df -h", "ssh pi-9 df -h"),
    "a longer name": ("ssh pi-11 df -h", "ssh pi-11 df -h"),
    "what is typable already": ("ssh -p 2222 pi@192.168.1.101", "ssh -p 2222 pi@192.168.1.101"),
    "no ssh": ("pi-1 over ssh: pi-1", "pi-1 over ssh: pi-1"),
}


@pytest.mark.parametrize(("line", "shown"), LINES.values(), ids=LINES)
def test_a_line_that_names_a_pi_gets_the_command_that_reaches_it(line: str, shown: str) -> None:
    assert typable(line, REMOTES) == shown
