"""Adapter: remove our Jobs, pods, ConfigMap and, if it is ours and empty, the namespace."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_kube.cleanup import clean_up
from pi_kube.client import KubeClient
from pi_kube.errors import KubeError
from pi_kube.ours import Place


class ActionModule(ActionBase):
    """Arguments `kubeconfig`, `namespace`, `worker` (the ConfigMap's name). Returns `removed`: what went."""

    _supports_check_mode = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Remove what is ours and wait until it is gone."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "kubeconfig": {"type": "path", "required": True},
                "namespace": {"type": "str", "required": True},
                "worker": {"type": "str", "required": True},
            }
        )
        place = Place(namespace=str(arguments["namespace"]), worker=str(arguments["worker"]))
        try:
            with KubeClient(Path(arguments["kubeconfig"])) as client:
                removed = clean_up(client, place, lambda line: Display().display(f"  {line}"))
        except KubeError as error:
            return {**result, "failed": True, "msg": str(error)}
        return {**result, "changed": bool(removed), "removed": removed}
