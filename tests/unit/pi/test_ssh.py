"""ssh's and sudo's own words become one line with the next step."""

from __future__ import annotations

import re

import pytest

from pi_speedup.pi.ssh import connection_error, module_problem, other_problem, python_problem, sudo_problem
from pi_speedup.remote import Remote

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
    "key open to others": (
        "Failed to connect to the host via ssh: Permissions 0644 for '/home/a/.ssh/pi_key' are too open.\r\n"
        'This private key will be ignored.\r\nLoad key "/home/a/.ssh/pi_key": bad permissions\r\n'
        "pi@192.168.1.102: Permission denied (publickey).",
        r"does not use the key /home/a/\.ssh/pi_key: .*\[PS-206\]\. Next: chmod 600 /home/a/\.ssh/pi_key$",
    ),
    "key not there": (
        "no such identity: /home/a/.ssh/pi_key: No such file or directory\r\n"
        "pi@192.168.1.102: Permission denied (publickey).",
        r"finds no key /home/a/\.ssh/pi_key on this machine \[PS-206\]\. Next: correct ansible_ssh_private",
    ),
    "key with a passphrase": (
        'Load key "/home/a/.ssh/pi_key": incorrect passphrase supplied to decrypt private key\r\n'
        "pi@192.168.1.102: Permission denied (publickey).",
        r"cannot open the key /home/a/\.ssh/pi_key .*\[PS-206\]\. Next: ssh-add /home/a/\.ssh/pi_key",
    ),
    "a path too long for a socket": (
        'unix_listener: path "/home/a-very-long-name/.ansible/cp/0123456789.abcdefgh" too long for Unix '
        "Unix domain socket",
        r"cannot keep its connection in /home/\S+ on this machine \[PS-206\]\. Next: export ANSIBLE_SSH",
    ),
    "agent refuses": (
        'sign_and_send_pubkey: signing failed for ED25519 "ann" from agent: agent refused operation\r\n'
        "pi@192.168.1.102: Permission denied (publickey).",
        r"agent of this machine does not sign .*\[PS-206\]\. Next: ssh-add -l",
    ),
    "too many keys": (
        "Received disconnect from 192.168.1.102 port 22:2: Too many authentication failures\r\n"
        "Disconnected from 192.168.1.102 port 22",
        r"more keys than it takes .*\[PS-206\]\. Next: name the right key .*IdentitiesOnly=yes",
    ),
    "ssh's settings open to others": (
        "Bad owner or permissions on /home/a/.ssh/config",
        r"does not use /home/a/\.ssh/config: .*\[PS-206\]\. Next: chmod 600 /home/a/\.ssh/config",
    ),
    "ssh's settings wrong": (
        "/home/a/.ssh/config: line 3: Bad configuration option: porxyjump\r\n"
        "/home/a/.ssh/config: terminating, 1 bad configuration options",
        r"does not understand its settings in /home/a/\.ssh/config \[PS-206\]\. Next: correct ",
    ),
    "ssh's settings of this machine": (
        "Bad owner or permissions on /etc/ssh/ssh_config.d/20-systemd-ssh-proxy.conf",
        r"proxy\.conf: it must be root's, .*\[PS-206\]\. Next: ls -l /etc/ssh/.*sudo chown root: ",
    ),
    "a key in a device that is away": (
        'sign_and_send_pubkey: signing failed for ED25519-SK "/home/a/.ssh/id_sk": device not found\r\n'
        "pi@192.168.1.102: Permission denied (publickey).",
        r"cannot sign with its key \(signing failed for ED25519-SK .*not found\) \[PS-206\]\. Next: ssh pi@",
    ),
    "a jump host's key is another": (
        f"{BANNER}Host key for [bastion]:2200 has changed and you have requested strict checking.\r\n"
        "Host key verification failed.\r\nConnection closed by UNKNOWN port 65535",
        r"^pi-2: \[bastion\]:2200 shows another ssh host key .*ssh-keygen -R '\[bastion\]:2200', then ssh",
    ),
    "a jump host's key is not known": (
        "No ED25519 host key is known for bastion and you have requested strict checking.\r\n"
        "Host key verification failed.",
        r"^pi-2: the ssh host key of bastion is not known here \[PS-202\]",
    ),
    "a host key that is revoked": (
        "@       WARNING: REVOKED HOST KEY DETECTED!               @\r\nHost key verification failed.",
        r"marked as revoked here \[PS-203\]\. Next: grep -n @revoked",
    ),
    "Raspberry Pi OS without a user": (
        "Please note that SSH may not work until a valid user has been set up.\r\n\r\n"
        "See http://rptl.io/newuser for details.\r\npi@192.168.1.102: Permission denied (publickey).",
        r"lets nobody in at 192\.168\.1\.102: .*no user yet \[PS-204\]\. Next: make one .*ssh-copy-id pi@",
    ),
    "still starting": (
        '"System is booting up. Unprivileged users are not permitted to log in yet."\r\n'
        "Connection closed by 192.168.1.102 port 22",
        r"\(\"System is booting up\. .*; Connection closed by 192\.168\.1\.102 port 22\) \[PS-201\]",
    ),
    "a jump's program is missing": (
        "/bin/sh: 1: exec: cloudflared: not found\r\nConnection closed by UNKNOWN port 65535",
        r"\(/bin/sh: 1: exec: cloudflared: not found; Connection closed by UNKNOWN port 65535\) \[PS-201\]",
    ),
    "nothing in common": (
        "Unable to negotiate with 192.168.1.102 port 22: no matching cipher found. Their offer: aes128-cbc",
        r"Their offer: aes128-cbc\) \[PS-201\]\. Next: ssh \S+; perhaps one of the two ssh programs",
    ),
    "sudo asks in a way of its own": (
        "Timeout (12s) waiting for privilege escalation prompt: ",
        r"doesn't ask for the password as Ansible expects it \[PS-211\]\. Next: ssh \S+ sudo --version",
    ),
    "nothing said": ("", r"cannot be reached over ssh \(no reason given\)"),
}


