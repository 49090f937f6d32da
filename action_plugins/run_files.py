"""Write the files of a run on the control host, all in one task.

The copy module would do, at 0.4 s a file: a run writes a dozen of them.

Arguments of the task:
    dir     the run's folder; made with mode 0700 where it is missing
    files   relative path -> content: text as it is, anything else as JSON
    latest  true: let the link `latest` beside the folder point to it

Each file appears whole or not at all, with mode 0600. Fails with one line
that names the file where it cannot be written.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# Ansible loads this file by its path; its neighbours and src/ are not importable without this line.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from pi_speedup.run_files import link_as_latest, write_files


class ActionModule(ActionBase):
    """The task `run_files`."""

    _VALID_ARGS = frozenset(("dir", "files", "latest"))
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write the files that differ; the result says which."""
        super().run(tmp, task_vars)
        del tmp
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "dir": {"type": "path", "required": True},
                "files": {"type": "dict", "required": True},
                "latest": {"type": "bool", "default": False},
            }
        )
        if self._task.check_mode:
            return {"changed": True, "skipped": True, "msg": "files are not written in check mode"}
        try:
            folder = Path(arguments["dir"])
            written = write_files(folder, arguments["files"])
            if arguments["latest"]:
                link_as_latest(folder)
        except (OSError, ValueError) as error:
            # Ansible would print the cause, and its own one, behind the line.
            raise AnsibleActionFail(str(error)) from None
        return {"changed": bool(written), "written": written}
