"""Adapter: take away what is ours in the cluster, unless somebody measures, and say what that was."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.kube.cleanup import clean_up
from pi_speedup.kube.client import KubeClient
from pi_speedup.kube.owned import Place
from pi_speedup.problem import ProblemError, refuse
from pi_speedup.text import one_line, to_plain


class ActionModule(ActionBase):
    """Arguments: `kubeconfig`, `namespace`, `end_running`. Returns `removed`: what went."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Remove it, and wait until it is gone."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given: Any = to_plain(self._task.args)
        try:
            running = _yes_or_no(given["end_running"])
            with KubeClient(Path(given["kubeconfig"])) as client:
                removed = clean_up(client, Place(given["namespace"]), Display().display, running)
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        return {**result, "changed": bool(removed), "removed": removed}


def _yes_or_no(given: object) -> bool:
    try:
        return bool(boolean(given))
    except TypeError:
        raise refuse(
            "cleanup_running", f"{one_line(repr(given), 60)} is not true or false", "-e cleanup_running=true"
        ) from None