@pytest.mark.fault(
    "private key that others may read",
    "pi-2: ssh does not use the key /home/a/.ssh/pi_key: other users of this machine may read it [PS-206]. "
    "Next: chmod 600 /home/a/.ssh/pi_key",
    kept="nothing begun",
    row="key open to others",
)
@pytest.mark.fault(
    "key with a passphrase, and no agent",
    "pi-2: ssh cannot open the key /home/a/.ssh/pi_key of this machine: it has a passphrase, or is no key "
    "[PS-206]. Next: ssh-add /home/a/.ssh/pi_key, which asks for the passphrase once; then run again",
    kept="nothing begun",
    row="key with a passphrase",
)
@pytest.mark.fault(
    "ssh agent that does not sign",
    "pi-2: the ssh agent of this machine does not sign with its key (agent refused operation) [PS-206]. "
    "Next: "
    "ssh-add -l shows its keys; ssh-add adds yours, or asks for it again",
    kept="nothing begun",
    row="agent refuses",
)
@pytest.mark.fault(
    "ssh login with a password, without sshpass",
    "pi-2: a password for ssh needs the program sshpass on this machine [PS-205]. Next: install it, or "
    "better "
    "ssh-copy-id pi@192.168.1.102 and no password",
    kept="nothing begun",
    row="no sshpass",
)
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
    "still starting",
    "a jump's program is missing",
    "nothing in common",
    "nothing said",
}


@pytest.mark.parametrize("name", UNREACHABLE)
def test_what_passes_by_itself(name: str) -> None:
    passes = connection_error(PI, UNREACHABLE[name][0]).passes_by_itself
    assert passes is (name in PASSES)


@pytest.mark.fault(
    "ssh on another port",
    "pi-2: the ssh host key of host is not known here [PS-202]. Next: ssh -p 2222 host, compare the "
    "fingerprint with …",
    kept="nothing begun",
)
def test_another_port_and_no_user() -> None:
    found = str(connection_error(Remote("pi-2", "host", None, 2222), "Host key verification failed."))
    assert "ssh -p 2222 host" in found and "ssh-keyscan -p 2222 host" in found
    assert "'[host]:2222'" in str(connection_error(Remote("pi-2", "host", None, 2222), BANNER))


