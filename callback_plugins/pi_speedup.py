"""What one sees of a playbook here: what the plugins say, warnings, and each failure once, last."""

from __future__ import annotations

DOCUMENTATION = """
name: pi_speedup
type: stdout
short_description: Shows what a run says, and each failure as one line at the end
description:
  - Tasks that are ok or skipped say nothing. What plugins display, C(debug), warnings and changes appear.
  - Failures are collected and appear as one line each when the playbook has ended, so that they stand last.
  - With C(-v) the names of plays and tasks appear too; from C(-vvv) on, all that Ansible's own callback
    shows.
  - Hands the first Ctrl-C, SIGTERM or SIGHUP that comes while the task C(measure) runs to that task alone, so
    that it ends what it started and the report is made. A second one does what Ansible does by itself.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - set as stdout_callback in ansible.cfg
author: pi-speedup contributors
"""

import contextlib
import dataclasses
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from ansible import constants, context
from ansible.playbook.block import Block
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.template import Templar

# Plugins are loaded by path: the package beside them is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from pi_speedup import start
from pi_speedup.codes import Code
from pi_speedup.measure.signals import (
    Handover,
    end_workers_with_this_process,
    raise_swallowed_interrupts_again,
)
from pi_speedup.problem import Problem, ProblemError
from pi_speedup.remote import VARIABLES, Remote, typable
from pi_speedup.store import RunStore
from pi_speedup.text import one_line

_LONGEST_LINE = 2000
# Each task is a fork of this process: what is imported here before the first one that needs it, no later one
# imports again (0.1 to 0.5 s each).
_IMPORTED_FOR = {
    "run_plan_open": ("pi_speedup.plan.opening",),
    "pi_host_look": ("pi_speedup.pi.fitness", "pi_speedup.pi.ssh"),
    "cluster_look": ("pi_speedup.kube.follow.job",),
}
# What ends by itself what it started, when it is told to stop.
_INTERRUPTIBLE = ("measure", "measure_calibrate")
# Variables that lead to a Pi, and the options of the command line that count where they are not set.
_OF_SSH = {
    "ansible_ssh_private_key_file": "private_key_file",  # pragma: allowlist secret
    "ansible_ssh_common_args": "ssh_common_args",
    "ansible_ssh_extra_args": "ssh_extra_args",
}
_SAY_IT_THEMSELVES = ("fail", "ansible.builtin.fail", "assert", "ansible.builtin.assert")
_SHOW_MESSAGES = ("debug", "ansible.builtin.debug")


