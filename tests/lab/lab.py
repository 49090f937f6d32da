"""A lab as tests and benchmarks of the product use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.virtual import PROJECT, Outcome, VirtualCluster
from virtual_cluster.tests.rig import LabRig

__all__ = ["PROJECT", "Lab", "Outcome"]


@dataclass(frozen=True)
class Lab(VirtualCluster, LabRig):
    """A running lab in `folder`."""

    def left_behind(self, namespace: str = "pi-speedup") -> list[str]:
        """Return all of ours in a namespace, and the namespace; other tests have theirs in others."""
        kinds = "namespaces,configmaps,leases,jobs,pods,networkpolicies"
        selector = "--selector=app.kubernetes.io/managed-by=pi-speedup"
        items: list[dict[str, Any]] = self.get(kinds, "--all-namespaces", selector)["items"]
        found = [(item["kind"], item["metadata"]) for item in items]
        return [
            f"{kind} {metadata['name']}"
            for kind, metadata in found
            if metadata.get("namespace", metadata["name"]) == namespace
        ]