@pytest.mark.fault(
    "a jump host that does not let one through",
    "pi-2: cannot be reached over ssh (stdio forwarding failed) [PS-201]. Next: ssh -J bastion "
    "pi@192.168.1.102; perhaps its jump host doesn't let one in, or doesn't reach it",
    kept="nothing begun",
)
def test_behind_a_jump_host_the_jump_host_may_be_the_cause() -> None:
    behind = Remote("pi-2", "192.168.1.102", "pi", 22, ("-J", "bastion"))
    said = "channel 0: open failed: connect failed: No route to host\r\nstdio forwarding failed\r\n"
    found = str(connection_error(behind, said))
    assert found.endswith(
        "Next: ssh -J bastion pi@192.168.1.102; perhaps its jump host doesn't let one in, or doesn't reach it"
    )


SUDO = {
    "Ansible's word": ("Missing sudo password", "-K"),
    "sudo's word": ("sudo: a password is required", "-K"),
    "no terminal": ("sudo: a terminal is required to read the password", "-K"),
    "wrong": ("Incorrect sudo password", "not right"),
    "wrong, sudo's word": ("Sorry, try again.\nsudo: 1 incorrect password attempt", "not right"),
    "may not": ("pi is not in the sudoers file.", "adduser pi sudo"),
    "may not, sudo-rs": ("sudo: I'm sorry pi. I'm afraid I can't do that", "adduser pi sudo"),
    "may not run this": (
        "Sorry, user pi is not allowed to execute '/bin/sh -c x' as root on pi-2.",
        "(Sorry, user pi is not allowed",
    ),
    "may not at all": (
        "pi is not allowed to run sudo on pi-2.  This incident will be reported.",
        "adduser pi sudo",
    ),
    "sudo-rs asks": ("sudo: interactive authentication is required", "-K"),
    "sudo-rs, wrong": (
        "[sudo: authenticate] Password: \nsudo: Authentication failed, try again.",
        "not right",
    ),
    "sudo-rs, wrong thrice": ("sudo: 3 incorrect authentication attempts", "not right"),
    "a terminal is wanted": ("sudo: sorry, you must have a tty to run sudo", "Defaults:pi !requiretty"),
    "its rules are broken": (
        "/etc/sudoers.d/pi:1:14: syntax error\npi ALL=(ALL NOPASSWD: ALL\n",
        "sudo refuses there (/etc/sudoers.d/pi:1:14: syntax error)",
    ),
    "no rules at all": (
        "sudo: no valid sudoers sources found, quitting",
        "sudo refuses there (sudo: no valid",
    ),
    "not setuid": (
        "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set",
        "Next: ssh -t pi@192.168.1.102 sudo -v, which shows what it wants",
    ),
    "Traditional Chinese": ("sudo: 需要密碼", "if that is a password, add -K"),
    "German": ("sudo: Ein Passwort ist notwendig", "if that is a password, add -K"),
    "no askpass": ("sudo: no askpass program specified, try setting SUDO_ASKPASS", "-K"),
    "a warning beside": (
        "sudo: unable to resolve host pi-2: Name or service not known\nsudo: a password is required",
        "-K",
    ),
    "French": ("sudo: il est nécessaire de saisir un mot de passe", "if that is a password, add -K"),
    "Japanese": ("sudo: パスワードが必要です", "if that is a password, add -K"),
    "Polish, may not": ("pi nie jest w pliku sudoers.", "sudo refuses there (pi nie jest w pliku sudoers)"),
    "its lecture before": (
        "We trust you have received the usual lecture from the local System\nAdministrator.\n"
        "sudo: a terminal is required to read the password",
        "sudo wants a password",
    ),
    "locked account": (
        "sudo: account validation failure, is your account locked?",
        "sudo refuses there (sudo: account validation failure",
    ),
    "no new privileges": (
        'sudo: The "no new privileges" flag is set, which prevents sudo from running as root.',
        'sudo refuses there (sudo: The "no new privileges" flag is set',
    ),
    "doas": (
        "doas: Operation not permitted",
        "doas refuses there (doas: Operation not permitted) [PS-213]. Next: ssh -t pi@192.168.1.102 doas id",
    ),
    "doas asks": ("doas: Authorization required", "doas wants a password [PS-211]. Next: add -K"),
    "doas, no terminal": ("doas: a tty is required", "doas wants a password"),
    "doas, wrong": ("doas: Authentication failed", "the password for doas is not right"),
    "su, wrong": (
        "Password: \nsu: Authentication failure",
        "su is not right [PS-212]. Next: run again and type root's",
    ),
    "su, no terminal": ("su: must be run from a terminal", "su wants a password"),
    "su, another word": ("su: user root does not exist", "Next: ssh -t pi@192.168.1.102 su -c id root"),
    "run0": ("Failed to start transient service unit: Interactive authentication required.", "-K"),
    "no sudo": ("/bin/sh: 1: sudo: not found", "sudo is not there"),
    "no sudo, mksh": ("/bin/sh: sudo: inaccessible or not found", "sudo is not there"),
    "no sudo, fish": ("fish: Unknown command: sudo", "sudo is not there"),
    "no sudo, zsh": ("zsh:1: command not found: sudo", "sudo is not there"),
}


