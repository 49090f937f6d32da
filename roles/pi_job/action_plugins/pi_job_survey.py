"""Adapter: find out what must be applied, before anything is applied to what may be another's.

kubernetes.core would take one task of 0.9 s each to read the namespace and the ConfigMap, 1.5 s to apply what
is there already, and it has no "create, but never change".
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_kube.client import KubeClient
from pi_kube.errors import KubeError
from pi_kube.ours import Place, to_apply
from pi_speedup.plain import to_plain


class ActionModule(ActionBase):
    """Arguments: `kubeconfig`, and the manifests `namespace` and `worker` (the ConfigMap).

    Returns `to_apply`: those of the two that are absent or differ. Fails if the ConfigMap is another's, or
    the namespace is on its way out.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Read both objects; change nothing."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, validated = self.validate_argument_spec(
            {
                "kubeconfig": {"type": "path", "required": True},
                "namespace": {"type": "dict", "required": True},
                "worker": {"type": "dict", "required": True},
            }
        )
        namespace: Any = to_plain(validated["namespace"])
        worker: Any = to_plain(validated["worker"])
        place = Place(namespace["metadata"]["name"], worker["metadata"]["name"])
        try:
            with KubeClient(Path(validated["kubeconfig"])) as client:
                wanted = to_apply(client, place, namespace, worker)
        except KubeError as error:
            return {**result, "failed": True, "msg": str(error)}
        return {**result, "changed": False, "to_apply": wanted}
