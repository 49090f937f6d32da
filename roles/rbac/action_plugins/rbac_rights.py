"""Adapter: the rights that a benchmark needs, and a kubeconfig that has them: granted, or taken away."""

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
from pi_speedup.kube.rbac import (
    as_administrator,
    days_of,
    documents,
    grant,
    kubeconfig_path,
    remove_kubeconfig,
    take_away,
    write_kubeconfig,
)
from pi_speedup.problem import ProblemError
from pi_speedup.text import to_plain


class ActionModule(ActionBase):
    """Arguments: `admin_kubeconfig`, `namespace`, `manifests`, `kubeconfig`; `days` to grant for or `absent`.

    Returns neither token nor key; `removed`: what was taken away.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Grant or take away."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given: Any = to_plain(self._task.args)
        place = Place(given["namespace"])
        path = kubeconfig_path(given["kubeconfig"], place, Path.home())
        manifests = documents(Path(given["manifests"]).read_text("utf-8"), place)
        tell = Display().display
        try:
            days = None if given.get("absent") else days_of(given["days"])
            with as_administrator(), KubeClient(Path(given["admin_kubeconfig"])) as client:
                if days is None:
                    removed = take_away(client, place, manifests, tell)
                else:
                    granted = grant(client, manifests)
                    until = write_kubeconfig(client, place, path, days, manifests)
            if days is None:
                # Last, so that a second try finds all that is left.
                removed += [str(path)] if remove_kubeconfig(path, place) else []
                return {**result, "changed": bool(removed), "removed": removed}
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        for each in granted:
            tell(f"granted: {each}")
        tell(
            f"{path} may run benchmarks in namespace {place.namespace} until {until}. "
            f"Use it: export KUBECONFIG={path}"
        )
        # Its token is another one each time.
        return {**result, "changed": True}
