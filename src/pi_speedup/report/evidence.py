"""What was measured: the files of a run, which of its trials count, and the figures of each by itself."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pi_speedup.catalogue import Message
from pi_speedup.codes import Code
from pi_speedup.model.host import Host, HostState
from pi_speedup.model.node import Node, Nodes
from pi_speedup.model.plan import ALONE, ALONE_LONG, Cell, Plan
from pi_speedup.model.report import Check
from pi_speedup.model.trial import Trial, Worker
from pi_speedup.model.worker import WorkerReport
from pi_speedup.plan.progress import complete_rounds
from pi_speedup.problem import ProblemError, refuse
from pi_speedup.report.clocks import Clocks, Makespan, Span, clocks_of, makespan
from pi_speedup.report.formulas import pod_noise
from pi_speedup.store import RunStore
from pi_speedup.workload import workload_of


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of a run that a report is made of."""

    plan: Plan
    trials: tuple[Trial, ...]
    nodes: Nodes | None = None
    hosts: tuple[Host, ...] = ()
    # By trial and worker; of pods only those of the warm-up, and of trials that failed.
    logs: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    # The trials' files by the trials' names.
    hashes: Mapping[str, str] = field(default_factory=dict)

    def sha256_of(self, trial: Trial) -> str:
        """Return the SHA-256 of a trial's file; of what would be in it, where there is none."""
        return self.hashes.get(trial.name) or trial.sha256


def read_contents(folder: Path) -> Contents:
    """Return what a run left in its folder; ProblemError naming the file that is missing or wrong."""
    store = RunStore(folder)
    plan = store.plan()
    trials = store.trials()
    logs = {
        (trial.name, worker.name): log
        for trial in trials
        for worker in trial.workers
        if (log := store.log(trial.name, worker.name)) is not None
    }
    hashes = {trial.name: store.sha256_of(trial) for trial in trials}
    return Contents(plan, trials, store.nodes(), store.hosts(plan.pis), logs, hashes)


@dataclass(frozen=True, slots=True)
class Work:
    """What one worker did in a counted trial; its times in seconds by its Pi's own clocks.

    `full_limit_cores` is its CPU limit over the share of it that its cell has by plan; None without a limit.
    """

    pi: str
    worker: Worker
    report: WorkerReport
    seconds: float
    cpu_seconds: float
    span: Span
    full_limit_cores: float | None


@dataclass(frozen=True, slots=True)
class Measurement:
    """One trial that counts. `seconds`: a Job's makespan with corrected clocks, or one Pi's own time."""

    trial: Trial
    cell: Cell
    works: tuple[Work, ...]
    seconds: float
    makespan: Makespan

    @property
    def round(self) -> int:
        """The number of its round."""
        return self.trial.slot.round

    @property
    def longest(self) -> float:
        """The longest time that one of its workers computed, in seconds; needs no common clock."""
        return max(work.seconds for work in self.works)

    @property
    def wall_seconds(self) -> float:
        """Its wall time; a trial without one is not counted."""
        assert self.trial.wall_seconds is not None
        return self.trial.wall_seconds

    @property
    def place(self) -> Message:
        """Where to find it."""
        return Message("where.place", cell=self.cell.name, round=self.round)

    def who(self, work: Work) -> Message:
        """Name one of its workers."""
        return Message("where.worker", pi=work.pi, place=self.place)


