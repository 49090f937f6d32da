"""Adapter: read the cluster's Nodes with the kubeconfig checked first, every failure one line.

kubernetes.core.k8s_info reads Nodes too, but knows no timeout and answers a stopped server, a foreign
certificate or a missing file with a traceback; and nobody but this first read can check the kubeconfig.
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


class ActionModule(ActionBase):
    """Argument `kubeconfig`: a path. Returns `nodes`: the Node objects without what only kubelets need."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Read the Nodes in one request."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec({"kubeconfig": {"type": "path", "required": True}})
        try:
            with KubeClient(Path(arguments["kubeconfig"])) as client:
                nodes, _ = client.list_all("/api/v1/nodes")
        except KubeError as error:
            return {**result, "failed": True, "msg": str(error)}
        for node in nodes:
            # Long lists that nobody here reads, and Ansible copies results to every host.
            node["metadata"].pop("managedFields", None)
            node.get("status", {}).pop("images", None)
        return {**result, "changed": False, "nodes": nodes}
