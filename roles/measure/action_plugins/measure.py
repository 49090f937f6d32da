"""Adapter: the loop over all trials, with Jobs over the API and base cases over the connection to this Pi."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.kube.access.client import KubeClient
from pi_speedup.kube.follow.job import JobDriver
from pi_speedup.kube.follow.neighbours import Neighbours
from pi_speedup.kube.nodes.nodes import read_nodes
from pi_speedup.kube.owned.lease import hold, this_holder
from pi_speedup.kube.owned.owned import Place, owner_uid
from pi_speedup.measure.again import command_to_go_on, what_to_say
from pi_speedup.measure.loop import Ended, measure
from pi_speedup.measure.session import Session
from pi_speedup.measure.signals import Interrupts
from pi_speedup.model.node import Nodes
from pi_speedup.model.plan import Plan
from pi_speedup.model.run import Run
from pi_speedup.model.trial import Trial
from pi_speedup.pi.base import BaseDriver, prepare
from pi_speedup.pi.shell import ConnectionShell
from pi_speedup.problem import ProblemError
from pi_speedup.remote import Remote
from pi_speedup.store import RunStore, owners_in
from pi_speedup.workload import program_of

_TEMPLATE = Path(__file__).resolve().parents[1] / "templates" / "job.yml.j2"


class WholeStore(RunStore):
    """A run's folder, in which a trial and its logs are put down whole, whoever interrupts.

    `follows` is what the next trial holds: the hash of the one that was measured last.
    """

    def __init__(self, folder: Path, interrupts: Interrupts) -> None:
        super().__init__(folder)
        self._interrupts = interrupts
        self.follows = self.last_sha256(self.trials())

    def add(self, trial: Trial, logs: Any = None) -> None:
        """Keep a trial that has ended."""
        with self._interrupts.held():
            super().add(trial, logs)
            self.follows = trial.sha256


class ActionModule(ActionBase):
    """Argument: `run_dir`.

    Where a Pi is lost and enough remain, a new run goes on without it. Never fails: returns `problem`, the
    line to fail with later or an empty text; `run_dirs`, of all these runs; `look_at`, the Pis of the last
    that are to be looked at again, as the inventory names them.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Measure what is left of the plan."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._variables = task_vars
        tell = Display().display
        session, interrupts = Session([Path(str(self._task.args["run_dir"]))], tell), Interrupts(tell)
        ended, look_at = session.measure(
            lambda folder, run: self._measure(WholeStore(folder, interrupts), run),
            _nodes_now,
            interrupts,
            lambda: Display().vvv(traceback.format_exc()),
        )
        if interrupts.parent_gone:
            # Ansible hands results over through a pipe that nobody reads now: it would wait for ever.
            os._exit(1)
        # Not a change: what it starts it takes away, but for the last Job, which has ended.
        return {
            **result,
            "changed": False,
            "problem": _line(session.last, ended),
            "run_dir": str(session.runs[-1]),
            "run_dirs": [str(each) for each in session.runs],
            "look_at": look_at,
            "warnings": session.warnings,
        }

    def _measure(self, store: WholeStore, run: Run) -> Ended:
        plan = store.plan()
        pi, tell = plan.base_pi, Display().display
        program = program_of(run)
        shell = ConnectionShell.of_action(self, Remote.of_action(pi, self, self._variables))
        place = Place(plan.settings.namespace)
        with (
            KubeClient(Path(run.kubeconfig)) as client,
            hold(client, place, this_holder(), plan.run_id, tell, plan.pis) as claim,
            Neighbours(client, place, plan, tell) as neighbours,
        ):
            owner = owner_uid(client, place)
            # Before anything is started: once the ConfigMap is gone, it proves what was.
            store.note_owner(place.namespace, owner)
            jobs = JobDriver(
                client,
                place,
                plan,
                _TEMPLATE.read_text("utf-8"),
                program,
                owner,
                tell,
                lambda: store.follows,
            )
            jobs.prepare()
            owners = dict.fromkeys([owner, *owners_in(Path(run.runs_dir), place.namespace)])
            prepared = prepare(shell, pi, plan.settings, tuple(owners), tell)
            base = BaseDriver(shell, pi, plan, program, prepared.image_ids, owner, tell)
            return measure(
                plan,
                store,
                {"job": jobs, "base": base},
                tell,
                half_width_percent=lambda: _half_width_percent(plan, store),
                session=run.session,
                still_ours=claim.check,
                neighbours=neighbours,
            )


def _line(store: RunStore, ended: Ended) -> str:
    command = command_to_go_on(sys.argv, store.folder.name)
    try:
        return what_to_say(store.plan(), store.trials(), ended, command)
    except ProblemError as error:
        return str(ended.problem or error)


def _nodes_now(store: RunStore, run: Run) -> Nodes:
    with KubeClient(Path(run.kubeconfig)) as client:
        plan = store.plan()
        hosts = [store.host_of(pi) for pi in plan.pis]
        return read_nodes(client, hosts, plan.settings.architecture, addresses=run.addresses)


def _half_width_percent(plan: Plan, store: RunStore) -> float | None:
    # Only where a target is set: the statistics take a moment to import.
    from pi_speedup.report.checks.refusal import half_width_percent

    return half_width_percent(plan, store.trials())
