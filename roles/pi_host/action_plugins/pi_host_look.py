"""Adapter: look at one Pi, keep what it said in the run's folder, and say in one line what it lacks.

An unreachable Pi is a failure like any other here, with our line and not Ansible's, so that one run names
every Pi that needs attention. After the run nothing fails: what cannot be read then is unknown.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.host_checks import host_problems, host_warnings
from pi_speedup.host_state import AFTER, BEFORE, host_file, host_record, host_state
from pi_speedup.plain import one_line, to_plain
from pi_speedup.remote_problems import Remote, connection_problem, python_problem, sudo_problem
from pi_speedup.run_files import write_files


class ActionModule(ActionBase):
    """Arguments: `pi` (a name), `when` (before or after), `dir`, `architecture`, `runtime` (empty: none)."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module on the Pi between two readings of our clock."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "pi": {"type": "str", "required": True},
                "when": {"type": "str", "required": True, "choices": [BEFORE, AFTER]},
                "dir": {"type": "path", "required": True},
                "architecture": {"type": "str", "required": True},
                "runtime": {"type": "str", "default": ""},
            }
        )
        pi, when, runtime = (str(arguments[name]) for name in ("pi", "when", "runtime"))
        try:
            asked_ns = time.time_ns()
            observed = self._observe(pi, runtime, task_vars)
            state = host_state(observed, asked_ns=asked_ns, answered_ns=time.time_ns(), date=self._date())
            write_files(Path(arguments["dir"]), {host_file(pi, when): host_record(pi, when, state)})
        except (AnsibleError, OSError, ValueError) as error:
            return {**result, **_unseen(when, pi, str(error))}
        result["changed"] = False
        # Where Ansible found Python: the next task on this Pi need not search again.
        result["ansible_facts"] = observed.get("ansible_facts", {})
        if when == BEFORE:
            outcome: Any = to_plain(observed.get("runtime"))
            problems = host_problems(
                state,
                pi=pi,
                architecture=str(arguments["architecture"]),
                runtime=runtime or None,
                runtime_outcome=outcome,
            )
            if problems:
                return {**result, "failed": True, "msg": "; ".join(problems)}
            result["warnings"] = list(host_warnings(state, pi=pi))
        return result

    def _date(self) -> tuple[int, str, int] | None:
        """Return what the Pi's `date` printed between two readings of our clock; takes 0.05 s."""
        asked_ns = time.time_ns()
        try:
            printed = str(self._low_level_execute_command("date +%s%N", sudoable=False)["stdout"])
        except AnsibleError:
            return None
        return asked_ns, printed, time.time_ns()

    def _observe(self, pi: str, runtime: str, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Return what the module saw; AnsibleError with one line of ours if it saw nothing."""
        context = self._play_context
        remote = Remote(pi, str(context.remote_addr or pi), context.remote_user, context.port)
        try:
            observed: dict[str, Any] = self._execute_module(
                module_name="pi_host_facts", module_args={"runtime": runtime}, task_vars=task_vars
            )
        except AnsibleConnectionFailure as error:
            raise AnsibleError(connection_problem(remote, str(error))) from None
        except AnsibleError as error:
            said = str(error)
            raise AnsibleError(
                sudo_problem(remote, said)
                or f"{pi}: Ansible cannot work there ({one_line(said, 160)}). Next: {remote.ssh}"
            ) from None
        said = str(observed.get("module_stderr") or observed.get("module_stdout") or observed.get("msg"))
        # There only where no module answered. Ansible's own mark of that has changed between versions.
        if "module_stdout" in observed or "module_stderr" in observed:
            raise AnsibleError(sudo_problem(remote, said) or python_problem(pi, said))
        if observed.get("failed"):
            raise AnsibleError(
                f"{pi}: it cannot be looked at ({one_line(said, 200)}). Next: set benchmark_host_checks: "
                "false to measure all the same"
            )
        return observed


def _unseen(when: str, pi: str, why: str) -> dict[str, Any]:
    if when == BEFORE:
        return {"failed": True, "msg": why}
    warning = f"{pi} could not be looked at after the run, so what it was like then is unknown: {why}"
    return {"changed": False, "warnings": [warning]}
