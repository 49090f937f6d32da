"""Adapter: the rights that a benchmark needs, and a kubeconfig that has them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.kube.access.client import KubeClient
from pi_speedup.kube.owned.documents import Document
from pi_speedup.kube.owned.owned import Place
from pi_speedup.problem import ProblemError
from pi_speedup.setup.rbac import (
    as_administrator,
    days_of,
    kubeconfig_path,
    remove_kubeconfig,
    take_away,
    to_grant,
    write_kubeconfig,
)
from pi_speedup.store import RunStore
from pi_speedup.text import to_plain


class ActionModule(ActionBase):
    """Arguments: `run_dir`, `manifests`, `kubeconfig`, `state`; `days` that its token counts, unless absent.

    state: `looked_at` returns `to_apply`, the manifests of what is absent or differs; `written` writes the
    kubeconfig; `absent` removes it and the rights, and returns `removed`, what that was. Neither token nor
    key is returned.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Look, write or remove."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given: Any = to_plain(self._task.args)
        tell = Display().display
        state = given["state"]
        try:
            run = RunStore(Path(given["run_dir"])).run()
            place = Place(run.settings.namespace)
            path = kubeconfig_path(given["kubeconfig"], place, Path.home())
            documents = tuple(map(Document, given["manifests"]))
            days = days_of(given["days"]) if state != "absent" else 0
            with as_administrator(), KubeClient(Path(run.kubeconfig)) as client:
                if state == "looked_at":
                    return {**result, "to_apply": to_grant(client, documents)}
                if state == "written":
                    until = write_kubeconfig(client, place, path, days, documents)
                    tell(
                        f"{path} may run benchmarks in namespace {place.namespace} until {until}. "
                        f"Use it: export KUBECONFIG={path}"
                    )
                    # Its token is another one each time.
                    return {**result, "changed": True}
                removed = take_away(client, place, documents, tell)
            # Last, so that a second try finds all that is left.
            removed += [str(path)] if remove_kubeconfig(path, place) else []
            return {**result, "changed": bool(removed), "removed": removed}
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