class Evidence:
    """The trials of a run in the light of its plan. Complete rounds count; none is left out for its values.

    ProblemError, naming the trial, for one that says it went well and does not hold what its cell demands.
    """

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.plan = contents.plan
        self.trials = contents.trials
        self.hosts = contents.hosts
        self.cells = {cell.name: cell for cell in self.plan.cells}
        self.together = self.plan.together
        self.pis = len(self.plan.pis)
        self.workload = workload_of(self.plan.settings)
        self.units = Message(f"unit.{self.workload.unit(self.plan.settings)}.units")
        self.rounds = complete_rounds(self.plan, self.trials)
        complete = frozenset(self.rounds)
        self.clocks: Clocks = clocks_of(contents.hosts, self.plan.pis, self.trials)
        # The last attempt of a slot counts; trials come in the order of attempts.
        counted = {
            trial.slot: trial
            for trial in self.trials
            if trial.outcome == "ok" and trial.slot.round in complete
        }
        self.measured = tuple(self._measurement(trial) for trial in counted.values())
        # By code; see checks/registry.py.
        self.checks_made: dict[str, Check] = {}
        self._by_place = {(m.cell.name, m.round): m for m in self.measured}

    def of(self, cell: str) -> tuple[Measurement, ...]:
        """Return a cell's counted trials in the order of rounds."""
        found = ((cell, number) for number in self.rounds)
        return tuple(self._by_place[place] for place in found if place in self._by_place)

    def at(self, cell: str, number: int) -> Measurement:
        """Return a cell's counted trial in a round; KeyError if there is none."""
        return self._by_place[cell, number]

    def has(self, cell: str, number: int) -> bool:
        """Say whether a cell was measured in a counted round."""
        return (cell, number) in self._by_place

    def times_the_work(self, cell: Cell) -> float:
        """Return how often the work of one Pi alone is in that of a cell: N, or 1 where all share it."""
        return cell.amount / self.cells[ALONE].amount

    @cached_property
    def alone(self) -> tuple[Measurement, ...]:
        """One Pi with one pod's work, once a round."""
        return self.of(ALONE)

    @cached_property
    def alone_long(self) -> tuple[Measurement, ...]:
        """One Pi with the work of all, in some of the rounds."""
        return self.of(ALONE_LONG)

    @cached_property
    def jobs(self) -> tuple[Measurement, ...]:
        """All Pis together, once a round."""
        return self.of(self.together.name)

    @cached_property
    def all_jobs(self) -> tuple[Measurement, ...]:
        """The Jobs of all cells."""
        return tuple(m for m in self.measured if m.cell.kind == "job")

    @cached_property
    def works(self) -> tuple[tuple[Measurement, Work], ...]:
        """Every worker that counts, with its trial."""
        return tuple((measurement, work) for measurement in self.measured for work in measurement.works)

    @cached_property
    def pods_log_seconds(self) -> dict[str, list[float]]:
        """By Pi, the logarithms of its pods' seconds in the Jobs of all, in the order of rounds."""
        logs: dict[str, list[float]] = {}
        for job in self.jobs:
            for work in job.works:
                logs.setdefault(work.pi, []).append(math.log(work.seconds))
        return logs

    @cached_property
    def pod_noise(self) -> tuple[float, int] | None:
        """How far one pod's time varies by itself (relative), and its degrees of freedom; None if unknown."""
        seconds = [self._seconds_by_pi(job) for job in self.jobs]
        return pod_noise(seconds) if all(len(row) == self.pis for row in seconds) else None

    @cached_property
    def makespan_seconds(self) -> float:
        """The mean makespan of all Pis together."""
        return statistics.fmean(job.seconds for job in self.jobs)

    def node(self, pi: str) -> Node | None:
        """Return a Pi as the cluster described it; None if it did not."""
        nodes = self.contents.nodes
        return next((node for node in nodes.nodes if node.name == pi), None) if nodes else None

    def states(self, pi: str) -> tuple[HostState, ...]:
        """Return how a Pi was whenever it was looked at, before and after each session."""
        looks = (look for host in self.hosts if host.name == pi for look in (host.before, host.after))
        return tuple(look for look in looks if look is not None)

    @property
    def nodes_readable(self) -> bool:
        """Whether the kubeconfig may list nodes, as far as is known."""
        return self.contents.nodes is None or self.contents.nodes.readable

    def cores(self, pi: str) -> int | None:
        """Return how many cores a Pi has, by the cluster or by itself; None if nobody told."""
        node = self.node(pi)
        if node is not None and node.cores is not None:
            return node.cores
        return next((state.cores for state in self.states(pi) if state.cores is not None), None)

    def _seconds_by_pi(self, job: Measurement) -> list[float]:
        found = {work.pi: work.seconds for work in job.works}
        return [found[pi] for pi in self.plan.pis if pi in found]

    def _measurement(self, trial: Trial) -> Measurement:
        cell = self.cells[trial.slot.cell]
        if trial.wall_seconds is None:
            raise _wrong(trial, "it has no wall time, although it went well")
        if len(trial.workers) != len(cell.pis):
            raise _wrong(trial, f"{len(trial.workers)} workers, but {cell.name} has {len(cell.pis)}")
        works = tuple(self._work(trial, cell, worker) for worker in trial.workers)
        spans = [work.span for work in works]
        if cell.kind == "base" or (len(works) == 1 and cell.processes_per_pi == 1):
            # One process needs one clock only, and that is the steady one.
            ns = round(works[0].seconds * 1e9)
            return Measurement(trial, cell, works, works[0].seconds, Makespan(ns, ns, ns))
        found = makespan(spans, trial.wall_seconds)
        if found.ns <= 0:
            raise _wrong(trial, "its makespan is not above zero: the Pis' clocks cannot be right")
        return Measurement(trial, cell, works, found.ns / 1e9, found)

    def _work(self, trial: Trial, cell: Cell, worker: Worker) -> Work:
        if worker.report is None:
            raise _wrong(trial, f"no result of {worker.name}, although it went well")
        try:
            report = self.workload.own(worker.report, worker.name)
        except ProblemError as error:
            what = f"the result of {worker.name} is damaged ({error.problem.what})"
            raise _wrong(trial, what) from None
        misfit = self.workload.misfit(
            report,
            self.plan,
            trial.slot,
            trial.attempt,
            pi=worker.pi,
            # Which index a pod had, only its report tells.
            index=report.completion_index if cell.kind == "job" else None,
        )
        if misfit:
            raise _wrong(trial, f"the result of {worker.name} is of another trial ({misfit})")
        worked = report.start_epoch_ns, report.end_epoch_ns
        span = self.clocks.span(worker.pi, *worked, trial.started_epoch_ns, trial.session)
        limit = worker.cpu_limit_cores
        return Work(
            pi=worker.pi,
            worker=worker,
            report=report,
            seconds=report.seconds,
            cpu_seconds=report.cpu_seconds,
            span=span,
            full_limit_cores=None if limit is None else limit / cell.cpu_share,
        )


def _wrong(trial: Trial, what: str) -> ProblemError:
    return refuse(
        Code.TRIAL_DOES_NOT_FIT,
        f"trials/{trial.name}.json",
        what,
        "move it out of the folder and go on with the run",
    )
