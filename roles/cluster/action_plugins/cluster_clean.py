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

from pi_speedup.codes import Code
from pi_speedup.kube.access.client import KubeClient
from pi_speedup.kube.owned.cleanup import clean_up, what_is_left
from pi_speedup.kube.owned.lease import ClaimedError
from pi_speedup.kube.owned.owned import Place, is_managed
from pi_speedup.problem import Problem, ProblemError
from pi_speedup.store import RunStore
from pi_speedup.text import one_line, to_plain


class ActionModule(ActionBase):
    """Arguments: `run_dir`, `end_running`, `unreachable`.

    unreachable: why there is no kubeconfig, or an empty text. Fails while somebody measures. Else returns
    `removed`, what went, and `problem`, the line to fail with once the rest is done, or an empty text. The
    uid of the ConfigMap that owned it is kept in run_dir: what is left on a Pi belongs to it too.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Remove it, and wait until it is gone."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given: Any = to_plain(self._task.args)
        removed: list[str] = []
        problem = str(given["unreachable"] or "")
        try:
            store = RunStore(Path(given["run_dir"]))
            run = store.run()
            place = Place(run.settings.namespace)
            running = _yes_or_no(given["end_running"])
            if not problem:
                removed = self._clean_up(Path(run.kubeconfig), place, running, store)
        except (ClaimedError, _SettingError) as error:
            return {**result, "failed": True, "msg": str(error)}
        except ProblemError as error:
            problem = str(error)
        return {
            **result,
            "changed": bool(removed),
            "removed": removed,
            "problem": what_is_left(problem, place) if problem else "",
        }

    def _clean_up(self, kubeconfig: Path, place: Place, running: bool, store: RunStore) -> list[str]:
        with KubeClient(kubeconfig) as client:
            owner = client.find(place.owner_path)
            if owner and is_managed(owner):
                store.note_owner(place.namespace, str(owner["metadata"]["uid"]))
            return clean_up(client, place, Display().display, running)


class _SettingError(ProblemError):
    """What was given is not valid, so nothing is done."""


def _yes_or_no(given: object) -> bool:
    try:
        return bool(boolean(given))
    except TypeError:
        what = f"{one_line(repr(given), 60)} is not true or false"
        step = "-e cleanup_running=true"
        raise _SettingError(
            Problem(code=Code.SETTING_NOT_VALID, subject="cleanup_running", what=what, next_step=step)
        ) from None
