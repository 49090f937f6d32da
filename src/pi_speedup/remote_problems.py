"""What ssh and sudo say when Ansible cannot work on a Pi, each as one line with its remedy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pi_speedup.plain import one_line

_SSH_PORT = 22


@dataclass(frozen=True, slots=True)
class Remote:
    """A Pi as it is reached: its name in the inventory, its address, and user and port where they are set."""

    pi: str
    address: str
    user: str | None = None
    port: int | None = None

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


def connection_problem(remote: Remote, said: str) -> str:
    """Return the line for a Pi that could not be reached; `said` is Ansible's and ssh's text."""
    pi = remote.pi
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
        return (
            f"{pi}: {remote.address} shows another ssh host key than the one known here. Next: if the Pi was "
            f"set up anew, ssh-keygen -R '{remote.known_as}', then {remote.ssh} and compare the fingerprint; "
            "if not, another machine answers at this address"
        )
    if "host key verification failed" in said.lower():
        scan = (
            f"ssh-keyscan {f'-p {remote.port} ' if remote.known_as != remote.address else ''}{remote.address}"
        )
        return (
            f"{pi}: the ssh host key of {remote.address} is not known here. Next: {remote.ssh}, compare the "
            "fingerprint with the one that ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub shows on the Pi, "
            f"and answer yes (for many Pis: {scan} >> ~/.ssh/known_hosts, and compare)"
        )
    denied = re.search(r"permission denied \([^)]*\)", said, re.IGNORECASE)
    if denied or "Invalid/incorrect" in said:
        who = remote.user or "this user"
        reason = denied[0] if denied else "wrong password"
        return (
            f"{pi}: ssh does not let {who} in at {remote.address} ({reason}). Next: "
            f"{remote.ssh.replace('ssh', 'ssh-copy-id', 1)}, or correct ansible_user in the inventory"
        )
    if "sshpass" in said:
        return (
            f"{pi}: a password for ssh needs the program sshpass on this machine. Next: install it, or "
            f"better {remote.ssh.replace('ssh', 'ssh-copy-id', 1)} and no password"
        )
    return (
        f"{pi} cannot be reached over ssh ({_reason(said)}). Next: {remote.ssh}; check its power, its "
        "network and ansible_host in the inventory"
    )


def sudo_problem(remote: Remote, said: str) -> str | None:
    """Return the line for a Pi on which sudo refuses; None where `said` is about something else."""
    user = remote.user or "the user"
    if re.search(r"missing sudo password|a password is required|terminal is required", said, re.IGNORECASE):
        return (
            f"{remote.pi}: sudo wants a password. Next: add -K (--ask-become-pass) to the command, or let "
            f"{user} use sudo there without one"
        )
    if re.search(r"incorrect sudo password|sorry, try again|incorrect password attempt", said, re.IGNORECASE):
        return f"{remote.pi}: the password for sudo is not right. Next: run again and type {user}'s password"
    if re.search(r"not in the sudoers file|not allowed to execute|may not run sudo", said, re.IGNORECASE):
        return (
            f"{remote.pi}: {user} may not use sudo ({one_line(said, 120)}). Next: on {remote.pi}, as root, "
            f"adduser {user} sudo, or name another ansible_user"
        )
    if re.search(r"sudo: (command )?not found", said):
        return f"{remote.pi}: there is no sudo. Next: install it there, or set ansible_user: root"
    return None


def python_problem(pi: str, said: str) -> str:
    """Return the line for a Pi on which Ansible finds no Python that it can use."""
    return (
        f"{pi}: Ansible found no working Python there ({one_line(said, 160)}). "
        f"Next: set ansible_python_interpreter for {pi} in the inventory"
    )


def _reason(said: str) -> str:
    """Cut ssh's own sentence out of what Ansible put around it."""
    text = said.partition("via ssh:")[2] or said
    found = re.findall(r"ssh: (?:connect to host \S+ port \d+: |(?=Could not resolve))([^\r\n]+)", text)
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    return one_line((found or lines or ["no reason given"])[-1].strip(" ."), 160)
