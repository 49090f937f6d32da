"""How a person reaches a Pi: the one place that writes an `ssh` command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SSH_PORT = 22
# What Ansible calls them: today's name first, then the one that older inventories have.
_USER = ("ansible_user", "ansible_ssh_user")
_PORT = ("ansible_port", "ansible_ssh_port")
_HOST = ("ansible_host", "ansible_ssh_host")
_KEY = ("ansible_private_key_file", "ansible_ssh_private_key_file")
_ARGUMENTS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
VARIABLES = (*_USER, *_PORT, *_HOST, *_KEY, *_ARGUMENTS)
# Of ssh's own arguments those that decide whom one reaches; the others are no matter of a person's command.
_WAY = re.compile(
    r"(?i)^(proxyjump|proxycommand|port|user|hostname|hostkeyalias|userknownhostsfile|identit\w+|certificatefile)"
    r"\b"
)


@dataclass(frozen=True, slots=True)
class Remote:
    """A Pi as it is reached: its name in the inventory, its address, and user and port where they are set.

    options: what else ssh has to be told, in words: a jump host, a key's file.
    """

    pi: str
    address: str
    user: str | None = None
    port: int | None = None
    options: tuple[str, ...] = ()

    @classmethod
    def of(cls, pi: str, variables: Mapping[str, object]) -> Remote:
        """Return the Pi as Ansible's variables of this host (their templates filled in) reach it."""
        port = _first(variables, _PORT)
        # As Ansible reads it; quoted, no shell would.
        key = _first(variables, _KEY)
        if key.startswith("~/"):
            key = str(Path.home() / key[2:])
        options: tuple[str, ...] = ("-i", key) if key else ()
        for name in _ARGUMENTS:
            options += _way(_first(variables, (name,)))
        return cls(
            pi,
            _first(variables, _HOST) or pi,
            _first(variables, _USER) or None,
            int(port) if port.isdecimal() else None,
            options,
        )

    @classmethod
    def of_action(cls, pi: str, action: Any, variables: Mapping[str, object] | None) -> Remote:
        """Return the Pi as an action plugin's task reaches it; `variables` are those of that task."""
        context = action._play_context
        found: dict[str, object] = {
            "ansible_host": context.remote_addr,
            "ansible_user": context.remote_user,
            "ansible_port": context.port,
        }
        for name in VARIABLES:
            if not found.get(name) and name in (variables or {}):
                found[name] = action._templar.template((variables or {})[name])
        return cls.of(pi, found)

    @property
    def ssh(self) -> str:
        """The command with which a person reaches it."""
        return self._command("ssh", *self.options)

    @property
    def ssh_with_terminal(self) -> str:
        """The same for a command that asks for something."""
        return self._command("ssh", "-t", *self.options)

    @property
    def copy_id(self) -> str:
        """The command that brings a person's public key there."""
        return self._command("ssh-copy-id", *_of_copy_id(self.options))

    @property
    def jumps(self) -> bool:
        """Whether another machine stands between."""
        return "-J" in self.options or any(re.match("(?i)proxy", each) for each in self.options)

    @property
    def known_as(self) -> str:
        """Its name in known_hosts."""
        return f"[{self.address}]:{self.port}" if self._other_port else self.address

    def _command(self, program: str, *options: str) -> str:
        port = ("-p", str(self.port)) if self._other_port else ()
        where = f"{self.user}@{self.address}" if self.user else self.address
        return shlex.join((program, *options, *port, where))

    @property
    def _other_port(self) -> bool:
        return self.port not in (None, _SSH_PORT)


def typable(line: str, remotes: Mapping[str, Remote]) -> str:
    """Return a line in which each `ssh NAME` of one of these Pis is the command that reaches it.

    Rooms that know a Pi by its name only write it so.
    """

    def reach(found: re.Match[str]) -> str:
        remote = remotes.get(found["pi"])
        return found[0] if remote is None else f"{found['before']}{remote.ssh}"

    return re.sub(r"(?P<before>^|[\s(`,;])ssh (?P<pi>[\w.:-]*\w)(?=$|[\s);,`])", reach, line)


def _first(variables: Mapping[str, object], names: tuple[str, ...]) -> str:
    return next((str(variables[name]) for name in names if variables.get(name) not in (None, "")), "")


def _way(arguments: str) -> tuple[str, ...]:
    """Return what of ssh's arguments leads to the Pi: -J, -F, -i, -p, -l, and such -o."""
    try:
        words = shlex.split(arguments)
    except ValueError:
        return ()
    found: tuple[str, ...] = ()
    for place, word in enumerate(words):
        option, value = word[:2], word[2:].strip()
        if option not in ("-o", "-J", "-F", "-i", "-p", "-l"):
            continue
        value = value or (words[place + 1] if place + 1 < len(words) else "")
        if value and (option != "-o" or _WAY.match(value)):
            found += (option, value)
    return found


def _of_copy_id(options: tuple[str, ...]) -> tuple[str, ...]:
    """Return the options that ssh-copy-id knows too, -J in the words that it has for it."""
    found: tuple[str, ...] = ()
    for option, value in zip(options[::2], options[1::2], strict=True):
        if option == "-J":
            found += ("-o", f"ProxyJump={value}")
        elif option in ("-i", "-o", "-F", "-p"):
            found += (option, value)
    return found
