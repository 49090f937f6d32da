"""Each check: what it flags and how that weighs, what it cannot look at, and that clean runs pass it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.catalogue import Catalogue
from pi_speedup.codes import Code
from pi_speedup.model.host import Host
from pi_speedup.model.node import Nodes
from pi_speedup.model.report import Check
from pi_speedup.model.trial import Event, OtherPods, OtherRun, Outage, Trial
from pi_speedup.problem import Problem
from pi_speedup.report.checks import CHECKS, run_checks
from pi_speedup.report.estimates import wall_steps
from pi_speedup.report.evidence import Contents, Evidence
from pi_speedup.report.wording import outcome
from pi_speedup.report.workload.pi import seed_of, stretch_of
from tests.unit.report import factory
from tests.unit.report.factory import Draft
from tests.unit.report.simulated import WORLDS, simulated

DOCS = Path(__file__).resolve().parents[3] / "docs/report.md"


def checks_of(contents: Contents) -> dict[str, Check]:
    """Return all checks of a run by their codes."""
    return {check.code: check for check in run_checks(Evidence(contents))}


def looked_at(defect: factory.Defect | None = None, **how: Any) -> Contents:
    """Return a run of three Pis that were looked at before and after."""
    plan = how.pop("of", None) or factory.plan()
    hosts = how.pop("hosts", None)
    return factory.contents(plan, hosts=factory.hosts(plan) if hosts is None else hosts, defect=defect, **how)


def in_round(number: int, change: Callable[[Draft], object], base: bool | None = None) -> factory.Defect:
    """Return a defect of one round's trials, of those on one side only if base says so."""

    def defect(draft: Draft) -> None:
        if draft.slot.round == number and base in (None, draft.base):
            change(draft)

    return defect


def pod(change: Callable[[factory.WorkerDraft], object], number: int = 1) -> Callable[[Draft], object]:
    """Return what changes one worker of a trial."""
    return lambda draft: change(draft.workers[number])


def always(
    change: Callable[[factory.WorkerDraft], object], pi: str, base: bool | None = None
) -> factory.Defect:
    """Return a defect of one Pi in all rounds."""

    def defect(draft: Draft) -> None:
        for worker in draft.workers:
            if worker.pi == pi and base in (None, draft.base):
                change(worker)

    return defect


def every(change: Callable[[factory.WorkerDraft, Draft], object]) -> factory.Defect:
    """Return a defect of all workers, which may look at their trial."""

    def defect(draft: Draft) -> None:
        for worker in draft.workers:
            change(worker, draft)

    return defect


def put(**values: Any) -> Callable[[Any], None]:
    """Return what sets fields."""

    def change(target: Any) -> None:
        for name, value in values.items():
            setattr(target, name, value)

    return change


def slower(by: float) -> Callable[[factory.WorkerDraft], None]:
    """Return what makes a worker slower."""

    def change(worker: factory.WorkerDraft) -> None:
        worker.seconds *= 1 + by

    return change


def at_megahertz(worker: factory.WorkerDraft, draft: Draft) -> None:
    put(report={"megahertz": (600.0, 1500.0 if draft.base else 1200.0)})(worker)


def drifting(draft: Draft) -> None:
    """Make Pis together slower from round to round."""
    if not draft.base:
        for worker in draft.workers:
            worker.seconds *= 1 + 0.05 * draft.slot.round


def warm_after_a_job(draft: Draft) -> None:
    """Make the base case slower where it comes after the Job of its round."""
    if draft.cell.name == "alone" and draft.slot.position > 0:
        draft.workers[0].seconds *= 1.15


def other_run(seconds: float, *pis: str) -> OtherRun:
    """Return another benchmark that shared so many seconds of a trial."""
    return OtherRun(what="run x by ann@laptop in namespace bench", pis=pis, seconds=seconds)


def two_pods_on_one_pi(draft: Draft) -> None:
    """Let the second pod run on the first Pi."""
    draft.workers[1].pi = draft.workers[0].pi


def too_soon(draft: Draft) -> None:
    """Let a trial begin before the one before it had ended."""
    draft.started_ns -= 8_000_000_000


def much_too_soon(draft: Draft) -> None:
    """Let a trial of the fourth round be the first of the run."""
    draft.number = 1


def beside(draft: Draft) -> None:
    """Let a trial of the fourth round have the number of the one before it: two runs of one folder."""
    draft.number -= 1


def the_host_s_clock_set(by_seconds: float) -> factory.Defect:
    """Let the control host's clock be set in the middle of the run, which the Pis' clocks don't notice."""

    def defect(draft: Draft) -> None:
        if draft.slot.round > 3:
            draft.host_clock = by_seconds

    return defect


def one_more_in_the_stretch(draft: Draft) -> None:
    """Let the second pod count one of its first points too many."""
    seed = seed_of(factory.RUN, f"{draft.slot.name}.1.1.0")
    first, *others = stretch_of(seed, 250)
    draft.workers[1].process = {"stretch": (first + 1, *others)}


def failing(draft: Draft) -> None:
    """Let a trial fail."""
    draft.outcome = "failed"
    draft.problem = Problem(
        code=Code.NODE_CORDONED, subject="pi-2", what="cordoned", next_step="kubectl uncordon pi-2"
    )


def interrupted(draft: Draft) -> None:
    """Let a trial be stopped by hand."""
    draft.outcome = "interrupted"
    draft.problem = Problem(code=Code.STOPPED, subject="run x", what="stopped by SIGINT")


