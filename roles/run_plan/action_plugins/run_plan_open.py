"""Adapter: settings and the inventory's groups in; the run's folder and kubeconfig out. Writes nothing."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

_PROJECT = Path(__file__).resolve().parents[3]
# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(_PROJECT / "src"))

from pi_speedup.codes import Code
from pi_speedup.model.settings import PREFIX
from pi_speedup.plan.opening import Here, Inventory, open_door
from pi_speedup.problem import ProblemError, refuse
from pi_speedup.text import one_line, to_plain

_GROUPS = ("pis", "base", "server", "agent")


class ActionModule(ActionBase):
    """Arguments: `door`, groups `pis`, `base`, `server`, `agent` or null, `limit`, `reached`, `worker_path`.

    `reached` is what --limit leaves. The settings are taken from the variables of this host. Returns the
    fields of Opened.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Open the door."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given: Any = to_plain(self._task.args)
        here = Here(
            project=_PROJECT,
            environment=os.environ,
            home=Path.home(),
            moment=time.strftime("%Y%m%d-%H%M%S", time.gmtime()),
            fresh=secrets.randbits(16),
        )
        try:
            opened = open_door(
                given["door"],
                self._settings(task_vars or {}),
                Inventory(
                    **{group: given[group] if given[group] != "" else None for group in _GROUPS},
                    limit=given["limit"] or None,
                    reached=given["reached"] or None,
                ),
                here,
                worker_sha256=hashlib.sha256(Path(given["worker_path"]).read_bytes()).hexdigest(),
                check_mode=bool(self._task.check_mode),
            )
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        return {**result, **opened.plain(), "changed": False}

    def _settings(self, variables: dict[str, Any]) -> dict[str, object]:
        """Return all variables that begin like a setting, their templates filled in."""
        found: dict[str, object] = {}
        for name, value in variables.items():
            if not name.startswith(PREFIX):
                continue
            try:
                found[str(name)] = to_plain(self._templar.template(value))
            except AnsibleError as error:
                raise refuse(
                    Code.SETTING_TEMPLATE_FAILS,
                    one_line(name, 60),
                    f"its template fails ({one_line(error, 200)})",
                    "mend it in the inventory",
                ) from None
        return found
