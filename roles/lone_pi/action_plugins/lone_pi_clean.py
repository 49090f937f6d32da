"""Adapter: leave no container or process of ours on the Pi that works alone, and say what was removed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.model.settings import settings_from
from pi_speedup.pi.base import clean
from pi_speedup.pi.shell import ConnectionShell
from pi_speedup.pi.ssh import Remote, connection_error, other_problem
from pi_speedup.problem import ProblemError


class ActionModule(ActionBase):
    """Arguments: `pi` (a name), `runtime`, `command_prefix`, `python`; result: `removed`, a list of words."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask and tell the Pi in one exchange."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "pi": {"type": "str", "required": True},
                "runtime": {"type": "str", "required": True},
                "command_prefix": {"type": "list", "elements": "str", "required": True},
                "python": {"type": "str", "required": True},
            }
        )
        pi = str(arguments["pi"])
        remote = Remote.of(pi, self._play_context)

        def broken(error: Exception) -> ProblemError | None:
            if isinstance(error, AnsibleConnectionFailure):
                return connection_error(remote, str(error))
            return (
                ProblemError(other_problem(remote, str(error))) if isinstance(error, AnsibleError) else None
            )

        try:
            settings = settings_from(
                {
                    "benchmark_base_runtime": str(arguments["runtime"]),
                    "benchmark_base_command_prefix": [str(word) for word in arguments["command_prefix"]],
                    "benchmark_base_python": str(arguments["python"]),
                }
            )
            removed = clean(ConnectionShell.of_action(self, broken), pi, settings)
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        return {**result, "changed": bool(removed), "removed": list(removed)}
