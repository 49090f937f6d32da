"""Adapter: how fast the Pi that works alone is, for the plan; over the connection to this Pi."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.kube.access.client import KubeClient
from pi_speedup.kube.owned.lease import hold, this_holder
from pi_speedup.kube.owned.owned import Place, owner_uid
from pi_speedup.measure.calibrate import calibrate
from pi_speedup.measure.signals import Interrupts
from pi_speedup.model.run import Run
from pi_speedup.model.trial import Measured
from pi_speedup.pi.base import BaseDriver, prepare
from pi_speedup.pi.shell import ConnectionShell
from pi_speedup.plan.make import probe_plan
from pi_speedup.problem import Interrupted, ProblemError
from pi_speedup.remote import Remote
from pi_speedup.store import RunStore, owners_in
from pi_speedup.workload import program_of, workload_of


class ActionModule(ActionBase):
    """Argument: `run_dir`. Writes calibration.json there."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask the Pi."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        store = RunStore(Path(str(self._task.args["run_dir"])))
        interrupts = Interrupts(Display().display)
        try:
            run = store.run()
            with interrupts:
                self._calibrate(store, run, task_vars)
        except (ProblemError, Interrupted) as stop:
            if interrupts.parent_gone:
                # Ansible hands results over through a pipe that nobody reads now: it would wait for ever.
                os._exit(1)
            line = f"run {run.id}: stopped by {stop.by}" if isinstance(stop, Interrupted) else str(stop)
            return {**result, "failed": True, "msg": line}
        return {**result, "changed": False}

    def _calibrate(self, store: RunStore, run: Run, variables: dict[str, Any] | None) -> None:
        settings, tell = run.settings, Display().display
        pi = store.pi_of(run.base_pi)
        shell = ConnectionShell.of_action(self, Remote.of_action(pi, self, variables))
        place, program = Place(settings.namespace), program_of(run)
        cores = store.cores([pi])
        with (
            KubeClient(Path(run.kubeconfig)) as client,
            hold(client, place, this_holder(), run.id, tell, [pi]) as claim,
        ):
            owner = owner_uid(client, place)
            store.note_owner(place.namespace, owner)
            owners = tuple(dict.fromkeys([owner, *owners_in(Path(run.runs_dir), place.namespace)]))
            prepared = prepare(shell, pi, settings, owners, tell)

            def measure_one(amount: int) -> Measured:
                claim.check(0.0)
                plan = probe_plan(settings, run_id=run.id, pi=pi, amount=amount, cores=cores)
                (slot,) = (slot for slot in plan.slots if slot.cell == "alone")
                driver = BaseDriver(shell, pi, plan, program, prepared.image_ids, owner, tell)
                return driver.run(slot, 1)

            def keep(done: Measured) -> None:
                store.keep_logs(f"calibration-{time.time_ns()}", done.logs)

            store.keep_calibration(calibrate(workload_of(settings).first_amount, measure_one, keep))