@pytest.mark.fault(
    "sudo wants a password",
    "pi-2: sudo wants a password [PS-211]. Next: add -K (--ask-become-pass) to the "
    "command, or let pi use sudo there without one",
    kept="nothing begun",
    row="Ansible's word",
)
@pytest.mark.fault(
    "sudo-rs wants a password",
    "pi-2: sudo wants a password [PS-211]. Next: add -K (--ask-become-pass) to the command, or let pi "
    "use sudo "
    "there without one",
    kept="nothing begun",
    row="sudo-rs asks",
)
@pytest.mark.parametrize(("said", "words"), SUDO.values(), ids=SUDO)
def test_sudo_is_one_line(said: str, words: str) -> None:
    found = str(sudo_problem(PI, said))
    assert found.startswith("pi-2: ")
    assert words in found and ". Next: " in found and found.isprintable()
    assert str(other_problem(PI, said)) == found


def test_what_is_not_about_sudo() -> None:
    assert sudo_problem(PI, "sudo: unable to resolve host pi-2: Name or service not known") is None
    assert sudo_problem(PI, "cat: /etc/x: Input/output error") is None
    found = str(other_problem(PI, "cat: /etc/x: Input/output error"))
    assert found.startswith(
        "pi-2: Ansible cannot work there (cat: /etc/x: Input/output error) [PS-216]. Next: ssh pi@"
    )


NOT_SUDO = {
    "a greeting that names it": 'For root, use "sudo <command>".\ncat: /etc/x: Input/output error',
    "a password that has run out": "Password change required but no TTY available.",
    "an account without a login": "This account is currently not available.",
    "a shell that may not": "rbash: /bin/sh: restricted: cannot specify `/' in command names",
    "no memory": "bash: fork: Cannot allocate memory",
}


@pytest.mark.parametrize("said", NOT_SUDO.values(), ids=NOT_SUDO)
def test_the_last_line_is_told_of_what_nobody_knows(said: str) -> None:
    assert sudo_problem(PI, said) is None
    last = said.splitlines()[-1].rstrip(".")
    assert f"pi-2: Ansible cannot work there ({last}) [PS-216]. Next: ssh pi@" in str(other_problem(PI, said))


def test_no_python() -> None:
    assert re.search(
        r"pi-2: .*not found.*Next: set ansible_python_interpreter", str(python_problem("pi-2", "not found"))
    )


