"""Adapter: what the cluster says of the Pis goes into nodes.json, and what must be applied is found.

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

from pi_speedup.kube.access.client import KubeClient
from pi_speedup.kube.nodes.nodes import nodes_or_names
from pi_speedup.kube.owned.owned import Place, to_apply
from pi_speedup.kube.owned.rights import may_isolate, require_to_measure
from pi_speedup.model.node import Nodes
from pi_speedup.model.run import Run
from pi_speedup.plan.left_out import left_out, warning, what_stops, with_unfit, without_unfit
from pi_speedup.plan.resume import check_same_systems
from pi_speedup.problem import Problem, ProblemError
from pi_speedup.store import RunStore
from pi_speedup.text import listed, to_plain


class ActionModule(ActionBase):
    """Arguments: `run_dir`, `namespace` and `owner`, our manifests.

    Returns `to_apply`, which of them are absent or differ, and `may_isolate`: may a NetworkPolicy be made?
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Look."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given: Any = to_plain(self._task.args)
        store = RunStore(Path(given["run_dir"]))
        tell = Display().display
        try:
            run = store.run()
            place = Place(run.settings.namespace)
            with KubeClient(Path(run.kubeconfig)) as client:
                for line in require_to_measure(client, place):
                    tell(line)
                nodes = nodes_or_names(client, run.pis, run.settings.architecture, run.addresses)
                if not nodes.readable:
                    tell(
                        f"kubeconfig {client.kubeconfig} may not list nodes: the Pis are those of the "
                        "inventory, and nobody looked whether their nodes are ready, cordoned or of another "
                        "architecture"
                    )
                nodes, stops = self._who_takes_part(nodes, store, run, result)
                if stops:
                    return {**result, "failed": True, "msg": "\n".join(map(str, stops))}
                if nodes.not_in_inventory:
                    others = listed(nodes.not_in_inventory)
                    tell(f"In the cluster but not in the inventory, so not used: {others}")
                wanted = to_apply(client, place, given["namespace"], given["owner"])
                isolates = may_isolate(client, place)
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        return {**result, "to_apply": wanted, "may_isolate": isolates}

    def _who_takes_part(
        self, nodes: Nodes, store: RunStore, run: Run, result: dict[str, Any]
    ) -> tuple[Nodes, tuple[Problem, ...]]:
        """Put nodes.json down; return it, and why the run cannot begin. Who is left out is a warning."""
        min_pis = run.min_pis
        # What hosts/ holds without looking is of an earlier session.
        nodes = with_unfit(nodes, store.unfit(run.pis, run.session) if run.settings.host_checks else {})
        if store.has_plan:
            # The run goes on: it needs the Pis of its plan, and those that were left out are not asked for.
            min_pis, before = len(nodes.nodes), store.nodes()
            if before and store.trials():
                check_same_systems(store.plan(), before, nodes)
            nodes = nodes.model_copy(update={"left_out": before.left_out if before else ()})
        stops = what_stops(nodes, base_pi=run.base_pi, min_pis=min_pis)
        if not stops and not store.has_plan:
            nodes = without_unfit(nodes)
            result["warnings"] = [warning(each, min_pis) for each in left_out(nodes)]
        store.write({"nodes.json": nodes})
        return nodes, stops
