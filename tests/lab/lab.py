"""A lab as tests and benchmarks of the product use it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.virtual import PROJECT, Outcome, VirtualCluster
from virtual_cluster.tests.rig import LabRig

__all__ = ["PROJECT", "Lab", "Outcome"]


@dataclass(frozen=True)
class Lab(VirtualCluster, LabRig):
    """A running lab in `folder`."""
