"""A lab as tests and benchmarks use it: by its commands, as a person does."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.virtual import PROJECT, Outcome, VirtualCluster

__all__ = ["PROJECT", "Lab", "Outcome"]


@dataclass(frozen=True)
class Lab(VirtualCluster):
    """A running lab in `folder`."""

    def pid(self, component: str) -> int:
        """Return the process of a component of the control plane."""
        return int(json.loads(self.virtual_cluster("status", "--json"))["components"][component]["pid"])
