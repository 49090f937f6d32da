"""Adapter: leave no container or process of ours on the Pi that works alone, and say what was removed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.pi.base import clean
from pi_speedup.pi.shell import ConnectionShell
from pi_speedup.problem import ProblemError
from pi_speedup.remote import Remote
from pi_speedup.store import RunStore, owners_in


class ActionModule(ActionBase):
    """Argument: `run_dir`. Returns `removed`, a list of words.

    Removed is what belongs to a ConfigMap that a run or clean-up of this namespace has met, by its uid.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask and tell the Pi in one exchange."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            run = RunStore(Path(str(self._task.args["run_dir"]))).run()
            remote = Remote.of_action(run.base_pi, self, task_vars)
            owners = owners_in(Path(run.runs_dir), run.settings.namespace)
            cleaned = clean(ConnectionShell.of_action(self, remote), run.base_pi, run.settings, owners)
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        for line in cleaned.left:
            Display().display(line)
        return {**result, "changed": bool(cleaned.removed), "removed": list(cleaned.removed)}