def edited_after_it_was_printed() -> Contents:
    """Return a run of which one base case was made slower by hand."""
    whole = looked_at()
    slow = {place: log for place, log in looked_at(slow_once).logs.items() if place[0].startswith("r003")}
    return replace(whole, logs={**whole.logs, **slow})


def slow_once(draft: Draft) -> None:
    """Make one base case slower."""
    if draft.base and draft.slot.round == 3:
        draft.workers[0].seconds *= 1.1


def remembering() -> Contents:
    """Return a run in which 0.7 of what a Pi does is in its next trial."""
    plan = factory.plan(rounds=15)
    world = next(name for name, world in WORLDS.items() if world.remembers)
    return Contents(plan, simulated(world, plan, seed=1), factory.all_nodes(plan), factory.hosts(plan))


def in_two_sessions(
    seconds: Callable[[factory.WorkerDraft, bool], float] = lambda worker, base: worker.seconds,
) -> factory.Defect:
    """Measure the rounds from the fifth on on another day, on which workers take so long."""

    def defect(draft: Draft) -> None:
        if draft.slot.round > 4:
            draft.session = 2
            for worker in draft.workers:
                worker.seconds = seconds(worker, draft.base)

    return defect


def without(gone: Callable[[Trial], bool]) -> Contents:
    """Return a run from whose folder some trials were taken."""
    whole = looked_at()
    return replace(whole, trials=tuple(trial for trial in whole.trials if not gone(trial)))


def changed(number: int, /, **values: Any) -> Contents:
    """Return a run of which a trial's file was edited."""
    whole = looked_at()
    return replace(
        whole,
        trials=tuple(
            trial.model_copy(update=values) if trial.number == number else trial for trial in whole.trials
        ),
    )


QUOTA = factory.plan(cpu_limit_cores=0.5)
SHORT = factory.plan(samples_per_process=1_000_000)
ONE = factory.plan(1)

