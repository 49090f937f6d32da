"""nodes.json: the Pis as the cluster described them before the run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pi_speedup.model.base import Model, Name, Text
from pi_speedup.problem import Problem


class Node(Model):
    """One Pi; None for what the cluster didn't say. Usable: it can take a pod of ours, so no problem.

    `host` is its name in the inventory where that is its address, as in inventories of k3s-ansible.
    """

    name: Name
    host: Name | None = None
    architecture: Text | None = None
    kubelet_version: Text | None = None
    os_image: Text | None = None
    kernel_version: Text | None = None
    container_runtime: Text | None = None
    cores: Annotated[int, Field(ge=1, le=10_000)] | None = None
    memory: Text | None = None
    server: bool = False
    problems: tuple[Problem, ...] = ()

    @property
    def inventory_name(self) -> str:
        """Its name in the inventory."""
        return self.host or self.name

    @property
    def usable(self) -> bool:
        """Whether it can take a pod."""
        return not self.problems


class Nodes(Model):
    """One entry per Pi in the order of the inventory, and the names of the cluster's other nodes.

    `left_out` are the inventory's Pis that take no part in the run; their problems say why. `readable` is
    false where the kubeconfig may not list nodes: then the names are the inventory's, and the cluster said
    nothing of them.
    """

    schema_version: Literal[1] = 1
    readable: bool = True
    nodes: tuple[Node, ...]
    not_in_inventory: tuple[Text, ...]
    left_out: tuple[Node, ...] = ()