class _Tolerant:
    """A stream whose reader may go away: a closed terminal, or a `tee` that the same Ctrl-C has ended.

    Ansible would lose the thread that takes in results, and wait for ever.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._try(lambda: self._stream.write(text)) or 0

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except OSError:
            with contextlib.suppress(OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class CallbackModule(Default):
    """The callback."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "pi_speedup"

    def __init__(self) -> None:
        super().__init__()
        self._failures: dict[str, None] = {}
        self._handover: Handover | None = None
        self._play: Any = None
        self._run: RunStore | None = None

    @property
    def _names(self) -> bool:
        return bool(self._display.verbosity >= 1)

    @property
    def _all(self) -> bool:
        return bool(self._display.verbosity >= 3)

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Make the output safe, leave no worker alone, and lose no Ctrl-C."""
        end_workers_with_this_process()
        raise_swallowed_interrupts_again()
        for name in ("stdout", "stderr"):
            # None if who started Ansible has closed it.
            stream = getattr(sys, name) or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
            with contextlib.suppress(AttributeError, OSError):
                stream.reconfigure(line_buffering=True)
            setattr(sys, name, _Tolerant(stream))
        if self._all:
            super().v2_playbook_on_start(playbook)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Name the play where names are wanted."""
        self._play = play
        if self._all:
            super().v2_playbook_on_play_start(play)
        elif self._names:
            self._display.display(f"PLAY {play.get_name().strip()}")

    def _task_start(self, task: Any, prefix: str | None = None) -> None:
        if self._all:
            super()._task_start(task, prefix)
        elif self._names:
            self._display.display(f"TASK {task.get_name().strip()}")
        for name in _IMPORTED_FOR.get(task.action, ()):
            importlib.import_module(name)
        if task.action in _INTERRUPTIBLE:
            self._handover = Handover()
            self._handover.begin()

    def _ended(self, result: Any) -> None:
        if self._handover is not None and result.task.action in _INTERRUPTIBLE:
            self._handover.end()
            self._handover = None

    def v2_runner_on_ok(self, result: Any) -> None:
        """Show what a debug task says, warnings and changes."""
        self._ended(result)
        if result.task.action == "run_plan_open":
            self._run = RunStore(Path(result.result["dir"]))
        if self._all:
            super().v2_runner_on_ok(result)
            return
        self._handle_warnings(result.result)
        if result.task.action in _SHOW_MESSAGES:
            # A report has the steps of its trials, which name a Pi only.
            self._display.display(self._typable(_message(result.result)))
        elif result.result.get("changed"):
            host = result.host.get_name()
            where = "" if host == "localhost" else f"{host}: "
            removed = [f"removed {each}" for each in result.result.get("removed") or ()]
            for line in removed or [f"changed: {result.task.name or result.task.action}"]:
                self._display.display(
                    one_line(f"{where}{line}", _LONGEST_LINE), color=constants.COLOR_CHANGED
                )

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Keep the failure for the end, unless a rescue takes it up."""
        self._ended(result)
        if not ignore_errors and not _is_rescued(result.task) and "results" not in result.result:
            self._failures |= dict.fromkeys(self._lines(result))
        if self._all:
            super().v2_runner_on_failed(result, ignore_errors)
            return
        self._handle_warnings(result.result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Keep it for the end too."""
        self._ended(result)
        if not result.task.ignore_unreachable:
            said = one_line(result.result.get("msg", "no reason given"), 300).rstrip(".")
            host = result.host.get_name()
            problem = Problem(
                code=Code.SSH_UNREACHABLE,
                subject=host,
                what=f"unreachable ({said})",
                next_step=f"ssh {host}",
            )
            self._failures[str(problem)] = None
        if self._all:
            super().v2_runner_on_unreachable(result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Show an item's warnings."""
        if self._all:
            super().v2_runner_item_on_ok(result)
        else:
            self._handle_warnings(result.result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """Keep an item's failure for the end."""
        if not result.task.ignore_errors and not _is_rescued(result.task):
            self._failures |= dict.fromkeys(self._lines(result))
        if self._all:
            super().v2_runner_item_on_failed(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Say nothing."""
        self._ended(result)
        if self._all:
            super().v2_runner_on_skipped(result)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        """Say nothing."""
        if self._all:
            super().v2_runner_item_on_skipped(result)

    def v2_runner_retry(self, result: Any) -> None:
        """Say it where names are wanted."""
        if self._names:
            super().v2_runner_retry(result)

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Say nothing."""
        if self._all:
            super().v2_playbook_on_include(included_file)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Say nothing: plays that a run does not need have no hosts."""
        if self._all:
            super().v2_playbook_on_no_hosts_matched()

    def v2_playbook_on_no_hosts_remaining(self) -> None:
        """Say nothing: the failures say it."""
        if self._all:
            super().v2_playbook_on_no_hosts_remaining()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Show the failures, last."""
        if self._all:
            super().v2_playbook_on_stats(stats)
        sys.stdout.flush()
        for line in self._failures:
            self._display.display(self._typable(line), color=constants.COLOR_ERROR, stderr=True)

    def _handle_warnings(self, res: Any) -> None:
        """Show a task's warnings, with commands that can be typed."""
        current = self._current_task_result
        if res.pop("warnings", None) and current:
            for warning in current.warnings or ():
                event = dataclasses.replace(warning.event, msg=self._typable(warning.event.msg))
                self._display._warning(dataclasses.replace(warning, event=event))
        super()._handle_warnings(res)

    def _typable(self, line: str) -> str:
        """Return a line of which each `ssh NAME` and each `ansible-playbook DOOR.yml` can be typed here."""
        line = start.typable(line, sys.argv)
        if "ssh " not in line or self._play is None:
            return line
        manager, loader = self._play.get_variable_manager(), self._play.get_loader()
        remotes: dict[str, Remote] = {}
        # A line may call a Pi by its node's name, the inventory by another.
        called: dict[str, str] = {}
        with contextlib.suppress(ProblemError):
            nodes = self._run.nodes() if self._run else None
            called = {node.inventory_name: node.name for node in nodes.nodes} if nodes else {}
        # Not only those of the play that failed, which may be this machine's.
        for host in manager._inventory.get_hosts("all", ignore_limits=True, ignore_restrictions=True):
            names = {host.name, called.get(host.name, host.name)}
            if not any(f"ssh {name}" in line for name in names):
                continue
            variables = manager.get_vars(play=self._play, host=host, include_hostvars=False)
            templar = Templar(loader, variables)
            known = {name: context.CLIARGS.get(option) for name, option in _OF_SSH.items()}
            known["ansible_user"] = context.CLIARGS.get("remote_user") or constants.DEFAULT_REMOTE_USER
            known |= {name: templar.template(variables[name]) for name in VARIABLES if name in variables}
            if variables.get("ansible_connection") != "local":
                remotes |= dict.fromkeys(names, Remote.of(host.name, known))
        return typable(line, remotes)

    def _lines(self, result: Any) -> list[str]:
        message = _message(result.result)
        action = str(result.task.action)
        # A plugin of this project names whom a line is about, and may have several. A module of others does
        # not, nor does Ansible itself.
        ours = action in _SAY_IT_THEMSELVES or "." not in action
        if ours and "censored" not in result.result and not message.startswith("Task failed: "):
            return [one_line(line, _LONGEST_LINE) for line in message.splitlines() if line.strip()]
        problem = Problem(
            code=Code.ANSIBLE_TASK_FAILED,
            subject=f"{result.host.get_name()}: {result.task.name or action}",
            what=message,
            next_step="run again with -vvv, which shows all that Ansible says",
        )
        return [str(problem)]


def _message(result: Mapping[str, Any]) -> str:
    """Return what a task says."""
    if "censored" in result:
        return "failed, and what it said is hidden since it may hold a key"
    said = result.get("msg", "no reason given")
    return "\n".join(str(each) for each in said) if isinstance(said, list) else str(said)


def _is_rescued(task: Any) -> bool:
    """Say whether a block around the task has a rescue, which then says what is wrong."""
    # Between a role's own block and the block that imports it stands the import, which is in neither's list.
    inner, outer = {task._uuid}, task._parent
    while outer is not None:
        if isinstance(outer, Block) and outer.rescue and any(each._uuid in inner for each in outer.block):
            return True
        inner.add(outer._uuid)
        outer = outer._parent
    return False
