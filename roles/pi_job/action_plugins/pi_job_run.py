"""Adapter: run the Job to its end with a line of progress per change, results and logs on disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_kube.client import KubeClient
from pi_kube.errors import KubeError
from pi_kube.ours import Place
from pi_kube.run import Plan, run_job
from pi_speedup.plain import to_plain

_ARGUMENTS: dict[str, dict[str, Any]] = {
    "kubeconfig": {"type": "path", "required": True},
    "namespace": {"type": "str", "required": True},
    "worker": {"type": "str", "required": True},
    "manifest": {"type": "dict", "required": True},
    "node_names": {"type": "list", "elements": "str", "required": True},
    "timeout_seconds": {"type": "int", "required": True},
    "run_dir": {"type": "path", "required": True},
}


class ActionModule(ActionBase):
    """Arguments: see _ARGUMENTS; `worker` is the name of the ConfigMap that owns the Job.

    Returns `outcome` and `reason`; fails with one line that names pod, Pi, cause and next step.
    """

    _supports_check_mode = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the Job."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, validated = self.validate_argument_spec(_ARGUMENTS)
        arguments: Any = to_plain({key: validated[key] for key in _ARGUMENTS})
        plan = Plan(
            place=Place(namespace=arguments["namespace"], worker=arguments["worker"]),
            manifest=arguments["manifest"],
            node_names=arguments["node_names"],
            timeout_seconds=arguments["timeout_seconds"],
            run_dir=Path(arguments["run_dir"]),
        )
        display = Display()
        try:
            with KubeClient(Path(arguments["kubeconfig"])) as client:
                ending = run_job(client, plan, lambda line: display.display(f"  {line}"))
        except (KubeError, OSError) as error:
            return {**result, "failed": True, "msg": str(error)}
        result |= {"changed": True, "outcome": ending.outcome, "reason": ending.reason}
        if ending.outcome == "failed":
            result |= {"failed": True, "msg": f"{ending.message.rstrip('.')}. Next: {ending.next_step}"}
        return result
