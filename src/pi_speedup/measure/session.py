"""A benchmark from its first trial to its end: a run, and those that go on without the Pis that it lost."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from pi_speedup.codes import Code
from pi_speedup.measure.follow_up import begin_without, may_do_without_a_pi
from pi_speedup.measure.loop import Ended
from pi_speedup.model.node import Nodes
from pi_speedup.model.run import Run
from pi_speedup.plan.left_out import warning
from pi_speedup.plan.words import plan_lines
from pi_speedup.problem import Interrupted, Problem, ProblemError
from pi_speedup.store import RUN_FILE, RunStore
from pi_speedup.text import one_line


@dataclass
class Session:
    """`runs`: the folders of all runs, the first one's first. `warnings`: what went on without which Pi."""

    runs: list[Path]
    tell: Callable[[str], None]
    warnings: list[str] = field(default_factory=list)

    @property
    def last(self) -> RunStore:
        """The run that was measured last."""
        return RunStore(self.runs[-1])

    def measure(
        self,
        measure_run: Callable[[Path, Run], Ended],
        nodes_now: Callable[[RunStore, Run], Nodes],
        interruptible: AbstractContextManager[object],
        mistake: Callable[[], None],
    ) -> tuple[Ended, list[str]]:
        """Measure what is left of the run, then those that go on without lost Pis. Never raises.

        Returns why the last one ended, and which Pis are to be looked at again, as the inventory names them.
        measure_run: measures what is left of one. nodes_now: its Pis as the cluster sees them. mistake: is
        called where this program is at fault.
        """
        ended: Ended | None = None
        try:
            run = self.last.run()
            with interruptible:
                while True:
                    ended = None
                    ended = measure_run(self.runs[-1], run)
                    if not self._goes_on(ended, run, nodes_now):
                        break
            # Not after Ctrl-C: it wants an end. Nor at Pis that were left out or lost.
            look_at = run.settings.host_checks and ended.why != "interrupted"
            return ended, self._hosts() if look_at else []
        except Interrupted as stop:
            return ended or Ended("interrupted", self._problem(Code.STOPPED, f"stopped by {stop.by}")), []
        except ProblemError as error:
            return Ended("failed", error.problem), []
        except Exception as error:
            # What was measured is worth a report all the same.
            mistake()
            what = f"stopped by a mistake in this program ({type(error).__name__}: {one_line(error, 200)})"
            step = "report what it shows with -vvv"
            return Ended("failed", self._problem(Code.MISTAKE_IN_THIS_PROGRAM, what, step)), []

    def _goes_on(self, ended: Ended, run: Run, nodes_now: Callable[[RunStore, Run], Nodes]) -> bool:
        """Begin the run that goes on without the Pis that the last one lost; False if there is none."""
        if not may_do_without_a_pi(self.last, ended, run.min_pis):
            return False
        try:
            nodes = nodes_now(self.last, run)
        except ProblemError:
            # Then the failure that there is says more.
            return False
        seed = secrets.randbits(32)
        begun = begin_without(self.last, nodes, min_pis=run.min_pis, first=self.runs[0], fresh_seed=seed)
        if begun is None:
            return False
        following, lost = begun
        name = following.folder.name
        following.write({RUN_FILE: run.model_copy(update={"dir": str(following.folder), "session": 1})})
        for each in lost:
            self.tell(f"{each.problem.cause}; going on without it as run {name}")
            self.warnings.append(warning(each, run.min_pis, f"run {name} went on without it"))
        for line in plan_lines(following.plan()):
            self.tell(line)
        self.runs.append(following.folder)
        return True

    def _problem(self, code: Code, what: str, next_step: str = "") -> Problem:
        return Problem(code=code, subject=f"run {self.runs[-1].name}", what=what, next_step=next_step)

    def _hosts(self) -> list[str]:
        try:
            return [self.last.host_of(pi) for pi in self.last.plan().pis]
        except ProblemError:
            # Its folder is gone: nobody asks what the Pis were like.
            return []
