"""Scripts run on a Pi over the connection that Ansible has to it, and what they answered, in sections."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pi_speedup.codes import Code
from pi_speedup.problem import Problem, ProblemError
from pi_speedup.text import one_line

# No script tells more than this; what it shows of a command's output is cut before.
MOST_SAID_BYTES = 65536
_SECTION = re.compile(rb"^pi-speedup: ([a-z]+) ([0-9]{1,3})\r?$", re.MULTILINE)
# Prints the section $1 of a command that ended with $2 after saying $3.
SECTION = f"""
section() {{
  printf '\\npi-speedup: %s %s\\n' "$1" "$2"
  printf '%s\\n' "$3" | head -c {MOST_SAID_BYTES}
}}
"""


@dataclass(frozen=True, slots=True)
class ShellOutcome:
    """How a script ended, what it wrote to its standard output, and what was said beside."""

    rc: int
    output: bytes
    errors: bytes = b""


class Shell(Protocol):
    """Runs POSIX shell scripts on one Pi."""

    def run(self, command: str, stdin: bytes = b"") -> ShellOutcome:
        """Run a script to its end; ProblemError where the connection broke."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one command of a script ended: its exit code, and all that it wrote."""

    rc: int
    said: str


class Connection(Protocol):
    """What is needed of Ansible's connection plugins."""

    def exec_command(
        self, cmd: str, in_data: bytes | None = None, sudoable: bool = True
    ) -> tuple[int | None, bytes, bytes]:
        """Run a command; raises Ansible's own errors."""


class ConnectionShell:
    """A Shell over one of Ansible's connections, `ssh` or `local`.

    broken: what one of Ansible's errors means, None for an error that is not about the connection and is
    raised as it is. become: puts sudo, or what is set instead, before a command.
    """

    def __init__(
        self,
        connection: Connection,
        broken: Callable[[Exception], ProblemError | None],
        executable: str = "/bin/sh",
        become: Callable[[str], str] | None = None,
    ) -> None:
        self._connection = connection
        self._broken = broken
        self._executable = executable
        self._become = become

    @classmethod
    def of_action(cls, action: Any, broken: Callable[[Exception], ProblemError | None]) -> ConnectionShell:
        """Return the shell of an action plugin's task, with that task's become.

        The same as ActionBase._low_level_execute_command does, which answers in text only.
        """
        connection = action._connection
        if connection.transport == "local":
            connection.cwd = action._loader.get_basedir().encode("utf-8", "surrogateescape")
        become = None
        if connection.become and action.get_become_option("become_user") != action._get_remote_user():

            def become(command: str) -> str:
                return str(connection.become.build_become_command(command, connection._shell))

        return cls(connection, broken, action._play_context.executable or "/bin/sh", become)

    def run(self, command: str, stdin: bytes = b"") -> ShellOutcome:
        """Run a script on the Pi with LC_ALL=C; an empty `stdin` is one empty line."""
        script = f"LC_ALL=C; export LC_ALL\n{command}"
        if self._become is not None:
            script = self._become(script)
        try:
            rc, output, errors = self._connection.exec_command(
                f"{self._executable} -c {shlex.quote(script)}",
                # Without anything for its standard input ssh would be given a terminal.
                in_data=stdin or b"\n",
                sudoable=self._become is not None,
            )
        except Exception as error:
            problem = self._broken(error)
            if problem is None:
                raise
            raise problem from error
        return ShellOutcome(rc or 0, output, errors)


def sections(pi: str, outcome: ShellOutcome, *needed: str) -> dict[str, Outcome]:
    """Return a script's sections by name; ProblemError where the last, `end`, or a needed one is missing."""
    parts = _SECTION.split(outcome.output)
    found = {
        name.decode(): Outcome(int(rc), said.decode("utf-8", "replace").strip())
        for name, rc, said in zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
    }
    if not {"end", *needed} <= found.keys():
        raise no_answer(pi, outcome)
    return found


def no_answer(pi: str, outcome: ShellOutcome) -> ProblemError:
    """Return the error of a script that did not come to its end; the next time may be better."""
    lines = (outcome.errors.strip() or outcome.output.strip()).decode("utf-8", "replace").splitlines()
    said = one_line(lines[-1] if lines else "no word", 120)
    return ProblemError(
        Problem(
            code=Code.PI_COMMAND_BROKE_OFF,
            subject=pi,
            what=f"a command there broke off with exit code {outcome.rc} ({said})",
            next_step="check its power, network and memory, then run again",
        ),
        passes_by_itself=True,
    )
