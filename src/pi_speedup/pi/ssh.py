"""What ssh and sudo say when there is no working on a Pi, each as a problem with its next step."""

from __future__ import annotations

import re

from pi_speedup.codes import Code
from pi_speedup.problem import Problem, ProblemError
from pi_speedup.remote import Remote
from pi_speedup.text import one_line, tells_full_disk

# Ansible's and Python's words where no folder takes a file.
_NO_FOLDER = re.compile(r"No usable temporary directory|Failed to create temporary directory", re.IGNORECASE)
# How sudo, and what stands in for it, begin their own lines.
_BY_SUDO = re.compile(r"^(?:sudo|sudo-rs|sudo\.ws|doas|su): .+", re.MULTILINE)
# Whose host key it is about: of a port `[host]:port`, of an alias the alias.
_HOST_KEY_OF = re.compile(
    r"Host key for (?P<changed>\S+) has changed|host key is known for (?P<unknown>\S+) and you have requested"
)
# An end of a connection, which says nothing of its cause.
_MERE_END = re.compile(r"(?:Shared )?Connection .*(?:closed|reset)|Disconnected from ", re.IGNORECASE)
# What stands in for sudo, and a command that tries it.
_TRIALS = {"doas": "doas id", "su": "su -c id root"}
# Warnings of a sudo that does its work all the same.
_SUDO_WARNS = re.compile(
    r"^sudo: (?:unable to resolve host|unable to send audit|unable to stat|.*: unable to set).*$",
    re.MULTILINE,
)


# ssh's words about files of this machine, what they mean, and what to do; the first row that matches wins.
_HERE = (
    (
        r"Permissions \d+ for ['\"](?P<file>[^'\"\r\n]+)['\"] are too open"
        r"|Load key \"(?P<key>[^\"]+)\": bad permissions",
        "ssh does not use the key {file}: other users of this machine may read it",
        "chmod 600 {file}",
    ),
    (
        r"no such identity: (?P<file>[^\r\n]+?): (?:No such file|Permission denied)",
        "ssh finds no key {file} on this machine",
        "correct ansible_ssh_private_key_file in the inventory, or make one: ssh-keygen -t ed25519 -f "
        "{file}, then {copy_id}",
    ),
    (
        r"Load key \"(?P<file>[^\"]+)\": (?:incorrect passphrase|error in libcrypto|invalid format)",
        "ssh cannot open the key {file} of this machine: it has a passphrase, or is no key",
        "ssh-add {file}, which asks for the passphrase once; then run again",
    ),
    (
        r"Too many authentication failures",
        "ssh offers it more keys than it takes (Too many authentication failures)",
        "name the right key for {pi} in the inventory: ansible_ssh_private_key_file, and "
        "ansible_ssh_common_args: -o IdentitiesOnly=yes",
    ),
    (
        r"Bad owner or permissions on (?P<file>/etc/[^\r\n]+)",
        "ssh on this machine does not use {file}: it must be root's, and not writable for others",
        "ls -l {file}; then sudo chown root: {file} && sudo chmod 644 {file}",
    ),
    (
        r"Bad owner or permissions on (?P<file>[^\r\n]+)",
        "ssh on this machine does not use {file}: it must be yours, and not writable for others",
        "chmod 600 {file}, and if it belongs to another user: sudo chown $USER {file}",
    ),
    (
        r"(?P<file>\S+)(?:: line \d+|: Bad conf|: terminating, \d+ bad conf)[^\r\n]*configuration option",
        "ssh on this machine does not understand its settings in {file}",
        "correct {file}; {ssh} shows whether it is well",
    ),
    (
        r"unix_listener: (?:path \"(?P<file>[^\"]+)\" too long|cannot bind to path (?P<key>[^\r\n:]+))",
        "ssh cannot keep its connection in {file} on this machine",
        "export ANSIBLE_SSH_CONTROL_PATH_DIR=/tmp/ansible-$USER, a short path of your own; then run again",
    ),
    (
        r"agent refused operation",
        "the ssh agent of this machine does not sign with its key (agent refused operation)",
        "ssh-add -l shows its keys; ssh-add adds yours, or asks for it again",
    ),
    (
        r"sign_and_send_pubkey: (?P<file>signing failed for [^\r\n]+)",
        "ssh on this machine cannot sign with its key ({file})",
        "{ssh}, which shows what it wants: the device that holds the key, a touch, a passphrase",
    ),
)


