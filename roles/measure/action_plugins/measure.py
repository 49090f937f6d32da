"""Adapter: the loop over all trials, with Jobs over the API and base cases over the connection to this Pi."""

from __future__ import annotations

import os
import secrets
import sys
import traceback
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.codes import Code
from pi_speedup.kube.client import KubeClient
from pi_speedup.kube.job import JobDriver
from pi_speedup.kube.lease import hold, this_holder
from pi_speedup.kube.nodes import read_nodes
from pi_speedup.kube.owned import Place, owner_uid
from pi_speedup.measure.again import command_to_go_on, what_to_say
from pi_speedup.measure.follow_up import begin_without, may_do_without_a_pi
from pi_speedup.measure.loop import Ended, measure
from pi_speedup.measure.signals import Interrupts
from pi_speedup.model.plan import Plan
from pi_speedup.model.trial import Trial
from pi_speedup.pi.base import BaseDriver, prepare
from pi_speedup.pi.shell import ConnectionShell
from pi_speedup.pi.ssh import Remote, connection_error, other_problem
from pi_speedup.plan.left_out import warning
from pi_speedup.plan.words import plan_lines
from pi_speedup.problem import Interrupted, Problem, ProblemError
from pi_speedup.store import RunStore
from pi_speedup.text import one_line, to_plain

_TEMPLATE = Path(__file__).resolve().parents[1] / "templates" / "job.yml.j2"


class WholeStore(RunStore):
    """A run's folder, in which a trial and its logs are put down whole, whoever interrupts."""

    def __init__(self, folder: Path, interrupts: Interrupts) -> None:
        super().__init__(folder)
        self._interrupts = interrupts

    def add(self, trial: Trial, logs: Any = None) -> None:
        """Keep a trial that has ended."""
        with self._interrupts.held():
            super().add(trial, logs)


class ActionModule(ActionBase):
    """Arguments: `run_dir`, `kubeconfig`, `worker_path`, `min_pis`.

    Where a Pi is lost and so many remain, a new run goes on without it. Never fails: returns `problem`, the
    line to fail with later or an empty text; `interrupted`; `run_dir` of the last run and `hosts`, its Pis as
    the inventory names them; `earlier`, the folders of the runs that lost a Pi.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Measure what is left of the plan."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given: Any = to_plain(self._task.args)
        runs = [Path(given["run_dir"])]
        ended: Ended | None = None
        interrupts = Interrupts(Display().display)
        result["warnings"] = []
        try:
            with interrupts:
                while True:
                    ended = None
                    ended = self._measure(WholeStore(runs[-1], interrupts), given)
                    following = self._without_the_lost(runs, ended, given, result["warnings"])
                    if following is None:
                        break
                    runs.append(following)
        except Interrupted as stop:
            ended = ended or Ended(
                "interrupted",
                Problem(code=Code.STOPPED, subject=f"run {runs[-1].name}", what=f"stopped by {stop.by}"),
            )
        except ProblemError as error:
            ended = Ended("failed", error.problem)
        except Exception as error:
            # A mistake in this program. What was measured is worth a report all the same.
            Display().vvv(traceback.format_exc())
            what = f"stopped by a mistake in this program ({type(error).__name__}: {one_line(error, 200)})"
            ended = Ended(
                "failed",
                Problem(
                    code=Code.MISTAKE_IN_THIS_PROGRAM,
                    subject=f"run {runs[-1].name}",
                    what=what,
                    next_step="report what it shows with -vvv",
                ),
            )
        if interrupts.parent_gone:
            # Ansible hands results over through a pipe that nobody reads now: it would wait for ever.
            os._exit(1)
        # Not a change: what it starts it takes away, but for the last Job, which has ended.
        return {
            **result,
            "changed": False,
            "problem": _line(RunStore(runs[-1]), ended),
            "interrupted": ended.why == "interrupted",
            "run_dir": str(runs[-1]),
            "hosts": _hosts(RunStore(runs[-1])),
            "earlier": [str(run) for run in runs[:-1]],
        }

    def _without_the_lost(
        self, runs: list[Path], ended: Ended, given: dict[str, Any], warnings: list[str]
    ) -> Path | None:
        """Begin the run that goes on without the Pis that the last one lost; None if there is none."""
        store, min_pis = RunStore(runs[-1]), int(given["min_pis"])
        if not may_do_without_a_pi(store, ended, min_pis):
            return None
        plan = store.plan()
        try:
            with KubeClient(Path(given["kubeconfig"])) as client:
                hosts = [store.host_of(pi) for pi in plan.pis]
                nodes = read_nodes(client, hosts, plan.settings.architecture)
        except ProblemError:
            # Then the failure that there is says more.
            return None
        seed = secrets.randbits(32)
        begun = begin_without(store, nodes, min_pis=min_pis, first=runs[0], fresh_seed=seed)
        if begun is None:
            return None
        following, lost = begun
        name = following.folder.name
        for each in lost:
            Display().display(f"{each.problem.cause}; going on without it as run {name}")
            warnings.append(warning(each, min_pis, f"run {name} went on without it"))
        for line in plan_lines(following.plan()):
            Display().display(line)
        return following.folder

    def _measure(self, store: RunStore, given: dict[str, str]) -> Ended:
        plan = store.plan()
        pi, tell = plan.base_pi, Display().display
        program = Path(given["worker_path"]).read_text("utf-8")
        shell = ConnectionShell.of_action(self, self._broken(pi))
        place = Place(plan.settings.namespace)
        with (
            KubeClient(Path(given["kubeconfig"])) as client,
            hold(client, place, this_holder(), plan.run_id, tell) as claim,
        ):
            jobs = JobDriver(
                client,
                place,
                plan,
                _TEMPLATE.read_text("utf-8"),
                program,
                owner_uid(client, place),
                tell,
            )
            jobs.prepare()
            prepared = prepare(shell, pi, plan.settings, tell)
            base = BaseDriver(shell, pi, plan, program, prepared.image_ids, tell)
            return measure(
                plan,
                store,
                {"job": jobs, "base": base},
                tell,
                half_width_percent=lambda: _half_width_percent(plan, store),
                still_ours=claim.check,
            )

    def _broken(self, pi: str) -> Any:
        remote = Remote.of(pi, self._play_context)

        def broken(error: Exception) -> ProblemError | None:
            if isinstance(error, AnsibleConnectionFailure):
                return connection_error(remote, str(error))
            if isinstance(error, AnsibleError):
                return ProblemError(other_problem(remote, str(error)))
            return None

        return broken


def _line(store: RunStore, ended: Ended) -> str:
    command = command_to_go_on(sys.argv, store.folder.name, Path.cwd(), os.environ.get("PATH", ""))
    try:
        return what_to_say(store.plan(), store.trials(), ended, command)
    except ProblemError as error:
        return str(ended.problem or error)


def _hosts(store: RunStore) -> list[str]:
    try:
        return [store.host_of(pi) for pi in store.plan().pis]
    except ProblemError:
        # Its folder is gone: nobody asks what the Pis were like.
        return []


def _half_width_percent(plan: Plan, store: RunStore) -> float | None:
    # Only where a target is set: the statistics take a moment to import.
    from pi_speedup.report.estimates import half_width_percent

    return half_width_percent(plan, store.trials())
