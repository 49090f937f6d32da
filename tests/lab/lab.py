"""A lab as tests and benchmarks of the product use it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.virtual import PROJECT, Outcome, VirtualCluster
from virtual_cluster.tests.rig import LabRig

__all__ = ["PROJECT", "Lab", "Outcome"]


@dataclass(frozen=True)
class Lab(VirtualCluster, LabRig):
    """A running lab in `folder`."""

    def left_behind(self) -> list[str]:
        """Return all of ours that is anywhere in the cluster."""
        kinds = "namespaces,configmaps,leases,jobs,pods"
        selector = "--selector=app.kubernetes.io/managed-by=pi-speedup"
        items = self.get(kinds, "--all-namespaces", selector)["items"]
        return [f"{item['kind']} {item['metadata']['name']}" for item in items]