def broken_by(error: Exception, remote: Remote) -> ProblemError | None:
    """Return what one of Ansible's errors means; None for an error of anybody else.

    Ansible's classes are told by their names: this package does not import Ansible.
    """
    names = {each.__name__ for each in type(error).__mro__}
    if "AnsibleConnectionFailure" in names:
        return connection_error(remote, str(error))
    return ProblemError(other_problem(remote, str(error))) if "AnsibleError" in names else None


def connection_error(remote: Remote, said: str) -> ProblemError:
    """Return the error of a Pi that cannot be reached; `said` is Ansible's and ssh's text.

    It passes by itself, unless it is about keys, users or passwords.
    """
    refused = _refusal(remote, said)
    if refused is not None:
        return ProblemError(refused)
    reason = _reason(said)
    return ProblemError(
        Problem(
            code=Code.SSH_UNREACHABLE,
            subject=remote.pi,
            what=f"cannot be reached over ssh ({reason})",
            next_step=_when_unreachable(remote, reason),
        ),
        passes_by_itself=True,
    )


def _when_unreachable(remote: Remote, reason: str) -> str:
    """Return what to do: the likeliest cause first."""
    if "resolve hostname" in reason.lower():
        return f"set ansible_host for {remote.pi} in the inventory to its address; then {remote.ssh}"
    if "connection refused" in reason.lower():
        return (
            f"{remote.ssh}; perhaps it still starts, has no ssh server, or one on another port (ansible_port)"
        )
    if "negotiate" in reason.lower():
        return f"{remote.ssh}; perhaps one of the two ssh programs is too old for the other: update it"
    if remote.jumps and _says(reason, r"forwarding failed|port 65535|connection closed|banner"):
        return f"{remote.ssh}; perhaps its jump host doesn't let one in, or doesn't reach it"
    return f"{remote.ssh}; check its power, its network and ansible_host in the inventory"


def _refusal(remote: Remote, said: str) -> Problem | None:
    copy_id = remote.copy_id
    # A jump host's key may be the cause, or that of an alias: ssh says whose.
    named = _HOST_KEY_OF.search(said)
    whose = one_line(named["changed"] or named["unknown"], 100) if named else ""
    if "REVOKED HOST KEY" in said:
        return Problem(
            code=Code.SSH_HOST_KEY_CHANGED,
            subject=remote.pi,
            what=f"{remote.address} shows an ssh host key that is marked as revoked here",
            next_step="grep -n @revoked ~/.ssh/known_hosts /etc/ssh/ssh_known_hosts shows where; perhaps "
            "another machine answers at this address",
        )
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
        return Problem(
            code=Code.SSH_HOST_KEY_CHANGED,
            subject=remote.pi,
            what=f"{whose or remote.address} shows another ssh host key than the one known here",
            next_step=f"if that machine was set up anew, ssh-keygen -R '{whose or remote.known_as}', then "
            f"{remote.ssh} and compare the fingerprint; if not, another machine answers at this address",
        )
    if "host key verification failed" in said.lower():
        port = f"-p {remote.port} " if remote.known_as != remote.address else ""
        return Problem(
            code=Code.SSH_HOST_KEY_UNKNOWN,
            subject=remote.pi,
            what=f"the ssh host key of {whose or remote.address} is not known here",
            next_step=f"{remote.ssh}, compare the fingerprint with the one that ssh-keygen -lf "
            "/etc/ssh/ssh_host_ed25519_key.pub shows on the Pi, and answer yes (for many Pis: ssh-keyscan "
            f"{port}{remote.address} >> ~/.ssh/known_hosts, and compare)",
        )
    here = _of_this_machine(remote, said)
    if here is not None:
        return here
    denied = re.search(r"permission denied \([^)]*\)", said, re.IGNORECASE)
    if denied and "rptl.io/newuser" in said:
        return Problem(
            code=Code.SSH_DENIED,
            subject=remote.pi,
            what=f"ssh lets nobody in at {remote.address}: its Raspberry Pi OS says that it has no user yet",
            next_step="make one with a screen and a keyboard there, or in Raspberry Pi Imager's settings "
            f"before the SD card is written; then {copy_id}",
        )
    if denied or "Invalid/incorrect" in said:
        return Problem(
            code=Code.SSH_DENIED,
            subject=remote.pi,
            what=f"ssh does not let {remote.user or 'this user'} in at {remote.address} "
            f"({denied[0] if denied else 'wrong password'})",
            next_step=f"{copy_id}, or correct ansible_user in the inventory",
        )
    if "privilege escalation prompt" in said:
        return Problem(
            code=Code.SUDO_ASKS,
            subject=remote.pi,
            what="sudo there doesn't ask for the password as Ansible expects it",
            next_step=f"{remote.ssh} sudo --version; where it is another program (sudo-rs, doas), set "
            f"ansible_become_exe or ansible_become_method for {remote.pi}",
        )
    if "sshpass" in said:
        return Problem(
            code=Code.SSHPASS_MISSING,
            subject=remote.pi,
            what="a password for ssh needs the program sshpass on this machine",
            next_step=f"install it, or better {copy_id} and no password",
        )
    return None