FLAGGED: dict[str, tuple[Callable[[], Contents], str, str, str]] = {
    "two pods on one Pi": (
        lambda: looked_at(in_round(3, two_pods_on_one_pi, base=False)),
        "one_pod_per_pi",
        "invalid",
        "together-3 in round 3 ran on pi-1, pi-1, pi-3, planned: pi-1, pi-2, pi-3",
    ),
    "a pod got too little CPU": (
        lambda: looked_at(in_round(3, pod(put(cpu_share=0.8)), base=False)),
        "starved",
        "doubtful",
        "pi-2 in together-3 in round 3 got 0.80 of its 1.00 cores",
    ),
    "a base case got too little CPU": (
        lambda: looked_at(always(put(cpu_share=0.93), "pi-1", base=True)),
        "starved",
        "doubtful",
        "pi-1 in alone in round 1 got 0.93 of its 1.00 cores",
    ),
    "more than one thread can use": (
        lambda: looked_at(in_round(3, pod(put(cpu_share=1.05)), base=False)),
        "over_budget",
        "invalid",
        "One thread cannot do that",
    ),
    "a quota that nothing enforced": (
        lambda: looked_at(always(put(limit=0.5, cpu_share=0.9), "pi-2"), of=QUOTA),
        "over_budget",
        "doubtful",
        "used 0.90 cores, its limit is 0.50",
    ),
    "no point inside, alone": (
        lambda: looked_at(in_round(2, pod(put(process={"inside": 0, "stretch": (0,) * 4}), 0), base=True)),
        "counts",
        "invalid",
        "pi-1 in alone in round 2 came to pi = 0.000000 (0 of 10,000,000 points inside)",
    ),
    "pi is four": (
        lambda: looked_at(
            in_round(2, pod(put(process={"inside": 10_000_000, "stretch": (250,) * 4})), base=False)
        ),
        "counts",
        "invalid",
        "pi = 4.000000",
    ),
    "a seed shifted by one": (
        lambda: looked_at(in_round(2, pod(put(process={"rng_seed": "1"})), base=False)),
        "streams",
        "invalid",
        "seed 1 is not that of its stream",
    ),
    "a first count changed by one": (
        lambda: looked_at(in_round(2, one_more_in_the_stretch, base=False)),
        "replay",
        "invalid",
        "pi-2 in together-3 in round 2 counted ",
    ),
    "a stream drawn twice": (
        lambda: looked_at(always(put(process={"rng_seed": "0a"}), "pi-2")),
        "duplicate_streams",
        "doubtful",
        "share seed 000000000000000a",
    ),
    "a clock was set": (
        lambda: looked_at(in_round(3, pod(put(clock_step=0.5)), base=False)),
        "clocks_disagree",
        "doubtful",
        "the clock of pi-2 in together-3 in round 3 was set meanwhile",
    ),
    "a makespan longer than the Job": (
        lambda: looked_at(in_round(3, put(wall=5.0), base=False)),
        "clocks_disagree",
        "invalid",
        "the makespan is longer than the whole Job",
    ),
    "a base case longer than its command": (
        lambda: looked_at(in_round(3, put(wall=5.0, spent=30.0), base=True)),
        "clocks_disagree",
        "invalid",
        "the worker took longer than the whole trial",
    ),
    "a wall time longer than its trial": (
        lambda: looked_at(in_round(3, put(spent=5.0), base=True)),
        "clocks_disagree",
        "invalid",
        "its wall time is longer than what it cost the run",
    ),
    "a pod that waited": (
        lambda: looked_at(in_round(3, pod(put(start=3.0)), base=False)),
        "late_start",
        "doubtful",
        "pi-2 in together-3 in round 3 started",
    ),
    "pods that are far apart in every round": (
        lambda: looked_at(always(put(start=6.0), "pi-3"), jitter=1.0),
        "late_start",
        "doubtful",
        "pi-3 in together-3 in round 1 started",
    ),
    "trials of a second": (
        lambda: looked_at(of=SHORT),
        "short_run",
        "doubtful",
        "benchmark_samples_per_process",
    ),
    "an image pulled inside": (
        lambda: looked_at(in_round(3, pod(put(pulled=0.7)), base=False)),
        "pulled_inside",
        "doubtful",
        "pi-2 in together-3 in round 3 pulled its image",
    ),
    "an outage": (
        lambda: looked_at(
            in_round(
                3,
                put(outages=(Outage(what="the API", began_seconds=2.0, lasted_seconds=20.0),)),
                base=False,
            )
        ),
        "outages",
        "doubtful",
        "the API was away for 20.0 s (together-3 in round 3)",
    ),
    "another benchmark on a Pi of the run": (
        lambda: looked_at(in_round(3, put(other_runs=(other_run(5.0, "pi-2"),)))),
        "neighbours",
        "doubtful",
        "run x by ann@laptop in namespace bench measured for 10 s of 2 trials, on Pis of this run",
    ),
    "another benchmark for the last moment of a trial": (
        lambda: looked_at(in_round(3, put(other_runs=(other_run(0.2, "pi-2"),)))),
        "neighbours",
        "none",
        "measured for 0 s of 2 trials, on Pis of this run",
    ),
    "another benchmark on other Pis": (
        lambda: looked_at(put(other_runs=(other_run(5.0),))),
        "neighbours",
        "none",
        "on other Pis",
    ),
    "pods of others that request cores": (
        lambda: looked_at(put(other_pods=(OtherPods(pi="pi-3", what="default/web", cores=0.5, runs=0),))),
        "neighbours",
        "doubtful",
        "pi-3: pods of others request 0.50 cores (default/web)",
    ),
    "workers of another benchmark, whose claim nobody may read": (
        lambda: looked_at(put(other_pods=(OtherPods(pi="pi-3", what="bench/w", cores=0.1, runs=1),))),
        "neighbours",
        "doubtful",
        "pi-3: pods of others request 0.10 cores (bench/w)",
    ),
    "a warning": (
        lambda: looked_at(
            in_round(
                3,
                put(
                    events=(
                        Event(
                            reason="FailedMount",
                            message="no configmap",
                            subject="pod x",
                            first_seen=None,
                            last_seen=None,
                            count=1,
                        ),
                    )
                ),
            )
        ),
        "warnings",
        "none",
        "FailedMount: no configmap",
    ),
    "a base case beside the Job": (
        lambda: looked_at(in_round(3, too_soon)),
        "overlap",
        "invalid",
        "overlap by",
    ),
    "clocks apart, corrected": (
        lambda: looked_at(
            hosts=factory.hosts(factory.plan(), {"clock_offset_seconds": 0.8}, {"clock_offset_seconds": 0.8}),
            clocks={"pi-2": 0.8},
        ),
        "clock_offset",
        "none",
        "pi-2 is 0.800 s",
    ),
    "the clock of the only Pi moved": (
        lambda: looked_at(of=ONE, hosts=factory.hosts(ONE, {}, {"clock_offset_seconds": 30.0}, pi="pi-1")),
        "clock_offset",
        "doubtful",
        "the clock of pi-1 moved by 30.00 s",
    ),
    "a clock that moved": (
        lambda: looked_at(hosts=factory.hosts(factory.plan(), {}, {"clock_offset_seconds": 0.8})),
        "clock_offset",
        "doubtful",
        "the clock of pi-2 moved by 0.80 s",
    ),
    "another Pi worked alone": (
        lambda: looked_at(in_round(3, pod(put(pi="pi-2"), 0), base=True)),
        "base_pi",
        "invalid",
        "ran on pi-2",
    ),
    "no container": (
        lambda: looked_at(always(put(runtime="process", limit=None, image=None), "pi-1", base=True)),
        "base_runtime",
        "none",
        "a plain process",
    ),
    "another image by name": (
        lambda: looked_at(always(put(image="python:3.12"), "pi-1", base=True)),
        "image_differs",
        "doubtful",
        "pi-1 alone had python:3.12",
    ),
    "another image by digest": (
        lambda: looked_at(always(put(image_ids=("python@sha256:" + "5e" * 32,)), "pi-3")),
        "image_differs",
        "doubtful",
        "the pod on pi-3 had manifest sha256:5e5e",
    ),
    "another Python": (
        lambda: looked_at(always(put(report={"python_version": "3.11.2"}), "pi-1", base=True)),
        "python_differs",
        "invalid",
        "pi-1 alone had CPython 3.11.2",
    ),
    "another patch release": (
        lambda: looked_at(always(put(report={"python_version": "3.9.2"}), "pi-3")),
        "python_differs",
        "doubtful",
        "the pod on pi-3 had CPython 3.9.2",
    ),
    "another machine": (
        lambda: looked_at(always(put(report={"machine": "x86_64"}), "pi-3")),
        "machine_differs",
        "invalid",
        "the pod on pi-3 had x86_64",
    ),
    "another limit": (
        lambda: looked_at(always(put(limit=0.5), "pi-3")),
        "cpu_limit_differs",
        "invalid",
        "the pod on pi-3 had a limit of 0.5",
    ),
    "a process beyond the pods' quota": (
        lambda: looked_at(
            every(
                lambda worker, draft: put(
                    limit=None if draft.base else 0.5, cpu_share=0.99 if draft.base else 0.5
                )(worker)
            ),
            of=QUOTA,
        ),
        "cpu_limit_differs",
        "invalid",
        "pi-1 in alone in round 1 used 0.99 cores",
    ),
    "another Python from round 4 on": (
        lambda: looked_at(
            every(
                lambda worker, draft: put(
                    report={"python_version": "3.9.26" if draft.slot.round > 3 else "3.9.25"}
                )(worker)
            )
        ),
        "rounds_alike",
        "invalid",
        "pi-1 alone had Python CPython 3.9.25 in round 1, 2, 3 and CPython 3.9.26 in round 4, 5, 6, 7",
    ),
    "another kernel afterwards": (
        lambda: looked_at(hosts=factory.hosts(factory.plan(), {}, {"kernel": "6.18"})),
        "rounds_alike",
        "invalid",
        "pi-2 had a different kernel from one look to the next",
    ),
    "another model": (
        lambda: looked_at(
            hosts=factory.hosts(factory.plan(), both={"model": "Raspberry Pi 3 Model B Rev 1.2"})
        ),
        "model_differs",
        "doubtful",
        "pi-2 had Raspberry Pi 3 Model B",
    ),
    "more processes than cores": (
        lambda: looked_at(
            of=(plan := factory.plan(processes_per_pi=4)), nodes=factory.all_nodes(plan, cores=2)
        ),
        "cores",
        "doubtful",
        "pi-1 runs 4 processes, more than its cores (2)",
    ),
    "fewer cores left than processes": (
        lambda: looked_at(
            always(put(report={"usable_cores": 1}), "pi-2"), of=factory.plan(processes_per_pi=4)
        ),
        "cores",
        "doubtful",
        "pi-2 in together-3 in round 1 runs 4 processes, more than the cores it may use (1)",
    ),
    "another governor": (
        lambda: looked_at(hosts=factory.hosts(factory.plan(), both={"governors": ("powersave",)})),
        "governor_differs",
        "doubtful",
        "pi-2 had powersave",
    ),
    "another kernel": (
        lambda: looked_at(nodes=_with_another_kernel()),
        "system_differs",
        "none",
        "pi-3 had 6.6.1",
    ),
    "a node that was cordoned": (
        lambda: looked_at(nodes=_with_a_cordoned_node()),
        "nodes",
        "none",
        "pi-3: cordoned (unschedulable)",
    ),
    "throttled meanwhile": (
        lambda: looked_at(hosts=factory.hosts(factory.plan(), {}, {"throttled": 0x40000})),
        "throttled",
        "doubtful",
        "pi-2 was throttled during the run",
    ),
    "under-voltage now": (
        lambda: looked_at(
            hosts=factory.hosts(factory.plan(), {"throttled": 0x50005}, {"throttled": 0x50005})
        ),
        "throttled",
        "doubtful",
        "pi-2 was under-voltage and throttled before the run",
    ),
    "hot": (
        lambda: looked_at(hosts=factory.hosts(factory.plan(), {}, {"temperature_celsius": 83.2})),
        "temperature",
        "doubtful",
        "pi-2 was at 83 °C after the run",
    ),
    "hot after a trial": (
        lambda: looked_at(in_round(3, pod(put(report={"celsius": (51.0, 82.4)})), base=False)),
        "temperature",
        "doubtful",
        "pi-2 was at 82 °C after together-3 in round 3",
    ),
    "busy before": (
        lambda: looked_at(hosts=factory.hosts(factory.plan(), {"load_1_minute": 3.9})),
        "load",
        "doubtful",
        "pi-2 had a load of 3.9 on 4 cores",
    ),
    "a few rounds only": (
        lambda: looked_at(of=factory.plan(rounds=3)),
        "precision",
        "doubtful",
        "no interval: only 3 rounds complete",
    ),
    "much noise": (lambda: looked_at(noise=0.2), "precision", "doubtful", "% to each side"),
    "a slow Pi": (
        lambda: looked_at(always(slower(0.3), "pi-3")),
        "imbalance",
        "doubtful",
        "pi-3 took",
    ),
    "a Pi that is a little slower": (
        lambda: looked_at(always(slower(0.07), "pi-3")),
        "imbalance",
        "none",
        "pi-3 took",
    ),
    "a slow Pi in one round": (
        lambda: looked_at(always(slower(0.3), "pi-3"), of=factory.plan(rounds=1)),
        "imbalance",
        "doubtful",
        "pi-3 took",
    ),
    "a pod that was disturbed once": (
        lambda: looked_at(in_round(3, pod(slower(0.3)), base=False)),
        "disturbed_pods",
        "doubtful",
        "pi-2 in together-3 in round 3 took ",
    ),
    "a base case that was slowed": (
        lambda: looked_at(always(slower(0.15), "pi-1", base=True)),
        "superlinear",
        "doubtful",
        "the efficiency is 11",
    ),
    "a base case that was slowed by less than noise takes from all": (
        lambda: looked_at(always(slower(0.06), "pi-1", base=True)),
        "slow_base",
        "doubtful",
        "% longer alone than its own pods in the Jobs",
    ),
    "a base case that was disturbed once": (
        lambda: looked_at(in_round(3, pod(slower(0.3), 0), base=True)),
        "disturbed_base",
        "doubtful",
        "alone in round 3 took ",
    ),
    "a Pi that is clocked down as one of all": (
        lambda: looked_at(every(at_megahertz)),
        "frequency",
        "doubtful",
        "pi-1 had 1500 MHz after working alone and 1200 MHz after",
    ),
    "a limit that a rule set for all": (
        lambda: looked_at(every(lambda worker, _: put(limit=0.5)(worker))),
        "cpu_limit_differs",
        "invalid",
        "the plan",
    ),
    "longer is slower": (
        lambda: looked_at(
            lambda draft: slower(0.12)(draft.workers[0]) if draft.cell.name == "alone-long" else None
        ),
        "proportionality",
        "doubtful",
        "one Pi took 1",
    ),
    "slower after a Job": (lambda: looked_at(warm_after_a_job), "control", "doubtful", "one Pi took 1"),
    "Pis that slow down together": (
        lambda: looked_at(drifting),
        "drift",
        "doubtful",
        "the speedup fell by ",
    ),
    "rounds in another order": (
        lambda: looked_at(in_round(4, much_too_soon)),
        "order_done",
        "invalid",
        "r004-00-together-3 was measured before r003-",
    ),
    "two trials at the same place": (
        lambda: looked_at(in_round(4, beside)),
        "order_done",
        "invalid",
        "was measured at the same time as",
    ),
    "stopped": (lambda: looked_at(rounds=5), "incomplete", "none", "5 of 7 rounds; broken off before"),
    "a Pi was left out": (
        lambda: looked_at(of=factory.degraded()),
        "left_out",
        "none",
        "pi-3 was left out (cordoned (unschedulable)). 2 of 3 Pis measured; all figures are theirs.",
    ),
    "a trial failed": (
        lambda: looked_at(in_round(7, failing, base=False)),
        "failed_attempts",
        "none",
        "failed (pi-2: cordoned)",
    ),
    "end to end more than the Pis can give": (
        lambda: looked_at(
            lambda draft: put(wall=10.0 + draft.slot.round / 100)(draft) if not draft.base else None
        ),
        "superlinear",
        "doubtful",
        "the efficiency end to end is 10",
    ),
    "a Job whose end was seen late": (
        lambda: looked_at(in_round(3, put(wall=30.0), base=False)),
        "overhead",
        "doubtful",
        "together-3 in round 3 took 1",
    ),
    "Jobs whose end was always seen late": (
        lambda: looked_at(lambda draft: None if draft.base else put(wall=40.0)(draft)),
        "overhead",
        "doubtful",
        "together-3 in round 1 took 29.9 s beyond computing, of 40.0 s",
    ),
    "a Pi that stays slow for some trials": (
        lambda: remembering(),
        "autocorrelation",
        "none",
        "a Pi that was slow in one trial was slow in the next (correlation +0.",
    ),
    "a clock that nobody read, and that cannot be right": (
        lambda: factory.contents(clocks={"pi-2": 2.0}),
        "clock_offset",
        "doubtful",
        "pi-2 is at least 0.",
    ),
    "a result that its worker did not print": (
        lambda: edited_after_it_was_printed(),
        "logs",
        "invalid",
        "printed another result",
    ),
    "a base Pi that was slower on another day": (
        lambda: looked_at(in_two_sessions(lambda worker, base: worker.seconds * (1.1 if base else 1))),
        "sessions",
        "doubtful",
        "one Pi alone took ",
    ),
    "another governor on another day": (
        lambda: looked_at(
            in_two_sessions(),
            hosts=(
                *factory.hosts(factory.plan()),
                *factory.hosts(factory.plan(), both={"governors": ("powersave",)}, session=2),
            ),
        ),
        "rounds_alike",
        "invalid",
        "pi-2 had a different frequency governor from one look to the next",
    ),
    "throttled in the first of two sessions": (
        lambda: looked_at(
            in_two_sessions(),
            hosts=(
                *factory.hosts(factory.plan(), {}, {"throttled": 0x40000}),
                *factory.hosts(factory.plan(), session=2),
            ),
        ),
        "throttled",
        "doubtful",
        "pi-2 was throttled during the run",
    ),
    "a clock that moved in the second session": (
        lambda: looked_at(
            in_two_sessions(),
            hosts=(
                *factory.hosts(factory.plan()),
                *factory.hosts(factory.plan(), {}, {"clock_offset_seconds": 0.8}, session=2),
            ),
        ),
        "clock_offset",
        "doubtful",
        "the clock of pi-2 moved",
    ),
    "trials stopped by hand": (
        lambda: looked_at(lambda draft: interrupted(draft) if draft.slot.round > 5 else None),
        "failed_attempts",
        "doubtful",
        "Not counted: 5 of 19 trials",
    ),
    "a plan that its settings do not give": (
        lambda: looked_at(of=factory.plan().model_copy(update={"order_seed": 5})),
        "planned",
        "invalid",
        "plan.json has another order_seed than its settings",
    ),
    "fewer rounds than its settings say": (
        lambda: looked_at(of=factory.plan().model_copy(update={"order": factory.plan().order[:6]})),
        "planned",
        "invalid",
        "plan.json has another order than its settings and its seed give",
    ),
    "a round without one of its trials": (
        lambda: without(lambda trial: trial.slot.round == 3 and trial.slot.cell == "alone"),
        "planned",
        "doubtful",
        "r003-00-alone is missing, although r007-",
    ),
    "gone on with after the interval was narrow enough": (
        lambda: looked_at(of=factory.plan(target_percent=5)),
        "planned",
        "doubtful",
        "round 6 was measured although the interval was narrow enough",
    ),
    "gone on with after the time was spent": (
        lambda: looked_at(of=factory.plan(budget_minutes=2)),
        "planned",
        "doubtful",
        "although the time was spent",
    ),
    "a trial that was taken away": (
        lambda: without(lambda trial: trial.number == 4),
        "chain",
        "doubtful",
        "1 of 19 trials are gone: number 4",
    ),
    "a trial that was changed": (
        lambda: changed(4, spent_seconds=1.0),
        "chain",
        "invalid",
        "is not what it was when",
    ),
    "two copies that were gone on with": (
        lambda: changed(5, number=4),
        "chain",
        "invalid",
        "claim the same place",
    ),
}


