"""ssh's and sudo's own words become one line with the next step."""

from __future__ import annotations

import re

import pytest

from pi_speedup.pi.ssh import Remote, connection_error, other_problem, python_problem, sudo_problem

PI = Remote("pi-2", "192.168.1.102", "pi", 22)
BANNER = (
    "@@@@@@@@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\nIT IS POSSIBLE THAT\r\n"
)

UNREACHABLE = {
    "no route": (
        "Failed to connect to the host via ssh: ssh: connect to host 192.168.1.102 port 22: No route to host",
        r"^pi-2: cannot be reached over ssh \(No route to host\) \[PS-201\]\. Next: ssh pi@192\.168\.1\.102",
    ),
    "refused": (
        'Data could not be sent to remote host "192.168.1.102". Make sure this host can be reached over ssh: '
        "ssh: connect to host 192.168.1.102 port 22: Connection refused\r\n",
        r"over ssh \(Connection refused\)",
    ),
    "broken under way": (
        'Data could not be sent to remote host "192.168.1.102". Make sure this host can be reached over '
        "ssh: ",
        r"over ssh \(the connection broke\)",
    ),
    "broken under way, with a word": (
        'Data could not be sent to remote host "192.168.1.102". Make sure this host can be reached over '
        "ssh: Shared connection to 192.168.1.102 closed.\r\n",
        r"over ssh \(Shared connection to 192\.168\.1\.102 closed\)",
    ),
    "ended while Ansible wrote to it": (
        "Data could not be sent to remote host '192.168.1.102'. Make sure this host can be reached over SSH: "
        "[Errno 32] Broken pipe",
        r"^pi-2: cannot be reached over ssh \(the connection broke\) \[PS-201\]\. Next: ssh pi@192\.168\.",
    ),
    "ended, and no more is said": (
        "Data could not be sent to remote host '192.168.1.102'. Make sure this host can be reached over SSH.",
        r"over ssh \(the connection broke\)",
    ),
    "no such name": (
        "Failed to connect to the host via ssh: ssh: Could not resolve hostname pi-2: "
        "Name or service not known",
        r"\(Could not resolve hostname pi-2: Name or service not known\)",
    ),
    "timed out": (
        "Failed to connect to the host via ssh: Connection timed out during banner exchange",
        r"\(Connection timed out during banner exchange\)",
    ),
    "unknown host key": (
        "Failed to connect to the host via ssh: Host key verification failed.",
        r"host key of 192\.168\.1\.102 is not known here \[PS-202\]\. Next: .*the fingerprint.*ssh-keyscan",
    ),
    "another host key": (
        f"Failed to connect to the host via ssh: {BANNER}Host key verification failed.",
        r"another ssh host key.*ssh-keygen -R '192\.168\.1\.102'",
    ),
    "not let in": (
        "Failed to connect to the host via ssh: pi@192.168.1.102: Permission denied (publickey,password).",
        r"does not let pi in.*\(Permission denied \(publickey,password\)\) \[PS-204\]\. Next: ssh-copy-id pi",
    ),
    "wrong password": (
        "Invalid/incorrect password: pi@192.168.1.102: Permission denied, please try again.",
        r"does not let pi in.*wrong password",
    ),
    "no sshpass": (
        "to use the 'ssh' connection type with passwords or pkcs11_provider, you must install the sshpass "
        "program",
        r"sshpass on this machine \[PS-205\]\. Next: install it",
    ),
    "nothing said": ("", r"cannot be reached over ssh \(no reason given\)"),
}


@pytest.mark.parametrize(("said", "line"), UNREACHABLE.values(), ids=UNREACHABLE)
def test_an_unreachable_pi_is_one_line(said: str, line: str) -> None:
    error = connection_error(PI, said)
    assert re.search(line, str(error))
    assert str(error).startswith("pi-2: ") and ". Next: " in str(error) and str(error).isprintable()


PASSES = {
    "no route",
    "refused",
    "broken under way",
    "broken under way, with a word",
    "ended while Ansible wrote to it",
    "ended, and no more is said",
    "no such name",
    "timed out",
    "nothing said",
}


@pytest.mark.parametrize("name", UNREACHABLE)
def test_what_passes_by_itself(name: str) -> None:
    passes = connection_error(PI, UNREACHABLE[name][0]).passes_by_itself
    assert passes is (name in PASSES)


def test_another_port_and_no_user() -> None:
    found = str(connection_error(Remote("pi-2", "host", None, 2222), "Host key verification failed."))
    assert "ssh -p 2222 host" in found and "ssh-keyscan -p 2222 host" in found
    assert "'[host]:2222'" in str(connection_error(Remote("pi-2", "host", None, 2222), BANNER))


SUDO = {
    "Ansible's word": ("Missing sudo password", "-K"),
    "sudo's word": ("sudo: a password is required", "-K"),
    "no terminal": ("sudo: a terminal is required to read the password", "-K"),
    "wrong": ("Incorrect sudo password", "not right"),
    "wrong, sudo's word": ("Sorry, try again.\nsudo: 1 incorrect password attempt", "not right"),
    "may not": ("pi is not in the sudoers file.", "adduser pi sudo"),
    "no sudo": ("/bin/sh: 1: sudo: not found", "sudo is not there"),
}


@pytest.mark.parametrize(("said", "words"), SUDO.values(), ids=SUDO)
def test_sudo_is_one_line(said: str, words: str) -> None:
    found = str(sudo_problem(PI, said))
    assert found.startswith("pi-2: ")
    assert words in found and ". Next: " in found and found.isprintable()
    assert str(other_problem(PI, said)) == found


def test_what_is_not_about_sudo() -> None:
    assert sudo_problem(PI, "cat: /etc/x: Input/output error") is None
    found = str(other_problem(PI, "cat: /etc/x: Input/output error"))
    assert found.startswith(
        "pi-2: Ansible cannot work there (cat: /etc/x: Input/output error) [PS-216]. Next: ssh pi@"
    )


def test_no_python() -> None:
    assert re.search(
        r"pi-2: .*not found.*Next: set ansible_python_interpreter", str(python_problem("pi-2", "not found"))
    )
