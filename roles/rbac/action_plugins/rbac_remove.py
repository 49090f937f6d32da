"""Adapter: take away the rights that were granted to a benchmark, and the kubeconfig that has them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.kube.client import KubeClient
from pi_speedup.kube.owned import Place
from pi_speedup.kube.rbac import as_administrator, documents, kubeconfig_path, remove_kubeconfig, take_away
from pi_speedup.problem import ProblemError
from pi_speedup.text import to_plain


class ActionModule(ActionBase):
    """Arguments: `admin_kubeconfig`, `namespace`, `manifests`, `kubeconfig`. Returns `removed`: what went."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Remove them; the file last, so that a second try finds all that is left."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given: Any = to_plain(self._task.args)
        place = Place(given["namespace"])
        path = kubeconfig_path(given["kubeconfig"], place, Path.home())
        manifests = documents(Path(given["manifests"]).read_text("utf-8"), place)
        try:
            with as_administrator(), KubeClient(Path(given["admin_kubeconfig"])) as client:
                removed = take_away(client, place, manifests, Display().display)
            if remove_kubeconfig(path, place):
                removed.append(str(path))
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        return {**result, "changed": bool(removed), "removed": removed}