def _with_another_kernel() -> Nodes:
    nodes = factory.all_nodes(factory.plan())
    other = nodes.nodes[2].model_copy(update={"kernel_version": "6.6.1"})
    return nodes.model_copy(update={"nodes": (*nodes.nodes[:2], other)})


def _with_a_cordoned_node() -> Nodes:
    nodes = factory.all_nodes(factory.plan())
    problem = Problem(
        code=Code.NODE_CORDONED,
        subject="pi-3",
        what="cordoned (unschedulable)",
        next_step="kubectl uncordon pi-3",
    )
    other = nodes.nodes[2].model_copy(update={"problems": (problem,)})
    return nodes.model_copy(update={"nodes": (*nodes.nodes[:2], other)})


def _of_one_sign(sign: float, code: str) -> Check:
    """Return what a check says of a defect, and of the same the other way round."""
    defects: dict[str, factory.Defect] = {
        "control": lambda draft: (
            slower(0.15 * sign)(draft.workers[0])
            if draft.cell.name == "alone" and draft.slot.position > 0
            else None
        ),
        "drift": lambda draft: (
            [slower(-0.03 * sign * draft.slot.round)(each) for each in draft.workers]
            if not draft.base
            else None
        ),
        "proportionality": lambda draft: (
            slower(0.15 * sign)(draft.workers[0]) if draft.cell.name == "alone-long" else None
        ),
    }
    return checks_of(looked_at(defects[code]))[code]


