"""What ssh and sudo say when there is no working on a Pi, each as a problem with its next step."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pi_speedup.codes import Code
from pi_speedup.problem import Problem, ProblemError
from pi_speedup.text import one_line

_SSH_PORT = 22


@dataclass(frozen=True, slots=True)
class Remote:
    """A Pi as it is reached: its name in the inventory, its address, and user and port where they are set."""

    pi: str
    address: str
    user: str | None = None
    port: int | None = None

    @classmethod
    def of(cls, pi: str, context: Any) -> Remote:
        """Return the Pi as Ansible's play context (remote_addr, remote_user, port) reaches it."""
        return cls(pi, str(context.remote_addr or pi), context.remote_user, context.port)

    @property
    def ssh(self) -> str:
        """The command with which a person reaches it."""
        where = f"{self.user}@{self.address}" if self.user else self.address
        return f"ssh -p {self.port} {where}" if self._other_port else f"ssh {where}"

    @property
    def known_as(self) -> str:
        """Its name in known_hosts."""
        return f"[{self.address}]:{self.port}" if self._other_port else self.address

    @property
    def _other_port(self) -> bool:
        return self.port not in (None, _SSH_PORT)


def connection_error(remote: Remote, said: str) -> ProblemError:
    """Return the error of a Pi that cannot be reached; `said` is Ansible's and ssh's text.

    It passes by itself, unless it is about keys, users or passwords.
    """
    refused = _refusal(remote, said)
    if refused is not None:
        return ProblemError(refused)
    return ProblemError(
        Problem(
            code=Code.SSH_UNREACHABLE,
            subject=remote.pi,
            what=f"cannot be reached over ssh ({_reason(said)})",
            next_step=f"{remote.ssh}; check its power, its network and ansible_host in the inventory",
        ),
        passes_by_itself=True,
    )


def _refusal(remote: Remote, said: str) -> Problem | None:
    copy_id = remote.ssh.replace("ssh", "ssh-copy-id", 1)
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
        return Problem(
            code=Code.SSH_HOST_KEY_CHANGED,
            subject=remote.pi,
            what=f"{remote.address} shows another ssh host key than the one known here",
            next_step=f"if the Pi was set up anew, ssh-keygen -R '{remote.known_as}', then {remote.ssh} and "
            "compare the fingerprint; if not, another machine answers at this address",
        )
    if "host key verification failed" in said.lower():
        port = f"-p {remote.port} " if remote.known_as != remote.address else ""
        return Problem(
            code=Code.SSH_HOST_KEY_UNKNOWN,
            subject=remote.pi,
            what=f"the ssh host key of {remote.address} is not known here",
            next_step=f"{remote.ssh}, compare the fingerprint with the one that ssh-keygen -lf "
            "/etc/ssh/ssh_host_ed25519_key.pub shows on the Pi, and answer yes (for many Pis: ssh-keyscan "
            f"{port}{remote.address} >> ~/.ssh/known_hosts, and compare)",
        )
    denied = re.search(r"permission denied \([^)]*\)", said, re.IGNORECASE)
    if denied or "Invalid/incorrect" in said:
        return Problem(
            code=Code.SSH_DENIED,
            subject=remote.pi,
            what=f"ssh does not let {remote.user or 'this user'} in at {remote.address} "
            f"({denied[0] if denied else 'wrong password'})",
            next_step=f"{copy_id}, or correct ansible_user in the inventory",
        )
    if "sshpass" in said:
        return Problem(
            code=Code.SSHPASS_MISSING,
            subject=remote.pi,
            what="a password for ssh needs the program sshpass on this machine",
            next_step=f"install it, or better {copy_id} and no password",
        )
    return None


def sudo_problem(remote: Remote, said: str) -> Problem | None:
    """Return the problem of a Pi on which sudo refuses; None where `said` is about something else."""
    user = remote.user or "the user"
    if re.search(r"missing sudo password|a password is required|terminal is required", said, re.IGNORECASE):
        return Problem(
            code=Code.SUDO_ASKS,
            subject=remote.pi,
            what="sudo wants a password",
            next_step=f"add -K (--ask-become-pass) to the command, or let {user} use sudo there without one",
        )
    if re.search(r"incorrect sudo password|sorry, try again|incorrect password attempt", said, re.IGNORECASE):
        return Problem(
            code=Code.SUDO_DENIED,
            subject=remote.pi,
            what="the password for sudo is not right",
            next_step=f"run again and type {user}'s password",
        )
    if re.search(r"not in the sudoers file|not allowed to execute|may not run sudo", said, re.IGNORECASE):
        return Problem(
            code=Code.SUDO_FORBIDDEN,
            subject=remote.pi,
            what=f"{user} may not use sudo ({one_line(said, 120)})",
            next_step=f"on {remote.pi}, as root, adduser {user} sudo, or name another ansible_user",
        )
    if re.search(r"sudo: (command )?not found", said):
        return Problem(
            code=Code.SUDO_MISSING,
            subject=remote.pi,
            what="sudo is not there",
            next_step="install it there, or set ansible_user: root",
        )
    return None


def other_problem(remote: Remote, said: str) -> Problem:
    """Return the problem of a Pi on which Ansible can't work for another reason than a broken connection."""
    return sudo_problem(remote, said) or Problem(
        code=Code.PI_CANNOT_BE_WORKED_ON,
        subject=remote.pi,
        what=f"Ansible cannot work there ({one_line(said, 120)})",
        next_step=remote.ssh,
    )


def python_problem(pi: str, said: str) -> Problem:
    """Return the problem of a Pi on which Ansible finds no Python that it can use."""
    return Problem(
        code=Code.PYTHON_MISSING,
        subject=pi,
        what=f"Ansible found no working Python there ({one_line(said, 120)})",
        next_step=f"set ansible_python_interpreter for {pi} in the inventory",
    )


def _reason(said: str) -> str:
    """Cut ssh's own sentence out of what Ansible put around it."""
    text = said.partition("via ssh:")[2] or said
    found = re.findall(r"ssh: (?:connect to host \S+ port \d+: |(?=Could not resolve))([^\r\n]+)", text)
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    reason = one_line((found or lines or ["no reason given"])[-1].strip(" ."), 300)
    # Of a command under way ssh often says nothing more, and Ansible, if ssh ends while it writes to it, only
    # that the pipe broke.
    under_way = re.fullmatch(
        r"Data could not be sent .* over ssh:? ?(?:\[Errno \d+\].*|(.*))", reason, re.IGNORECASE
    )
    return one_line((under_way[1] or "the connection broke") if under_way else reason, 150)
