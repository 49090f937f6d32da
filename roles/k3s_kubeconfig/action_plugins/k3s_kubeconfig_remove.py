"""Adapter: remove the kubeconfig fetched for a run, or those for all runs, from the control host.

The file module would do for one, at ten times the time; for all, find and a loop over the file module.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.kube.access.fetched import remove_fetched
from pi_speedup.problem import ProblemError
from pi_speedup.store import RunStore


class ActionModule(ActionBase):
    """Arguments: `run_dir`; `all`: those for all runs too. Returns the paths of these others, `removed`.

    That the one of this run goes is no change: it was put there for this play.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Remove what is there; nothing there is well too."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {"run_dir": {"type": "path", "required": True}, "all": {"type": "bool", "default": False}}
        )
        if self._task.check_mode:
            return {**result, "skipped": True, "msg": "nothing is removed in check mode"}
        try:
            run = RunStore(Path(arguments["run_dir"])).run()
            removed = remove_fetched(Path(run.runs_dir if arguments["all"] else run.dir))
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        left = [path for path in removed if path != run.kubeconfig]
        return {**result, "changed": bool(left), "removed": left}