@pytest.mark.parametrize("code", ["control", "drift", "proportionality"])
def test_a_cause_is_one_of_the_sign_that_was_found(code: str) -> None:
    more, less = _of_one_sign(1, code), _of_one_sign(-1, code)
    assert (more.status, less.status) == ("flag", "flag")
    assert re.search("longer|rose", more.found) and re.search("less time|fell", less.found)
    causes = [each.meaning or "" for each in (more, less)]
    assert causes[0] != causes[1]
    # Heat makes slower, and whatever is slower together makes the speedup fall.
    assert ["heat" in cause for cause in causes] == [code != "drift", code == "drift"]


@pytest.mark.parametrize(("make", "code", "effect", "words"), FLAGGED.values(), ids=FLAGGED)
def test_what_misleads_is_flagged(make: Callable[[], Contents], code: str, effect: str, words: str) -> None:
    found = checks_of(make())[code]
    assert (found.status, found.effect) == ("flag", effect), found.found
    assert words in f"{found.found}. {found.meaning}"
    # In Chinese too, but for what the cluster itself said.
    for text in outcome(found, Catalogue("zh-TW")):
        assert re.search("[\u4e00-\u9fff]", text) or text == "pi-3: cordoned (unschedulable)"


@pytest.mark.parametrize(
    ("language", "no_sign", "smaller", "not_checked"),
    [
        (
            "en",
            "No sign of outages",
            "No sign of pods that started late; less than ",
            "Not checked: throttling",
        ),
        ("zh-TW", "未發現服務中斷", "未發現較晚啟動的 Pod；低於 ", "未能檢查：降頻或電壓不足"),
    ],
    ids=["en", "zh-TW"],
)
def test_a_pass_says_what_there_is_no_sign_of(
    language: str, no_sign: str, smaller: str, not_checked: str
) -> None:
    found, words = checks_of(factory.contents()), Catalogue(language)
    assert outcome(found["outages"], words)[0] == no_sign
    seen = found["late_start"].could_have_seen_percent
    assert seen is not None and f"{seen:.1f}%" in outcome(found["late_start"], words)[0]
    assert outcome(found["late_start"], words)[0].startswith(smaller)
    assert outcome(found["throttled"], words)[0] == not_checked


