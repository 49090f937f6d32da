"""Adapter: put the files of a report into the run's folder, whole or not at all, for nobody else to read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.problem import ProblemError
from pi_speedup.store import RunStore
from pi_speedup.text import to_plain


class ActionModule(ActionBase):
    """Arguments: `run_dir`, and `files` (text by name). Returns `written`: those that differed."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write what differs."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given: Any = to_plain(self._task.args)
        try:
            written = RunStore(Path(given["run_dir"])).write(given["files"])
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        # A report follows from what is there already: making it is not a change.
        return {**result, "changed": False, "written": written}