def _of_this_machine(remote: Remote, said: str) -> Problem | None:
    """Return the problem of ssh's own files here, which are none of the Pi's matter."""
    for pattern, what, next_step in _HERE:
        if found := re.search(pattern, said, re.IGNORECASE):
            groups = {name: text for name, text in found.groupdict().items() if text}
            known = {
                "file": groups.get("key", ""),
                **groups,
                "pi": remote.pi,
                "copy_id": remote.copy_id,
                "ssh": remote.ssh,
            }
            return Problem(
                code=Code.SSH_FILES_HERE,
                subject=remote.pi,
                what=what.format(**known),
                next_step=next_step.format(**known),
            )
    return None


def sudo_problem(remote: Remote, said: str) -> Problem | None:
    """Return the problem of a Pi on which sudo refuses; None where `said` is about something else.

    said: both streams of what failed. The words are those of sudo 1.8 to 1.9 and of sudo-rs 0.2.
    """
    user = remote.user or "the user"
    said = _SUDO_WARNS.sub("", said)
    words = "^{0}: .+|(?:missing|incorrect) {0} password"
    by = next(
        (name for name in _TRIALS if re.search(words.format(name), said, re.IGNORECASE | re.MULTILINE)),
        "sudo",
    )
    whose = "root" if by == "su" else user

    def problem(code: Code, what: str, next_step: str) -> Problem:
        return Problem(code=code, subject=remote.pi, what=what, next_step=next_step)

    if _says(
        said,
        r"missing \w+ password|a password is required|terminal is required|authentication (?:is )?required",
        r"no askpass program|authorization required|a tty is required|must be run from a terminal",
    ):
        return problem(
            Code.SUDO_ASKS,
            f"{by} wants a password",
            f"add -K (--ask-become-pass) to the command, or let {user} use {by} there without one",
        )
    if _says(
        said,
        r"incorrect \w+ password|sorry, try again|incorrect password attempt",
        r"authentication fail(?:ed|ure)|incorrect authentication attempt",
    ):
        return problem(
            Code.SUDO_DENIED, f"the password for {by} is not right", f"run again and type {whose}'s password"
        )
    if _says(said, r"you must have a tty"):
        return problem(
            Code.SUDO_FORBIDDEN,
            "sudo wants a terminal there (requiretty)",
            f"on {remote.pi}, sudo visudo, and add the line Defaults:{user} !requiretty",
        )
    if _says(
        said,
        r"not in the sudoers file|not allowed to (?:execute|run)|may not run sudo|I'm afraid I can't do that",
    ):
        return problem(
            Code.SUDO_FORBIDDEN,
            f"{user} may not use sudo ({_line_of_sudo(said)})",
            f"on {remote.pi}, as root, adduser {user} sudo, or name another ansible_user",
        )
    if _says(
        said,
        r"(?:sudo|doas)(?: exe)?: (?:inaccessible or )?(?:command )?not found|sudo: no such file",
        r"(?:command not found|unknown command): (?:sudo|doas)",
    ):
        return problem(Code.SUDO_MISSING, "sudo is not there", "install it there, or set ansible_user: root")
    if by != "sudo" or _BY_SUDO.search(said) or _says(said, r"sudoers"):
        return problem(
            Code.SUDO_FORBIDDEN,
            f"{by} refuses there ({_line_of_sudo(said)})",
            f"{remote.ssh_with_terminal} {_TRIALS.get(by, 'sudo -v')}, which shows what it wants; if that is "
            "a password, add -K to the command",
        )
    return None


def _says(said: str, *patterns: str) -> bool:
    return any(re.search(pattern, said, re.IGNORECASE) for pattern in patterns)


def _line_of_sudo(said: str) -> str:
    """Return the line of what was said that is about sudo, else the last one."""
    lines = [line for line in said.splitlines() if line.strip()]
    about = [line for line in lines if re.search(r"sudo|doas|sorry|^su: ", line, re.IGNORECASE)]
    return one_line((about or lines or ["no word"])[0], 120).rstrip(".")


