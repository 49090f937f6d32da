"""What a report says of π alone: its checks, the estimate, its columns.

Each check that knows the workers' seeds draws their random points again: the same run, trial, worker and
process give the same points.
"""

from __future__ import annotations

import functools
import hashlib
import math
import random
import re
from collections import defaultdict
from typing import TYPE_CHECKING, ClassVar, cast

from pi_speedup.catalogue import Catalogue, Message
from pi_speedup.model.report import Report
from pi_speedup.model.worker import WorkerReport
from pi_speedup.report.checks.registry import (
    Finding,
    check,
    differences,
    different,
    flagged,
    passed,
    who_had_what,
)
from pi_speedup.report.evidence import Evidence, Measurement, Work
from pi_speedup.report.workload.own import Own, Result, Section
from pi_speedup.workload.pi import STRETCH_GROUPS, Pi, PiReport, streams_of

if TYPE_CHECKING:
    # It takes a moment to import, and only a report needs it.
    from numpy import bool_
    from numpy.random import RandomState
    from numpy.typing import NDArray

# One honest run in a thousand has a count that this calls impossible, however many counts it has.
_COUNTS_FALSE_ALARM = 0.001
# Points drawn together: 16 MB.
_AT_ONCE = 1_000_000


class OwnPi(Own):
    """See Own."""

    column_names: ClassVar[tuple[str, ...]] = (
        "stream",
        "rng_seed",
        "samples",
        "inside",
        "samples_per_second",
        "python_implementation",
        "python_version",
    )

    def program(self, report: Report, words: Catalogue) -> str:
        return words("pi.program")

    def result(self, evidence: Evidence) -> Result:
        """Return pi, merged from the counts of all Pis together."""
        reports = [_told(work) for job in evidence.jobs for work in job.works]
        return merged_pi(
            sum(report.inside for report in reports),
            sum(report.samples for report in reports),
            independent=not same_seeds(evidence),
        )

    def section(self, result: Result, words: Catalogue) -> Section:
        """Return the estimate of pi."""
        error, z = result["standard_error"], result["z_score"]
        dependent = "_dependent" if error is None or z is None else ""

        def said(form: str) -> str:
            values = {"estimate": result["estimate"], "points": result["samples"], "error": error, "z": z}
            return words(f"pi.{form}{dependent}", **values)

        return Section(words("pi.heading"), said("words"), "pi", said("short"))

    def columns(self, report: WorkerReport, process: int) -> tuple[str | int | float, ...]:
        """Return its stream, its counts and its rate."""
        told = Pi().own(report, report.node)
        found = told.processes[process]
        rate = found.samples / found.duration_seconds
        python = told.python_implementation, told.python_version
        return told.streams[process], found.rng_seed, found.samples, found.inside, rate, *python


def merged_pi(inside: int, samples: int, independent: bool = True) -> Result:
    """Return pi = 4 inside / samples with its standard error and z-score; ValueError for impossible counts.

    SE = 4 sqrt(p (1 - p) / n) with p = pi / 4, z = (estimate - pi) / SE: the score test of a proportion.
    Source: Agresti, Categorical Data Analysis, 3rd ed., section 1.4.1. Assumption: independent samples. Where
    they are not (`independent` False: a stream drawn twice) the error would be too small, so both are None.
    """
    if samples < 1 or not 0 <= inside <= samples:
        raise ValueError(f"{inside} of {samples} samples inside is impossible")
    estimate, chance = 4 * (inside / samples), math.pi / 4
    error = 4 * math.sqrt(chance * (1 - chance) / samples)
    return {
        "inside": inside,
        "samples": samples,
        "estimate": estimate,
        "standard_error": error if independent else None,
        "z_score": (estimate - math.pi) / error if independent else None,
    }


def count_is_impossible(inside: int, samples: int, chance_of_alarm: float) -> bool:
    """Say whether a count is so far from pi / 4, above or below, that honest draws rarely give it.

    P(count at least this far to one side) <= exp(-n D), D the Kullback-Leibler divergence from the share
    found to pi / 4. Source: Chernoff 1952, Annals of Mathematical Statistics 23, 493-507. A bound for every
    n, the small ones too, so that honest counts raise it less often than said, never more.
    """
    share, chance = inside / samples, math.pi / 4
    divergence = 0.0
    if share > 0:
        divergence += share * math.log(share / chance)
    if share < 1:
        divergence += (1 - share) * math.log((1 - share) / (1 - chance))
    return samples * divergence > math.log(2 / chance_of_alarm)


