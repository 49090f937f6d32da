"""Adapter: look at one Pi, keep what it said in the run's folder, and say in one line what it lacks.

An unreachable Pi is a failure like any other here, with our line and not Ansible's, so that one run names
every Pi that needs attention. After the run nothing fails: what cannot be read then is unknown. Nor does a Pi
fail that a run can do without: what it lacks is kept for who decides whether enough others are fit.
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

from pi_speedup.codes import Code
from pi_speedup.model.host import AFTER, BEFORE, HostLook, HostState, When
from pi_speedup.pi.fitness import problems, warnings
from pi_speedup.pi.shell import Outcome, understand_each_sudo
from pi_speedup.pi.ssh import connection_error, module_problem, other_problem, wants_a_file
from pi_speedup.pi.state import host_state
from pi_speedup.plan.left_out import or_another_base
from pi_speedup.problem import Problem, ProblemError, refuse
from pi_speedup.remote import Remote
from pi_speedup.store import RunStore
from pi_speedup.text import one_line, to_plain


class ActionModule(ActionBase):
    """Arguments: `pi` (a name), `when` (before, after), `run_dir`."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module on the Pi between two readings of our clock."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "pi": {"type": "str", "required": True},
                "when": {"type": "str", "required": True, "choices": [BEFORE, AFTER]},
                "run_dir": {"type": "path", "required": True},
            }
        )
        pi = str(arguments["pi"])
        when: When = BEFORE if arguments["when"] == BEFORE else AFTER
        store = RunStore(Path(str(arguments["run_dir"])))
        found: tuple[Problem, ...] = ()
        state: HostState | None = None
        runtime, need = "", "needed"
        try:
            run = store.run()
            if when == BEFORE:
                runtime, need = run.runtime(pi), run.needs[pi]
            asked_ns = time.time_ns()
            observed = self._observe(pi, runtime, task_vars)
            state = host_state(pi, observed, asked_ns=asked_ns, answered_ns=time.time_ns(), date=self._date())
        except ProblemError as error:
            if when == AFTER:
                return {**result, "changed": False, "warnings": [_unseen(pi, error)]}
            found = (error.problem,)
        else:
            result["changed"] = False
            # Where Ansible found Python: the next task on this Pi need not search again.
            result["ansible_facts"] = observed.get("ansible_facts", {})
            if when == BEFORE:
                found = problems(
                    state,
                    pi=pi,
                    architecture=run.settings.architecture,
                    runtime=runtime or None,
                    runtime_outcome=_outcome(observed.get("runtime")),
                )
                result["warnings"] = [] if found else [str(each) for each in warnings(state, pi=pi)]
        try:
            if state is not None or need == "spare":
                name = store.pi_of(pi)
                kept = found if need == "spare" else ()
                look = HostLook(pi=name, when=when, session=run.session, state=state, problems=kept)
                store.write({look.file: look})
        except ProblemError as error:
            if when == AFTER:
                return {**result, "warnings": [_unseen(pi, error)]}
            return {**result, "failed": True, "msg": str(error)}
        if found and need != "spare":
            lines = (*found[:-1], or_another_base(found[-1])) if need == "base" else found
            return {**result, "failed": True, "msg": "; ".join(map(str, lines))}
        return result

    def _date(self) -> tuple[int, str, int] | None:
        """Return what the Pi's `date` printed between two readings of our clock; takes 0.05 s."""
        asked_ns = time.time_ns()
        try:
            printed = str(self._low_level_execute_command("date +%s%N", sudoable=False)["stdout"])
        except AnsibleError:
            return None
        return asked_ns, printed, time.time_ns()

    def _write(self) -> str:
        """Return what the Pi says when it is to write a file where programs do."""
        script = 'LC_ALL=C; export LC_ALL; file=$(mktemp) && echo x >"$file" && rm -f "$file"'
        try:
            told = self._low_level_execute_command(script, sudoable=False)
        except AnsibleError:
            return ""
        return f"{told['stdout']}\n{told['stderr']}"

    def _observe(self, pi: str, runtime: str, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Return what the module saw; ProblemError if it saw nothing."""
        remote = Remote.of_action(pi, self, task_vars)
        if self._connection.become:
            understand_each_sudo(self._connection.become)
        try:
            observed: dict[str, Any] = self._execute_module(
                module_name="pi_host_facts", module_args={"runtime": runtime}, task_vars=task_vars
            )
        except AnsibleConnectionFailure as error:
            raise connection_error(remote, str(error)) from None
        except AnsibleError as error:
            raise ProblemError(other_problem(remote, str(error))) from None
        said = "\n".join(
            str(observed[name]) for name in ("module_stdout", "module_stderr") if observed.get(name)
        ) or str(observed.get("msg"))
        # There only where no module answered. Ansible's own mark of that has changed between versions.
        if "module_stdout" in observed or "module_stderr" in observed:
            wrote = self._write() if wants_a_file(said) else ""
            raise ProblemError(module_problem(remote, said, wrote))
        if observed.get("failed"):
            raise refuse(
                Code.PI_CANNOT_BE_LOOKED_AT,
                pi,
                f"it cannot be looked at ({one_line(said, 200)})",
                "set benchmark_host_checks: false to measure all the same",
            )
        return observed


def _outcome(told: object) -> Outcome | None:
    """Return what came of asking the container runtime, None where it was not asked."""
    found: Any = to_plain(told)
    if not isinstance(found, dict):
        return None
    said = found.get("stdout") if found["rc"] == 0 else found.get("stderr") or found.get("stdout")
    return Outcome(int(found["rc"]), str(said or ""))


def _unseen(pi: str, error: ProblemError) -> str:
    return f"{pi} could not be looked at after the run, so what it was like then is unknown: {error}"
