"""Adapter: have the image of an archive on one Pi, or remove the archive there, and say so in one line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.pi.preload import FILE, Archive, Target, preload, remove
from pi_speedup.pi.shell import ConnectionShell
from pi_speedup.pi.ssh import Remote, connection_error, other_problem
from pi_speedup.problem import ProblemError
from pi_speedup.text import to_plain


class ActionModule(ActionBase):
    """Arguments: `pi`, `folder`, `ctr`, `runtime` or empty, and `found`, an Archive, or null to remove it."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Look first: an archive is sent only where something lacks."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given: Any = to_plain(self._task.args)
        pi = str(given["pi"])
        remote = Remote.of(pi, self._play_context)

        def broken(error: Exception) -> ProblemError | None:
            if isinstance(error, AnsibleConnectionFailure):
                return connection_error(remote, str(error))
            return (
                ProblemError(other_problem(remote, str(error))) if isinstance(error, AnsibleError) else None
            )

        target = Target(
            pi,
            str(given["folder"]),
            [str(word) for word in given["ctr"]],
            str(given["runtime"] or ""),
            root=ConnectionShell.of_action(self, broken),
            user=ConnectionShell(self._connection, broken, self._play_context.executable or "/bin/sh"),
        )
        try:
            if not given["found"]:
                gone = [f"{target.folder}/{FILE}"] if remove(target) else []
                return {**result, "changed": bool(gone), "removed": gone}
            found = given["found"]
            archive = Archive(
                **{**found, "path": Path(found["path"]), "layers": tuple(found["layers"])},
            )
            _, line = preload(archive, target, lambda: self._upload(archive))
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        except AnsibleError as error:
            return {**result, "failed": True, "msg": str(broken(error))}
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        Display().display(line)
        return {**result, "changed": False}

    def _upload(self, archive: Archive) -> str:
        folder = self._connection._shell.tmpdir or self._make_tmp_path()
        return str(self._transfer_file(str(archive.path), self._connection._shell.join_path(folder, FILE)))
