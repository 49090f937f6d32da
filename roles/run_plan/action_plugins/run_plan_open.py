"""Adapter: settings and the inventory's groups in; run.json out, in the run's folder."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

_PROJECT = Path(__file__).resolve().parents[3]
# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(_PROJECT / "src"))

from pi_speedup.codes import Code
from pi_speedup.model.settings import PREFIX
from pi_speedup.plan.opening import Here, Inventory, needs_calibration, open_door, settings_of
from pi_speedup.problem import ProblemError, refuse
from pi_speedup.store import RUN_FILE, RunStore
from pi_speedup.text import one_line, to_plain

_GROUPS = ("pis", "base", "server", "agent")


class ActionModule(ActionBase):
    """Arguments: `door`; `groups`, the hosts of each group of the inventory; `worker`, what trials run in
    place of the workload's own program, empty for that.

    Settings, --limit and the hosts that it leaves are taken from the variables of this host. Returns `dir`,
    the folder of run.json, and what decides which hosts a play has.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Open the door."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given: Any = to_plain(self._task.args)
        variables = task_vars or {}
        limit = variables.get("ansible_limit")
        here = Here(
            project=_PROJECT,
            environment=os.environ,
            home=Path.home(),
            moment=time.strftime("%Y%m%d-%H%M%S", time.gmtime()),
            fresh=secrets.randbits(16),
        )
        try:
            run = open_door(
                given["door"],
                self._all_settings(variables, given["groups"]),
                Inventory(
                    **{group: given["groups"].get(group) for group in _GROUPS},
                    limit=str(limit) if limit else None,
                    reached=[str(host) for host in variables["ansible_play_hosts_all"]] if limit else None,
                    addresses=_addresses(variables["hostvars"], _of_all(given["groups"])),
                ),
                here,
                worker=given["worker"],
                check_mode=bool(self._task.check_mode),
            )
            RunStore(run.folder).write({RUN_FILE: run})
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        return {
            **result,
            "changed": False,
            "dir": str(run.folder),
            "base_pi": run.base_pi,
            "fetch_from": run.fetch_from,
            "pis": list(run.pis),
            "look_at": list(run.pis) if run.settings.host_checks else [],
            "calibrate": needs_calibration(run),
        }

    def _all_settings(self, variables: dict[str, Any], groups: dict[str, list[str]]) -> dict[str, object]:
        """Return this machine's settings with those that stand with the Pis or with a group of them."""
        of_all = _of_all(groups)
        hosts = variables["hostvars"]
        return settings_of(
            self._settings(variables),
            {pi: self._settings(hosts[pi]) for pi in of_all if pi in hosts},
        )

    def _settings(self, variables: Mapping[str, Any]) -> dict[str, object]:
        """Return all variables that begin like a setting, their templates filled in."""
        found: dict[str, object] = {}
        for name in variables:
            if not name.startswith(PREFIX):
                continue
            try:
                # Of another host it is filled in as soon as it is read.
                found[str(name)] = to_plain(self._templar.template(variables[name]))
            except AnsibleError as error:
                raise refuse(
                    Code.SETTING_TEMPLATE_FAILS,
                    one_line(name, 60),
                    f"its template fails ({one_line(error, 200)})",
                    "mend it where it is set; if it is no template, write !unsafe before it, in YAML",
                ) from None
        return found


def _of_all(groups: dict[str, list[str]]) -> list[str]:
    return groups.get("pis") or [*(groups.get("server") or ()), *(groups.get("agent") or ())]


def _addresses(hosts: Any, pis: Iterable[str]) -> dict[str, str]:
    """Return how the Pis are reached, where a variable says so and its template does not fail."""
    found: dict[str, str] = {}
    for pi in pis:
        with contextlib.suppress(AnsibleError, KeyError):
            found[str(pi)] = str(hosts[pi]["ansible_host"])
    return found
