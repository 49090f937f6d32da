"""Adapter: would the API server take these manifests? If not, its answer is one line with the next step."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.kube.access.client import KubeClient
from pi_speedup.kube.owned.documents import Document, dry_run
from pi_speedup.problem import ProblemError
from pi_speedup.setup.rbac import as_administrator
from pi_speedup.store import RunStore
from pi_speedup.text import to_plain


class ActionModule(ActionBase):
    """Arguments: `run_dir`, `manifests`. Fails where the API server refuses one, or is away for long."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask, without effect."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given: Any = to_plain(self._task.args)
        try:
            run = RunStore(Path(given["run_dir"])).run()
            with as_administrator(run.door == "rbac"), KubeClient(Path(run.kubeconfig)) as client:
                dry_run(client, map(Document, given["manifests"]))
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        return result
