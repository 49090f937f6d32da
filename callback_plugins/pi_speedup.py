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
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from ansible import constants
from ansible.playbook.block import Block
from ansible.plugins.callback.default import CallbackModule as Default

# Plugins are loaded by path: the package beside them is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from pi_speedup.codes import Code
from pi_speedup.measure.signals import Handover, end_workers_with_this_process
from pi_speedup.problem import Problem
from pi_speedup.text import one_line

_LONGEST_LINE = 2000
# Each task is a fork of this process: what is imported here before the first one that needs it, no later one
# imports again (0.1 to 0.5 s each).
_IMPORTED_FOR = {
    "run_plan_open": ("pi_speedup.plan.opening",),
    "pi_host_look": ("pi_speedup.pi.fitness", "pi_speedup.pi.ssh"),
    "cluster_prepare": ("pi_speedup.kube.job",),
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

    @property
    def _names(self) -> bool:
        return bool(self._display.verbosity >= 1)

    @property
    def _all(self) -> bool:
        return bool(self._display.verbosity >= 3)

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Make the output safe, and leave no worker alone."""
        end_workers_with_this_process()
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
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
        if task.action == "measure":
            self._handover = Handover()
            self._handover.begin()

    def _ended(self, result: Any) -> None:
        if self._handover is not None and result.task.action == "measure":
            self._handover.end()
            self._handover = None

    def v2_runner_on_ok(self, result: Any) -> None:
        """Show what a debug task says, warnings and changes."""
        self._ended(result)
        if self._all:
            super().v2_runner_on_ok(result)
            return
        self._handle_warnings(result.result)
        if result.task.action in _SHOW_MESSAGES:
            self._display.display(_message(result.result))
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
                next_step=f"ansible -m ping {host}",
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
            self._display.display(line, color=constants.COLOR_ERROR, stderr=True)

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