# Those of another program: test_workload_command.py.
OF_PI = [entry for entry in CHECKS if entry.workload in ("", "pi")]


def test_each_check_can_flag() -> None:
    assert {code for _, code, _, _ in FLAGGED.values()} == {entry.code for entry in OF_PI}


def test_each_check_has_its_row_in_the_documentation() -> None:
    section = DOCS.read_text("utf-8").split("\n## The checks\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)
    assert rows == [entry.code for entry in CHECKS]


# What only the cluster and the Pis themselves can tell.
OF_THE_ROUNDS = {
    "autocorrelation",
    "disturbed_pods",
    "disturbed_base",
    "slow_base",
    "superlinear",
    "proportionality",
    "control",
    "drift",
}
OF_THE_PIS = {
    *("nodes", "system_differs", "cores", "throttled", "temperature", "load"),
    *("clock_offset", "model_differs", "governor_differs"),
}
UNKNOWN: dict[str, tuple[Callable[[], Contents], set[str]]] = {
    "the Pis were not looked at": (
        lambda: factory.contents(),
        {"throttled", "temperature", "load", "clock_offset", "model_differs", "governor_differs"},
    ),
    "throttled before the run, and bits stay": (
        lambda: looked_at(
            hosts=factory.hosts(factory.plan(), {"throttled": 0x50000}, {"throttled": 0x50000})
        ),
        {"throttled"},
    ),
    "a Pi tells nothing": (
        lambda: looked_at(
            hosts=factory.hosts(
                factory.plan(),
                both={
                    "throttled": None,
                    "temperature_celsius": None,
                    "load_1_minute": None,
                    "model": None,
                    "governors": (),
                },
            )
        ),
        {"throttled", "temperature", "load", "model_differs", "governor_differs"},
    ),
    "the cluster tells nothing": (
        lambda: factory.contents(nodes=Nodes(nodes=(), not_in_inventory=())),
        OF_THE_PIS,
    ),
    "the kubeconfig may not list nodes": (
        lambda: looked_at(nodes=factory.unreadable_nodes(factory.plan())),
        {"nodes", "system_differs"},
    ),
    "neither the cluster nor the Pis were asked": (
        lambda: factory.contents(nodes=factory.unreadable_nodes(factory.plan())),
        OF_THE_PIS,
    ),
    "one round": (
        lambda: looked_at(of=factory.plan(rounds=1)),
        {*OF_THE_ROUNDS},
    ),
    "one round of nine Pis": (
        lambda: looked_at(of=factory.plan(9, rounds=1)),
        {*OF_THE_ROUNDS, "imbalance"},
    ),
    "one Pi": (lambda: looked_at(of=factory.plan(1)), {"proportionality"}),
    "too short for a limit to show": (
        lambda: looked_at(
            of=factory.plan(samples_per_process=1_000_000, cpu_limit_cores=0.5),
            defect=lambda draft: [put(limit=0.5, cpu_share=0.5)(worker) for worker in draft.workers],
        ),
        {"over_budget"},
    ),
    "a base case without image": (
        lambda: looked_at(always(put(runtime="process", limit=None, image=None), "pi-1", base=True)),
        {"image_differs"},
    ),
    "pulled for the pods, built for Docker": (
        lambda: looked_at(always(put(image_ids=("sha256:" + "c0" * 32,)), "pi-1", base=True)),
        {"image_differs"},
    ),
}


@pytest.mark.parametrize(("make", "codes"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_cannot_be_looked_at_is_unknown(make: Callable[[], Contents], codes: set[str]) -> None:
    assert {check.code for check in checks_of(make()).values() if check.status == "unknown"} == codes


def deaf(draft: Draft) -> None:
    """Let a Job be followed without the nodes' Leases and without events."""
    if not draft.base:
        draft.unheard = ("events", "leases")


# What may be missing of a run -> the checks that look at it. None of them passes then.
MISSING: dict[str, tuple[Callable[[], Contents], set[str]]] = {
    "the Pis were not looked at": (
        lambda: factory.contents(),
        {"clock_offset", "governor_differs", "load", "model_differs", "temperature", "throttled"},
    ),
    "nodes may not be listed": (
        lambda: factory.contents(nodes=factory.unreadable_nodes(factory.plan())),
        {"nodes", "system_differs", "cores"},
    ),
    "Leases and events were not heard": (lambda: looked_at(deaf), {"outages", "warnings", "pulled_inside"}),
    "claims of others may not be read": (lambda: looked_at(put(unheard=("claims",))), {"neighbours"}),
    "pods of others may not be listed": (lambda: looked_at(put(unheard=("pods",))), {"neighbours"}),
    "a Pi does not tell its frequency": (
        lambda: looked_at(always(put(report={"megahertz": (600.0, None)}), "pi-1")),
        {"frequency"},
    ),
    "no image is named": (
        lambda: looked_at(always(put(runtime="process", limit=None, image=None), "pi-1", base=True)),
        {"image_differs"},
    ),
}


@pytest.mark.parametrize(("make", "codes"), MISSING.values(), ids=MISSING)
def test_silence_is_never_a_pass(make: Callable[[], Contents], codes: set[str]) -> None:
    found = checks_of(make())
    assert {code: found[code].status for code in codes} == dict.fromkeys(codes, "unknown")


def poor(draft: Draft) -> None:
    """Leave of a trial only that without which it would not count."""
    draft.unheard = ("claims", "events", "leases", "pods")
    for worker in draft.workers:
        worker.image, worker.image_ids, worker.limit = None, (), None
        put(report={"megahertz": (None, None)})(worker)
        if draft.base:
            worker.runtime = "process"


# What a check speaks of that passes there: nothing of it is missing where there is a report.
OF_THE_PLAN_AND_THE_TRIALS = {
    *("order_done", "planned", "chain", "incomplete", "left_out", "failed_attempts", "overlap", "sessions"),
}
OF_COUNTED_TIMES = {
    *("disturbed_base", "slow_base", "autocorrelation"),
    *("precision", "imbalance", "disturbed_pods", "superlinear", "proportionality", "control", "drift"),
    *("clocks_disagree", "late_start", "short_run", "overhead", "starved", "over_budget"),
}
OF_THE_WORKERS_REPORTS = {
    *("base_pi", "python_differs", "machine_differs", "one_pod_per_pi", "counts", "streams", "replay"),
    *("duplicate_streams", "logs"),
}
# And these say what they did not see.
SAID = {
    "cpu_limit_differs": "no limit; pi-1 alone, the pod on pi-1, the pod on pi-2, the pod on pi-3 had none "
    "and used no more",
    "rounds_alike": "Python, machine, limit and image of 7 rounds; the Pis' kernels and governors were not "
    "read",
}


def test_no_check_passes_without_its_evidence() -> None:
    found = checks_of(replace(factory.contents(defect=poor), nodes=None))
    assert found.keys() == {entry.code for entry in OF_PI}
    passes = {code: check.found for code, check in found.items() if check.status == "pass"}
    assert (
        passes.keys() == OF_THE_PLAN_AND_THE_TRIALS | OF_COUNTED_TIMES | OF_THE_WORKERS_REPORTS | SAID.keys()
    )
    assert {code: passes[code] for code in SAID} == SAID


def test_no_check_passes_without_a_trial() -> None:
    found = checks_of(Contents(factory.plan(), ()))
    assert found.keys() == {entry.code for entry in OF_PI}
    passes = {code: str(check.found) for code, check in found.items() if check.status == "pass"}
    assert passes == {"left_out": "3 Pis, none was left out", "failed_attempts": "0 trials"}


def test_nothing_is_known_before_a_round_is_complete() -> None:
    found = checks_of(looked_at(rounds=0))
    passes = {code for code, check in found.items() if check.status == "pass"}
    assert passes == {
        "planned",
        "chain",
        "left_out",
        "failed_attempts",
        "model_differs",
        "cores",
        "governor_differs",
        "system_differs",
        "nodes",
        "throttled",
        "temperature",
        "load",
    }
    assert found["incomplete"].status == "flag"


def test_without_the_nodes_each_check_that_needs_them_says_so() -> None:
    found = checks_of(factory.contents(nodes=factory.unreadable_nodes(factory.plan())))
    for code in ("nodes", "system_differs", "cores"):
        assert "the kubeconfig may not list nodes" in found[code].found, code


WELL: dict[str, Callable[[], Contents]] = {
    "three Pis": lambda: looked_at(noise=0.01),
    "one Pi": lambda: looked_at(of=ONE, noise=0.01),
    "eight Pis, much noise": lambda: looked_at(of=factory.plan(8), noise=0.04),
    "all cores": lambda: looked_at(of=factory.plan(processes_per_pi=4), noise=0.01),
    "all that is optional": lambda: looked_at(
        of=factory.plan(each_pi=True, control_round=True, sweep=True), noise=0.01
    ),
    "a sweep": lambda: looked_at(of=factory.plan(4, sweep=True, rounds=5), noise=0.01),
    "a quota well used": lambda: looked_at(
        every(lambda worker, _: put(limit=0.5, cpu_share=0.47)(worker)), of=QUOTA
    ),
    "Docker names the image otherwise": lambda: looked_at(
        always(put(image="docker.io/library/python:3.9"), "pi-1", base=True)
    ),
    "Docker knows the image by more names": lambda: looked_at(
        always(put(image_ids=("python@sha256:" + "5e" * 32, factory.MANIFEST)), "pi-1", base=True)
    ),
    "stopped by its width": lambda: looked_at(of=factory.plan(target_percent=5), rounds=5),
}


@pytest.mark.parametrize("make", WELL.values(), ids=WELL)
def test_a_clean_run_has_no_flag(make: Callable[[], Contents]) -> None:
    assert [check for check in checks_of(make()).values() if check.status == "flag"] == []


@pytest.mark.fault(
    "control host's clock set while a run measures", "survived", kept="all", row="an hour back"
)
@pytest.mark.parametrize(
    "by", [-3600.0, 3600.0, -2.0], ids=["an hour back", "an hour ahead", "two seconds back"]
)
def test_the_control_host_s_clock_may_be_set_meanwhile(by: float) -> None:
    """All Pis' clocks have moved against it, and none against another: nothing is spoilt."""
    plan = factory.plan()
    hosts = tuple(
        Host(name=pi, before=factory.state(), after=factory.state(clock_offset_seconds=-by))
        for pi in plan.pis
    )
    what = looked_at(the_host_s_clock_set(by), hosts=hosts)
    assert [check for check in checks_of(what).values() if check.status == "flag"] == []
    found, undisturbed = (wall_steps(Evidence(each)) for each in (what, looked_at()))
    # By what the control host saw instead of the Pis' clocks, which told 0.2 s more of it.
    assert undisturbed.start - found.start == pytest.approx(0.2, abs=0.05)


def test_of_a_pi_whose_clock_was_set_too_it_is_told() -> None:
    plan = factory.plan()
    hosts = tuple(
        Host(
            name=pi,
            before=factory.state(),
            after=factory.state(clock_offset_seconds=3600.8 if pi == "pi-2" else 3600.0),
        )
        for pi in plan.pis
    )
    found = checks_of(looked_at(the_host_s_clock_set(-3600), hosts=hosts))["clock_offset"]
    assert found.found == "the clock of pi-2 moved by 0.80 s during the run"


def test_a_pause_between_two_readings_is_not_a_clock_that_was_set() -> None:
    stopped = in_round(3, pod(put(clock_step=0.09)), base=False)
    assert checks_of(looked_at(stopped, of=SHORT))["clocks_disagree"].status == "pass"


def test_what_was_seen_is_said_with_what_would_have_been() -> None:
    found = checks_of(looked_at(noise=0.02))
    for code in ("imbalance", "superlinear", "proportionality", "control", "drift", "late_start"):
        size = found[code].could_have_seen_percent
        assert size is not None and 1 < size < 40, code
    quiet, loud = (checks_of(looked_at(noise=noise))["control"] for noise in (0.005, 0.05))
    assert quiet.could_have_seen_percent is not None and loud.could_have_seen_percent is not None
    assert quiet.could_have_seen_percent < loud.could_have_seen_percent


def test_workers_tell_the_temperature_where_nobody_looked() -> None:
    told = every(lambda worker, draft: put(report={"celsius": (50.0, 50.0 + draft.slot.round)})(worker))
    found = checks_of(factory.contents(defect=told))["temperature"]
    assert found.status == "pass" and found.found.startswith("at most 57 °C, after ")