def other_problem(remote: Remote, said: str) -> Problem:
    """Return the problem of a Pi on which Ansible can't work for another reason than a broken connection."""
    return sudo_problem(remote, said) or Problem(
        code=Code.PI_CANNOT_BE_WORKED_ON,
        subject=remote.pi,
        what=f"Ansible cannot work there ({last_words(said)})",
        next_step=f"{remote.ssh}, and see what it answers",
    )


def module_problem(remote: Remote, said: str, wrote: str = "") -> Problem:
    """Return why Ansible's module did not answer from a Pi.

    said: both streams of it. wrote: what came of writing a file there, where that was tried.
    """
    if (refused := sudo_problem(remote, said)) is not None:
        return refused
    both = f"{said}\n{wrote}"
    if "Read-only file system" in both:
        return Problem(
            code=Code.PI_DISK_READ_ONLY,
            subject=remote.pi,
            what="no file can be written there: Read-only file system",
            next_step=f"{remote.ssh} sudo dmesg, which says why; Linux does so where the SD card fails: "
            "save what is on it first",
        )
    if tells_full_disk(both) or _NO_FOLDER.search(both):
        return Problem(
            code=Code.PI_DISK_FULL,
            subject=remote.pi,
            what=f"no file can be written there ({last_words(wrote) if wrote.strip() else last_words(said)})",
            next_step=f"{remote.ssh} df -h / /tmp",
        )
    if "Traceback (most recent call last)" in said:
        return Problem(
            code=Code.PI_CANNOT_BE_WORKED_ON,
            subject=remote.pi,
            what=f"Ansible's Python program broke off there ({last_words(said)})",
            next_step=f"{remote.ssh}, and see to what it names; where it is a part of "
            "Python: sudo apt install python3 there, or another ansible_python_interpreter",
        )
    if _says(
        last_words(said),
        r"^(?:Killed|Bus error|Segmentation fault|Illegal instruction)",
        r"Input/output error|Cannot allocate memory",
    ):
        return Problem(
            code=Code.PI_CANNOT_BE_WORKED_ON,
            subject=remote.pi,
            what=f"Ansible's program broke off there ({last_words(said)})",
            next_step=f"{remote.ssh} sudo dmesg, which may say why: no memory left, or an SD card or power "
            "supply that fails",
        )
    return python_problem(remote.pi, said)


def wants_a_file(said: str) -> bool:
    """Say whether a module found no folder for its files: on a full disk, or a read-only one."""
    return _NO_FOLDER.search(said) is not None


def last_words(said: str) -> str:
    """Return the last line; of a traceback the one with its cause, whatever a logout says after it."""
    lines = [line for line in said.splitlines() if line.strip()]
    begun = max((place for place, line in enumerate(lines) if line.startswith("Traceback (")), default=None)
    if begun is not None:
        lines = [line for line in lines[begun + 1 :] if not line[0].isspace()][:1] or lines
    return one_line(lines[-1] if lines else "no word", 120).rstrip(".")


def python_problem(pi: str, said: str) -> Problem:
    """Return the problem of a Pi on which Ansible finds no Python that it can use."""
    return Problem(
        code=Code.PYTHON_MISSING,
        subject=pi,
        what=f"Ansible found no working Python there ({last_words(said)})",
        next_step=f"set ansible_python_interpreter for {pi} in the inventory",
    )


def _reason(said: str) -> str:
    """Cut ssh's own sentence out of what Ansible put around it."""
    text = said.partition("via ssh:")[2] or said
    found = re.findall(r"ssh: (?:connect to host \S+ port \d+: |(?=Could not resolve))([^\r\n]+)", text)
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    reason = one_line((found or lines or ["no reason given"])[-1].strip(" ."), 300)
    if not found and len(lines) > 1 and _MERE_END.match(reason):
        # What stands before it: a jump's program that is not there, a Pi that is starting.
        reason = f"{one_line(lines[-2].strip(), 100)}; {reason}"
    # Of a command under way ssh often says nothing more, and Ansible, if ssh ends while it writes to it, only
    # that the pipe broke.
    under_way = re.fullmatch(
        r"Data could not be sent .* over ssh:? ?(?:\[Errno \d+\].*|(.*))", reason, re.IGNORECASE
    )
    return one_line((under_way[1] or "the connection broke") if under_way else reason, 150)
