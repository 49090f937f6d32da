"""Adapter: make the plan of a run and put it on disk, or go on with the one that is there; show it."""

from __future__ import annotations

import secrets
import sys
import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.plan.left_out import left_out
from pi_speedup.plan.make import make_plan
from pi_speedup.plan.progress import complete_rounds, expected_seconds
from pi_speedup.plan.words import duration_words, plan_lines
from pi_speedup.problem import ProblemError
from pi_speedup.store import RunStore
from pi_speedup.workload import sha256_of


class ActionModule(ActionBase):
    """Argument: `dir`, the run's folder."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Seal the plan, unless there is one: then opening the run has compared the two."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        store = RunStore(Path(str(self._task.args["dir"])))
        try:
            if not store.has_plan:
                run = store.run()
                names = {host: store.pi_of(host) for host in run.pis}
                for host, pi in names.items():
                    store.rename_looks(host, pi)
                without = left_out(store.nodes())
                pis = [pi for pi in names.values() if pi not in {each.pi for each in without}]
                store.seal(
                    make_plan(
                        run.settings,
                        run_id=store.folder.name,
                        made_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                        pis=pis,
                        base_pi=names[run.base_pi],
                        worker_sha256=sha256_of(Path(run.worker)),
                        program_sha256=sha256_of(Path(run.program)) if run.program else "",
                        calibration=store.calibration(),
                        cores=store.cores(pis),
                        fresh_seed=secrets.randbits(32),
                        left_out=without,
                    )
                )
            store.link_as_latest()
            plan, trials = store.plan(), store.trials()
        except ProblemError as error:
            return {**result, "failed": True, "msg": str(error)}
        for line in plan_lines(plan):
            Display().display(line)
        if trials:
            done = len(complete_rounds(plan, trials))
            left = expected_seconds(plan, trials)
            rest = "" if left is None else f", {duration_words(left)} left"
            Display().display(f"Going on after {done} of {plan.rounds} rounds{rest}")
        return {**result, "changed": False}