@check("counts", workload="pi")
def counts(evidence: Evidence) -> Finding:
    """Test each worker's count, above and below; the chance of a false alarm is shared between them."""
    tests = sum(len(work.report.processes) for _, work in evidence.works) + 1
    chance = _COUNTS_FALSE_ALARM / tests
    found, rounds = [], []
    for measurement, work in evidence.works:
        for process in _told(work).processes:
            if count_is_impossible(process.inside, process.samples, chance):
                found.append(
                    Message(
                        "check.counts.worker",
                        who=measurement.who(work),
                        inside=process.inside,
                        points=process.samples,
                        pi=4 * process.inside / process.samples,
                    )
                )
                rounds.append(measurement.round)
    merged = [_told(work) for job in evidence.jobs for work in job.works]
    inside, samples = sum(each.inside for each in merged), sum(each.samples for each in merged)
    if not found and count_is_impossible(inside, samples, chance):
        found.append(Message("check.counts.together", pi=4 * inside / samples))
        rounds += evidence.rounds
    if found:
        return flagged(found, Message("check.counts.possible"), "invalid", rounds)
    return passed(Message("check.counts.passed", count=tests - 1))


@check("streams", workload="pi")
def streams(evidence: Evidence) -> Finding:
    """Derive each process's stream and seed anew."""
    found, rounds, looked = [], [], 0
    for measurement, work in evidence.works:
        told = zip(_told(work).processes, _told(work).streams, _streams(measurement, work), strict=True)
        for process, told_stream, stream in told:
            looked += 1
            if told_stream != stream:
                found.append(
                    Message(
                        "check.streams.stream", who=measurement.who(work), told=told_stream, stream=stream
                    )
                )
                rounds.append(measurement.round)
            elif int(process.rng_seed, 16) != seed_of(measurement.trial.run_id, stream):
                found.append(Message("check.streams.seed", who=measurement.who(work), seed=process.rng_seed))
                rounds.append(measurement.round)
    if found:
        return flagged(found, Message("check.streams.possible"), "invalid", rounds)
    return passed(Message("check.streams.passed", count=looked))


@check("replay", workload="pi")
def replay(evidence: Evidence) -> Finding:
    """Draw each process's first points from the seed that it must have had, and all points of one worker."""
    found, rounds, points = [], [], 0
    for measurement, work in evidence.works:
        for process, stream in zip(_told(work).processes, _streams(measurement, work), strict=True):
            points += len(process.stretch) * process.stretch_group
            counts = stretch_of(seed_of(measurement.trial.run_id, stream), process.stretch_group)
            if counts != process.stretch:
                found.append(
                    Message(
                        "check.replay.first",
                        who=measurement.who(work),
                        counted=process.stretch,
                        group=process.stretch_group,
                        here=counts,
                    )
                )
                rounds.append(measurement.round)
    whole = None
    if evidence.plan.settings.replay_whole:
        # By chance, but the same one each time: a report follows from the files alone.
        measurement, work = random.Random(evidence.plan.sha256).choice(evidence.works)
        for process, stream in zip(_told(work).processes, _streams(measurement, work), strict=True):
            points += process.samples
            inside = whole_of(seed_of(measurement.trial.run_id, stream), process.samples)
            if inside != process.inside:
                found.append(
                    Message(
                        "check.replay.all", who=measurement.who(work), counted=process.inside, here=inside
                    )
                )
                rounds.append(measurement.round)
        whole = measurement.who(work)
    if found:
        return flagged(found, Message("check.replay.possible"), "invalid", rounds)
    return passed(
        Message(
            "check.replay.passed" if whole is None else "check.replay.passed_whole",
            points=points,
            workers=len(evidence.works),
            whole=whole,
        )
    )


