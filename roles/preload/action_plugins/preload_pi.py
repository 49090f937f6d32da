"""Adapter: have the image of an archive on one Pi, or remove the archive there, and say so in one line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.pi.shell import ConnectionShell
from pi_speedup.pi.ssh import broken_by
from pi_speedup.problem import ProblemError
from pi_speedup.remote import Remote
from pi_speedup.setup.preload import ARCHIVE_FILE, FILE, Archive, Target, preload, remove
from pi_speedup.store import RunStore
from pi_speedup.text import to_plain


class ActionModule(ActionBase):
    """Arguments: `run_dir`, `pi` (a name), `folder`, `ctr`, and `absent` to remove the archive."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Look first: an archive is sent only where something lacks."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given: Any = to_plain(self._task.args)
        pi = str(given["pi"])
        remote = Remote.of_action(pi, self, task_vars)
        store = RunStore(Path(given["run_dir"]))
        try:
            target = Target(
                pi,
                str(given["folder"]),
                [str(word) for word in given["ctr"]],
                store.run().runtime(pi),
                root=ConnectionShell.of_action(self, remote),
                user=ConnectionShell.of_action(self, remote, may_become=False),
            )
            if given.get("absent"):
                gone = [f"{target.folder}/{FILE}"] if remove(target) else []
                return {**result, "changed": bool(gone), "removed": gone}
            archive = store.read(Archive, ARCHIVE_FILE)
            _, line = preload(archive, target, lambda: self._upload(archive))
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        except AnsibleError as error:
            return {**result, "failed": True, "msg": str(broken_by(error, remote))}
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        Display().display(line)
        return {**result, "changed": False}

    def _upload(self, archive: Archive) -> str:
        folder = self._connection._shell.tmpdir or self._make_tmp_path()
        return str(self._transfer_file(archive.path, self._connection._shell.join_path(folder, FILE)))
