"""Adapter: what the cluster says of the Pis goes into nodes.json, and our namespace and ConfigMap are there.

Before anything is created, all that could be in the way is named: rights that are missing, Pis that cannot
take a pod, a ConfigMap of others.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.kube.client import KubeClient
from pi_speedup.kube.manifest import namespace_manifest, owner_manifest, policy_manifest
from pi_speedup.kube.nodes import nodes_or_names
from pi_speedup.kube.owned import Place, apply, isolate, to_apply
from pi_speedup.kube.rights import require_to_measure
from pi_speedup.model.node import Nodes
from pi_speedup.plan.left_out import left_out, warning, what_stops, with_unfit, without_unfit
from pi_speedup.problem import Problem, ProblemError
from pi_speedup.store import RunStore
from pi_speedup.text import listed, to_plain

_TEMPLATES = Path(__file__).resolve().parents[1] / "templates"


class ActionModule(ActionBase):
    """Arguments: `kubeconfig`, `run_dir`, `pis`, `base_pi`, `min_pis`, `architecture`, `namespace`.

    And `looked_at`: whether the Pis were, over SSH, in this run. Pis are named as in the inventory.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Look first; then apply what is absent or differs."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given: Any = to_plain(self._task.args)
        place = Place(given["namespace"])
        tell = Display().display
        try:
            with KubeClient(Path(given["kubeconfig"])) as client:
                for line in require_to_measure(client, place):
                    tell(line)
                nodes = nodes_or_names(client, given["pis"], given["architecture"])
                if not nodes.readable:
                    tell(
                        f"kubeconfig {client.kubeconfig} may not list nodes: the Pis are those of the "
                        "inventory, and nobody looked whether their nodes are ready, cordoned or of another "
                        "architecture"
                    )
                nodes, stops = self._who_takes_part(nodes, given, result)
                if stops:
                    return {**result, "failed": True, "msg": "\n".join(map(str, stops))}
                if nodes.not_in_inventory:
                    others = listed(nodes.not_in_inventory)
                    tell(f"In the cluster but not in the inventory, so not used: {others}")
                wanted = to_apply(
                    client,
                    place,
                    namespace_manifest((_TEMPLATES / "namespace.yml.j2").read_text("utf-8"), place),
                    owner_manifest((_TEMPLATES / "owner.yml.j2").read_text("utf-8"), place),
                )
                owner_uid = apply(client, place, wanted)
                policy = (_TEMPLATES / "network_policy.yml.j2").read_text("utf-8")
                isolated = isolate(client, place, policy_manifest(policy, place, owner_uid))
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        return {**result, "changed": bool(wanted) or isolated}

    def _who_takes_part(
        self, nodes: Nodes, given: dict[str, Any], result: dict[str, Any]
    ) -> tuple[Nodes, tuple[Problem, ...]]:
        """Put nodes.json down; return it, and why the run cannot begin. Who is left out is a warning."""
        store, min_pis = RunStore(Path(given["run_dir"])), int(given["min_pis"])
        nodes = with_unfit(nodes, store.unfit(given["pis"]) if given["looked_at"] else {})
        if store.has_plan:
            # The run goes on: it needs the Pis of its plan, and those that were left out are not asked for.
            min_pis, before = len(nodes.nodes), store.nodes()
            nodes = nodes.model_copy(update={"left_out": before.left_out if before else ()})
        stops = what_stops(nodes, base_pi=given["base_pi"], min_pis=min_pis)
        if not stops and not store.has_plan:
            nodes = without_unfit(nodes)
            result["warnings"] = [warning(each, min_pis) for each in left_out(nodes)]
        store.write({"nodes.json": nodes})
        return nodes, stops
