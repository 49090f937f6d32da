"""Simulated runs: worlds whose truth is known, and defects of a known size. Seeds are fixed.

The tests take few runs of each, `make simulations` many (docs/simulations.md).
"""

from __future__ import annotations

import functools
import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pi_speedup.model.base import load
from pi_speedup.model.host import Host
from pi_speedup.model.plan import ALONE, ALONE_LONG, Plan
from pi_speedup.model.report import Check, Estimate, Report
from pi_speedup.model.trial import Trial
from pi_speedup.plan.progress import LEAST_ROUNDS, Stop, next_trial
from pi_speedup.report.build import build_report, report_files
from pi_speedup.report.checks import CHECKS, run_checks
from pi_speedup.report.checks.refusal import half_width_percent
from pi_speedup.report.checks.registry import as_check
from pi_speedup.report.estimates import comparisons
from pi_speedup.report.evidence import Contents, Evidence
from tests.unit.report import factory
from tests.unit.report.factory import Defect, Draft, Noise, WorkerDraft, lognormal

# Draws that tell the truth of a world: its standard error is a hundredth of an interval's width.
_TRUTH_DRAWS = 100_000
_MOST_ADAPTIVE_ROUNDS = 30
_LAST_ROUND_OF_THE_FIRST_DAY = 4


@dataclass(frozen=True)
class World:
    """How times vary: each worker by itself, all of a trial, all of a round, and over the run."""

    name: str
    noise: Noise
    of_trial: Noise | None = None
    shared: float = 0.0
    drift: float = 0.0
    # Of each Pi's trials, how much of one is in the next, and their standard deviation; no other noise then.
    remembers: float = 0.0
    spread: float = 0.0
    # In how many of 100 runs the interval is to cover; None where that is shown and nothing promised.
    least: float | None = 93.0
    most: float = 97.5


def _normal(spread: float) -> Noise:
    return lambda chance: 1 + spread * chance.gauss(0, 1)


def _outlier(chance: random.Random) -> float:
    return 1.3 if chance.random() < 0.1 else 1.0


WORLDS: dict[str, World] = {
    world.name: world
    for world in (
        World("normal, 2 %", _normal(0.02)),
        World("lognormal, 15 %", lognormal(0.15)),
        World("2 %, and a round shares 5 %", lognormal(0.02), shared=0.05),
        World("1 %, and 10 % slower at the end", lognormal(0.01), drift=0.1),
        World("2 %, and 1 trial in 10 takes 1.3 times as long", _normal(0.02), _outlier, least=95, most=100),
        World(
            "2 %, and 1 pod in 10 takes 1.3 times as long",
            lambda chance: (1 + 0.02 * chance.gauss(0, 1)) * _outlier(chance),
            least=None,
            most=100,
        ),
        World(
            "2 %, and 0.7 of what a Pi does is in its next trial",
            lognormal(0.02),
            remembers=0.7,
            spread=0.02,
            least=None,
            most=100,
        ),
    )
}


def _remembering(how: World, seed: int) -> Defect:
    """Return noise of each Pi that depends on its trial before: autoregressive, of first order."""
    chance, level = random.Random(f"levels of {seed}"), dict[str, float]()

    def slower(draft: Draft) -> None:
        for worker in draft.workers:
            fresh = how.spread * chance.gauss(0, 1)
            before = level.get(worker.pi, how.spread * chance.gauss(0, 1))
            level[worker.pi] = how.remembers * before + math.sqrt(1 - how.remembers**2) * fresh
            worker.seconds *= math.exp(level[worker.pi])

    return slower


