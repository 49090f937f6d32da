"""Adapter: the NetworkPolicy, owned by our ConfigMap, where it must be applied."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.kube.access.client import KubeClient
from pi_speedup.kube.owned.owned import Place, policy_to_apply
from pi_speedup.problem import ProblemError
from pi_speedup.store import RunStore
from pi_speedup.text import to_plain


class ActionModule(ActionBase):
    """Arguments: `run_dir`, `policy`. Returns `to_apply`, with the owner in it."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Look."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given: Any = to_plain(self._task.args)
        try:
            run = RunStore(Path(given["run_dir"])).run()
            with KubeClient(Path(run.kubeconfig)) as client:
                to_apply = policy_to_apply(client, Place(run.settings.namespace), given["policy"])
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        return {**result, "to_apply": to_apply}