TRACEBACK = 'Traceback (most recent call last):\n  File "<stdin>", line 266, in <module>\n'
NO_FOLDER = f"{TRACEBACK}FileNotFoundError: [Errno 2] No usable temporary directory found in ['/tmp']"
MODULE = {
    "read-only disk": (
        NO_FOLDER,
        "mktemp: failed to create file via template '/tmp/tmp.XXXXXXXXXX': Read-only file system",
        r"^pi-2: no file can be written there: Read-only file system \[PS-225\]\. Next: ssh \S+ sudo dmesg",
    ),
    "full disk": (
        NO_FOLDER,
        "sh: echo: write error: No space left on device",
        r"^pi-2: no file can be written there \(.*No space left on device\) \[PS-607\]\. Next: ssh \S+ df -h",
    ),
    "no folder, and no more is known": (
        NO_FOLDER,
        "",
        r"\(FileNotFoundError: .*No usable temporary.*\[PS-607\]",
    ),
    "the module's own": (
        f"{TRACEBACK}ModuleNotFoundError: No module named 'json'",
        "",
        r"broke off there \(ModuleNotFoundError: No module named 'json'\) \[PS-216\]\. Next: ssh ",
    ),
    "a chain of tracebacks": (
        f"{TRACEBACK}KeyError: 'x'\n\nDuring handling of the above exception, another exception occurred:\n\n"
        f"{TRACEBACK}PermissionError: [Errno 13] Permission denied: '/home/pi/.ansible'",
        "",
        r"broke off there \(PermissionError: \[Errno 13\] Permission denied: '/home/pi/\.ansible'\)",
    ),
    "a traceback, then ssh's own words": (
        f"{TRACEBACK}OSError: [Errno 5] Input/output error: '/usr/lib/python3.11/os.py'\n"
        "Shared connection to 192.168.1.102 closed.\r\n",
        "",
        r"broke off there \(OSError: \[Errno 5\] Input/output error: '/usr/lib/python3\.11/os\.py'\)",
    ),
    "a traceback, then a logout's words": (
        f"{TRACEBACK}ImportError: libssl.so.3: cannot open shared object file\nBye, pi!\n",
        "",
        r"broke off there \(ImportError: libssl\.so\.3: cannot open shared object file\)",
    ),
    "a quota": (
        f"{TRACEBACK}OSError: [Errno 122] Disk quota exceeded: '/home/pi/.ansible'",
        "",
        r"no file can be written there \(OSError: .*Disk quota exceeded.*\[PS-607\]",
    ),
    "killed": ("Killed", "", r"broke off there \(Killed\) \[PS-216\]\. Next: ssh \S+ sudo dmesg"),
    "a card that cannot be read": (
        "/bin/sh: 1: /usr/bin/python3: Input/output error",
        "",
        r"broke off there \(/bin/sh: 1: /usr/bin/python3: Input/output error\) \[PS-216\]\. Next: ssh ",
    ),
    "an old Python": (
        "ansible-core requires a minimum of Python version 3.8. Current version: 3.5.3 (default)",
        "",
        r"no working Python there \(ansible-core requires .*\[PS-215\]",
    ),
    "sudo, beside a greeting": (
        "Welcome to pi-2\nsudo: a password is required",
        "",
        r"sudo wants a password \[PS-211\]",
    ),
    "no Python": (
        "/bin/sh: 1: /usr/bin/python-none: not found",
        "",
        r"no working Python there \(/bin/sh: 1: /usr/bin/python-none: not found\) \[PS-215\]",
    ),
}


@pytest.mark.fault(
    "the SD card's file system became read-only",
    "pi-2: no file can be written there: Read-only file system [PS-225]. Next: ssh pi@192.168.1.102 sudo "
    "dmesg, which says why; Linux does so where the SD card fails: save what is on it first",
    kept="nothing begun",
    row="read-only disk",
)
@pytest.mark.parametrize(("said", "wrote", "line"), MODULE.values(), ids=MODULE)
def test_a_module_that_does_not_answer_is_one_line(said: str, wrote: str, line: str) -> None:
    found = str(module_problem(PI, said, wrote))
    assert re.search(line, found), found
    assert found.isprintable()