@functools.cache
def truth(world: str, pis: int) -> float:
    """Return the ratio of the geometric means of N T1 and T_N; what a trial or round shares cancels."""
    chance, noise = random.Random(f"truth of {world}"), WORLDS[world].noise
    one = statistics.fmean(math.log(noise(chance)) for _ in range(_TRUTH_DRAWS))
    last = statistics.fmean(
        math.log(max(noise(chance) for _ in range(pis))) for _ in range(_TRUTH_DRAWS // pis)
    )
    return pis * math.exp(one - last)


def simulated(world: str, plan: Plan, seed: int, rounds: int | None = None) -> tuple[Trial, ...]:
    """Return the trials of one run of a world, or of its first rounds only."""
    how = WORLDS[world]
    return factory.trials(
        plan,
        noise=lognormal(0.0) if how.remembers else how.noise,
        defect=_remembering(how, seed) if how.remembers else None,
        of_trial=how.of_trial,
        shared=how.shared,
        drift=how.drift,
        rounds=rounds,
        jitter=0.0,
        # Each world has noise of its own.
        seed=seed + 1_000_000 * list(WORLDS).index(world),
    )


def covers(world: str, plan: Plan, seed: int) -> bool:
    """Say whether the interval of one run contains the truth."""
    return _contains(_speedup(plan, simulated(world, plan, seed)), truth(world, len(plan.pis)))


def covers_when_narrow_enough(world: str, plan: Plan, seed: int) -> tuple[bool, int]:
    """Say the same of a run that stops as its plan says, and after how many rounds it did."""
    trials: tuple[Trial, ...] = ()
    made = 0
    for rounds in range(LEAST_ROUNDS, plan.rounds + 1):
        if rounds > made:
            # The first ones are the same, and most runs need no more.
            made = min(plan.rounds, rounds + 9)
            trials = simulated(world, plan, seed, made)
        done = tuple(trial for trial in trials if trial.slot.round <= rounds)
        if isinstance(next_trial(plan, done, lambda: half_width_percent(plan, done)), Stop):  # noqa: B023
            break
    return _contains(_speedup(plan, done), truth(world, len(plan.pis))), rounds


def files_say_the_same(folder: Path, world: str, plan: Plan, seed: int) -> bool:
    """Say whether a run, written to files and read again, comes to the same interval in report.json."""
    trials = simulated(world, plan, seed)
    text = report_files(factory.write(folder, Contents(plan, trials)), ["json"])["report.json"]
    return load(Report, text, "report.json").comparisons[0].speedup == _speedup(plan, trials)


def coverage_plan(rounds: int) -> Plan:
    """Return a plan of three Pis."""
    return factory.plan(rounds=rounds, long_rounds=0)


def adaptive_plan() -> Plan:
    """Return one that stops when half the interval's width is 2 %."""
    return factory.plan(rounds=_MOST_ADAPTIVE_ROUNDS, long_rounds=0, target_percent=2)


def _speedup(plan: Plan, trials: Sequence[Trial]) -> Estimate:
    found = comparisons(Evidence(Contents(plan, tuple(trials))))[0].speedup
    assert found is not None
    return found


def _contains(estimate: Estimate, value: float) -> bool:
    assert estimate.interval is not None
    return estimate.interval.low <= value <= estimate.interval.high


@dataclass(frozen=True)
class Quiet:
    """A run with nothing but noise: how many Pis, and how much each pod's time varies."""

    pis: int
    noise: float

    def contents(
        self,
        seed: int,
        defect: Defect | None = None,
        hosts: tuple[Host, ...] = (),
        clocks: Mapping[str, float] | None = None,
    ) -> Contents:
        """Return one run of Pis that were looked at, with a defect or none."""
        plan = _plan_of(self.pis)
        return Contents(
            plan,
            factory.trials(plan, noise=self.noise, seed=seed, defect=defect, clocks=clocks),
            factory.all_nodes(plan),
            hosts or factory.hosts(plan),
        )

    def is_blind(self, seed: int) -> bool:
        """Say whether a check of a run with nothing but noise would have missed what moves the speedup."""
        return bool(build_report(self.contents(seed)).verdict.blind)

    def flags(self, seed: int) -> tuple[str, ...]:
        """Return the checks that flag a run with nothing but noise."""
        checks = run_checks(Evidence(self.contents(seed)))
        return tuple(check.code for check in checks if check.status == "flag")


@functools.cache
def _plan_of(pis: int) -> Plan:
    return factory.plan(pis)


CLEAN = tuple(Quiet(pis, noise) for pis in (1, 2, 3, 8, 100) for noise in (0.01, 0.02, 0.04))


# Changes a trial by a defect of a relative size.
Change = Callable[[Quiet, Draft, float], None]


def _slow_last_pi(_: Quiet, draft: Draft, size: float) -> None:
    if not draft.base:
        draft.workers[-1].seconds *= 1 + size


def _slow_base(quiet: Quiet, draft: Draft, size: float) -> None:
    # So that efficiency comes to 1 + size, although noise takes some of it from equal Pis.
    if draft.base:
        draft.workers[0].seconds *= (1 + size) / usual_efficiency(quiet)


def _base_held_up(_: Quiet, draft: Draft, size: float) -> None:
    if draft.base:
        draft.workers[0].seconds *= 1 + size


def _one_slow_base(_: Quiet, draft: Draft, size: float) -> None:
    if draft.cell.name == ALONE and draft.slot.round == 3:
        draft.workers[0].seconds *= 1 + size


def _slow_base_on_another_day(_: Quiet, draft: Draft, size: float) -> None:
    if draft.slot.round > _LAST_ROUND_OF_THE_FIRST_DAY:
        draft.session = 2
        draft.workers[0].seconds *= 1 + size if draft.base else 1


def _slow_long_base(_: Quiet, draft: Draft, size: float) -> None:
    if draft.cell.name == ALONE_LONG:
        draft.workers[0].seconds *= 1 + size


def _slow_base_after_job(quiet: Quiet, draft: Draft, size: float) -> None:
    order = _plan_of(quiet.pis).order[draft.slot.round]
    if draft.cell.name == ALONE and draft.slot.position > order.index(f"together-{quiet.pis}"):
        draft.workers[0].seconds *= 1 + size


def _slower_by_and_by(quiet: Quiet, draft: Draft, size: float) -> None:
    if not draft.base:
        for worker in draft.workers:
            worker.seconds *= (1 + size) ** ((draft.slot.round - 1) / (_plan_of(quiet.pis).rounds - 1))


def _late(quiet: Quiet, draft: Draft, size: float) -> None:
    if not draft.base and draft.slot.round == 3:
        *others, last = draft.workers
        makespan = usual_seconds(quiet)
        last.start = min(other.start for other in others) + size * makespan


def _of_one_pod(change: Callable[[WorkerDraft, float], None]) -> Change:
    def changed(_: Quiet, draft: Draft, size: float) -> None:
        if not draft.base and draft.slot.round == 3:
            change(draft.workers[-1], size)

    return changed


def _disturbed(worker: WorkerDraft, size: float) -> None:
    worker.seconds *= 1 + size


def _less_cpu(worker: WorkerDraft, size: float) -> None:
    worker.cpu_share = 1 - size


def _clock_set(worker: WorkerDraft, size: float) -> None:
    worker.clock_step = size * worker.seconds


# By code: all checks that say from which size on they would have seen something, but for clock_offset.
_CHANGES: dict[str, Change] = {
    "imbalance": _slow_last_pi,
    "disturbed_pods": _of_one_pod(_disturbed),
    "disturbed_base": _one_slow_base,
    "slow_base": _base_held_up,
    "superlinear": _slow_base,
    "sessions": _slow_base_on_another_day,
    "proportionality": _slow_long_base,
    "control": _slow_base_after_job,
    "drift": _slower_by_and_by,
    "clocks_disagree": _of_one_pod(_clock_set),
    "late_start": _late,
    "starved": _of_one_pod(_less_cpu),
}
SIZED = (*_CHANGES, "clock_offset")


def with_defect(code: str, quiet: Quiet, seed: int, size: float) -> Contents:
    """Return a run with the defect that a check looks for, of a relative size."""
    plan, change = _plan_of(quiet.pis), _CHANGES.get(code)
    if change is not None:
        return quiet.contents(seed, defect=lambda draft: change(quiet, draft, size))
    # One clock ahead, by this share of a makespan; what is read of a clock is off by as much as it may be.
    ahead, chance = {plan.pis[-1]: 10 * size}, random.Random(seed)
    looks = []
    for host in factory.hosts(plan):
        assert host.before is not None
        off = chance.uniform(-1, 1) * host.before.clock_uncertainty_seconds
        state = host.before.model_copy(update={"clock_offset_seconds": ahead.get(host.name, 0.0) + off})
        looks.append(Host(name=host.name, before=state, after=state))
    return quiet.contents(seed, hosts=tuple(looks), clocks=ahead)


@dataclass(frozen=True)
class Sight:
    """Of some runs: the mean size that a check says it would have seen, and in how many it flagged what."""

    percent: float
    at_size: int
    at_half: int


def sight(code: str, quiet: Quiet, runs: int) -> Sight:
    """Ask a check what it would have seen in a clean run, and show it that, and half of it."""
    # Of one session there is nothing to compare.
    clean = functools.partial(with_defect, code, size=0.0) if code == "sessions" else Quiet.contents
    sizes = [_check(code, clean(quiet, seed)).could_have_seen_percent or math.nan for seed in range(runs)]

    def flagged(share: float) -> int:
        made = (with_defect(code, quiet, seed, share * size / 100) for seed, size in enumerate(sizes))
        return sum(_check(code, each).status == "flag" for each in made)

    return Sight(statistics.fmean(sizes), flagged(1.0), flagged(0.5))


@functools.cache
def usual_seconds(quiet: Quiet) -> float:
    """Return the mean makespan of runs with nothing but noise."""
    return statistics.fmean(
        job.seconds for seed in range(20) for job in Evidence(quiet.contents(10_000 + seed)).jobs
    )


@functools.cache
def usual_efficiency(quiet: Quiet) -> float:
    """Return the geometric mean of the efficiency of runs with nothing but noise."""
    logs = []
    for seed in range(100):
        contents = quiet.contents(10_000 + seed)
        logs.append(math.log(_speedup(contents.plan, contents.trials).value / quiet.pis))
    return math.exp(statistics.fmean(logs))


def _check(code: str, contents: Contents) -> Check:
    entry = next(entry for entry in CHECKS if entry.code == code)
    return as_check(code, entry.look(Evidence(contents)))
