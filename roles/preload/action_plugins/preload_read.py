"""Adapter: read the archive on the control host: is the image in it, and for this kind of Pi?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.codes import Code
from pi_speedup.problem import ProblemError, refuse
from pi_speedup.setup.preload import ARCHIVE_FILE, read_archive
from pi_speedup.store import RunStore
from pi_speedup.text import to_plain


class ActionModule(ActionBase):
    """Arguments: `run_dir`, `archive`. What is in it goes into archive.json beside run.json."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Read it once, for all Pis."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given: Any = to_plain(self._task.args)
        try:
            store = RunStore(Path(given["run_dir"]))
            settings = store.run().settings
            if not given["archive"]:
                step = f"docker save --output image.tar {settings.image}; then -e preload_archive=image.tar"
                raise refuse(Code.ARCHIVE_NOT_VALID, "preload_archive", "not given", step)
            path = Path(str(given["archive"])).expanduser().absolute()
            archive = read_archive(path, settings.image, settings.architecture)
            store.write({ARCHIVE_FILE: archive})
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        return {**result, "changed": False}
