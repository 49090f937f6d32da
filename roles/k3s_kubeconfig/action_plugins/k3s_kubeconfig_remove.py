"""Adapter: remove the private folder of a run, or those of all runs, from the control host.

The file module would do for one, at ten times the time; for all, find and a loop over the file module.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.problem import ProblemError
from pi_speedup.store import remove_private


class ActionModule(ActionBase):
    """Argument `dir`: a run's folder, or the folder of runs. Returns `removed`: paths."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Remove what is there; nothing there is well too."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec({"dir": {"type": "path", "required": True}})
        if self._task.check_mode:
            return {**result, "skipped": True, "msg": "nothing is removed in check mode"}
        try:
            removed = remove_private(Path(arguments["dir"]))
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        # Not a change: it was put there for this run alone.
        return {**result, "changed": False, "removed": removed}