@check("python_differs", workload="pi")
def python_differs(evidence: Evidence) -> Finding:
    """Compare implementation and version; another patch release is hardly faster or slower."""
    owners = who_had_what(evidence.works, lambda work: Pi().ran_in(work.report))
    if len(owners) == 1:
        return passed(Message("check.these", values=list(owners)))
    same_line = len({re.sub(r"(\d+\.\d+).*", r"\1", python) for python in owners}) == 1
    return flagged(
        different("python_differs", differences(owners)),
        Message("check.python_differs.possible"),
        "doubtful" if same_line else "invalid",
    )


@check("duplicate_streams", workload="pi")
def duplicate_streams(evidence: Evidence) -> Finding:
    """Look for seeds that more than one process had, in all trials."""
    found = [
        Message("check.duplicate_streams.share", places=places, seed=seed)
        for seed, places in same_seeds(evidence).items()
    ]
    if found:
        return flagged(found, Message("check.duplicate_streams.possible"), "doubtful")
    seeds = sum(len(work.report.processes) for _, work in evidence.works)
    return passed(Message("check.duplicate_streams.passed", count=seeds))


def same_seeds(evidence: Evidence) -> dict[int, list[Message]]:
    """Return the seeds that more than one process had, and where."""
    found: dict[int, list[tuple[Measurement, Work]]] = defaultdict(list)
    for measurement, work in evidence.works:
        for process in _told(work).processes:
            # As a number: 0a and a are the same seed.
            found[int(process.rng_seed, 16)].append((measurement, work))
    return {
        seed: [measurement.who(work) for measurement, work in places]
        for seed, places in found.items()
        if len(places) > 1
    }


def seed_of(run_id: str, stream: str) -> int:
    """Return the seed of a stream: the first 64 bits of SHA-256 over run and stream, as the worker has it."""
    return int.from_bytes(hashlib.sha256(f"{run_id}/{stream}".encode()).digest()[:8], "big")


# The measuring loop looks at all trials again after each round.
@functools.lru_cache(maxsize=100_000)
def stretch_of(seed: int, group: int) -> tuple[int, ...]:
    """Return how many of the first points of a seed are inside, in groups of `group` points.

    Python draws the same numbers from a seed in every release since 3.2 and on every machine (documentation
    of `random`, "Notes on Reproducibility"). Assumption: x**2 + y**2 is rounded alike on both machines, or no
    point lies within 1e-15 of the circle, of which there is one in 1e15.
    """
    inside = _are_inside(_generator(seed), STRETCH_GROUPS * group)
    return tuple(int(count) for count in inside.reshape(STRETCH_GROUPS, group).sum(axis=1))


@functools.lru_cache(maxsize=100)
def whole_of(seed: int, samples: int) -> int:
    """Return how many of all points of a seed are inside; less than half a second for ten million."""
    generator = _generator(seed)
    counts = (min(_AT_ONCE, samples - begin) for begin in range(0, samples, _AT_ONCE))
    return sum(int(_are_inside(generator, count).sum()) for count in counts)


def _told(work: Work) -> PiReport:
    return cast("PiReport", work.report)


def _streams(measurement: Measurement, work: Work) -> tuple[str, ...]:
    """Return the names that the random streams of a worker's processes must have."""
    trial, report = measurement.trial, work.report
    return streams_of(trial.slot, trial.attempt, report.completion_index, len(report.processes))


def _generator(seed: int) -> RandomState:
    """Return numpy's one generator here, in the state of Python's: it draws the same numbers, faster.

    Both are the Mersenne Twister with 53 bits a number; NEP 19 promises that RandomState stays so.
    """
    import numpy as np

    _, state, _ = random.Random(seed).getstate()
    generator = _twister()
    generator.set_state(("MT19937", np.array(state[:-1], np.uint32), state[-1], 0, 0.0))
    return generator


# Made once: that takes as long as drawing a stretch.
@functools.cache
def _twister() -> RandomState:
    from numpy.random import RandomState

    return RandomState()


def _are_inside(generator: RandomState, samples: int) -> NDArray[bool_]:
    points = generator.random_sample((samples, 2))
    inside: NDArray[bool_] = (points**2).sum(axis=1) <= 1
    return inside
