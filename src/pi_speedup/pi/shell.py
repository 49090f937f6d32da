"""Scripts run on a Pi over the connection that Ansible has to it, and what they answered, in sections."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pi_speedup.codes import Code
from pi_speedup.pi.ssh import broken_by, other_problem
from pi_speedup.problem import Problem, ProblemError
from pi_speedup.remote import Remote
from pi_speedup.text import one_line

# No script tells more than this; what it shows of a command's output is cut before.
MOST_SAID_BYTES = 65536
_SECTION = re.compile(rb"^pi-speedup: ([a-z]+) ([0-9]{1,3})\r?$", re.MULTILINE)
# What is written before it is no answer: a greeting of the login's shell, sudo's words, a terminal's marks.
_BEGUN = b"\npi-speedup: begun\n"
_IN_ENGLISH = "LC_ALL=C; export LC_ALL\n"
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
    raised as it is. refused: why a script did not even begin, from what was said instead; None where it is to
    be read as any other script that broke off. become: puts sudo, or what is set instead, before a command.
    """

    def __init__(
        self,
        connection: Connection,
        broken: Callable[[Exception], ProblemError | None],
        executable: str = "/bin/sh",
        become: Callable[[str], str] | None = None,
        refused: Callable[[str], Problem | None] = lambda said: None,
    ) -> None:
        self._connection = connection
        self._broken = broken
        self._executable = executable
        self._become = become
        self._refused = refused

    @classmethod
    def of_action(cls, action: Any, remote: Remote, *, may_become: bool = True) -> ConnectionShell:
        """Return the shell of an action plugin's task, with that task's become unless it is not wanted.

        The same as ActionBase._low_level_execute_command does, which answers in text only.
        """
        connection = action._connection
        if connection.transport == "local":
            connection.cwd = action._loader.get_basedir().encode("utf-8", "surrogateescape")
        become = None
        if (
            may_become
            and connection.become
            and action.get_become_option("become_user") != (action._get_remote_user())
        ):
            understand_each_sudo(connection.become)

            def become(command: str) -> str:
                return str(connection.become.build_become_command(command, connection._shell))

        def refused(said: str) -> Problem | None:
            return other_problem(remote, said) if said.strip() else None

        executable = action._play_context.executable or "/bin/sh"
        return cls(connection, lambda error: broken_by(error, remote), executable, become, refused)

    def run(self, command: str, stdin: bytes = b"") -> ShellOutcome:
        """Run a script on the Pi with LC_ALL=C; an empty `stdin` is one empty line.

        ProblemError too where it did not begin, since sudo or the login's shell refused.
        """
        script = f"{_IN_ENGLISH}printf '\\npi-speedup: begun\\n'\n{command}"
        if self._become is not None:
            # For sudo's own words too.
            script = _IN_ENGLISH + self._become(script)
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
        before, begun, answer = output.partition(_BEGUN)
        if not begun:
            said = (errors + b"\n" + before).decode("utf-8", "replace")
            refused = self._refused(said)
            if refused is not None:
                raise ProblemError(refused)
            return ShellOutcome(rc or 0, before, errors)
        return ShellOutcome(rc or 0, answer, errors)


def understand_each_sudo(become: Any) -> None:
    """Let one of Ansible's become plugins know sudo-rs too, which puts words around the prompt it is given.

    Ansible waits for a line that begins with its prompt, so that the right password is never sent.
    """
    if getattr(become, "name", "") != "sudo":
        return
    become.check_password_prompt = lambda output: (
        bool(become.prompt) and (str(become.prompt).strip().encode() in output)
    )
    become.fail = (*become.fail, "Authentication failed, try again")


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
