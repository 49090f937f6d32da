"""Did each worker run where, with what and on as much CPU as it should, and did it compute what it should?"""

from __future__ import annotations

import random
from collections import defaultdict

from pi_speedup.report.checks.registry import Finding, check, flagged, passed
from pi_speedup.report.evidence import Evidence, Measurement, Work
from pi_speedup.report.formulas import count_is_impossible
from pi_speedup.report.replay import seed_of, stretch_of, whole_of
from pi_speedup.text import listed

# CPU time over what was promised. A whole core is the process's own; under a quota it gets the core in slices
# of 0.1 s, and measured runs came within a tenth of it.
_LEAST_SHARE = 0.96
_LEAST_SHARE_OF_QUOTA = 0.90
_MOST_SHARE_OF_QUOTA = 1.2
# One thread cannot use more than a core: beyond this its clocks are wrong.
_MOST_CORES = 1.02
# CPU time ticks in hundredths of a second on some systems.
_TICKS_SECONDS = 0.02
# A short run may live on the burst that a quota allows.
_QUOTA_SECONDS = 3.0
# One honest run in a thousand has a count that this calls impossible, however many counts it has.
_COUNTS_FALSE_ALARM = 0.001


@check("one_pod_per_pi", "Each pod ran on a Pi of its own")
def one_pod_per_pi(evidence: Evidence) -> Finding:
    """Look where each pod ran, by the cluster and by itself."""
    found, rounds = [], []
    for job in evidence.all_jobs:
        wrong = [
            f"{job.place}: the cluster says {work.pi}, the worker says {work.report.node}"
            for work in job.works
            if work.pi != work.report.node
        ]
        ran = sorted(work.pi for work in job.works)
        if ran != sorted(job.cell.pis):
            wrong.append(f"{job.place} ran on {listed(ran)}, planned: {listed(job.cell.pis)}")
        if wrong:
            found += wrong
            rounds.append(job.round)
    if found:
        return flagged(found, "Fewer or other Pis computed than the figures say.", "invalid", rounds)
    pods = sum(len(job.works) for job in evidence.all_jobs)
    return passed(f"{pods} pods of {len(evidence.all_jobs)} Jobs, each on the Pi that was planned")


@check("starved", "Every worker got the CPU it was promised")
def starved(evidence: Evidence) -> Finding:
    """Compare CPU time with the budget."""
    found, rounds, least, seen = [], [], 1.0, 0.0
    for measurement, work in evidence.works:
        budget = _budget_cores(evidence, work)
        processes = len(work.report.processes)
        share = work.cpu_seconds / (budget * work.seconds)
        least = min(least, share)
        allowed = _LEAST_SHARE if budget >= processes else _LEAST_SHARE_OF_QUOTA
        # By a thousandth more than what is tolerated.
        seen = max(seen, 1.001 * (1 - allowed + _TICKS_SECONDS / (budget * work.seconds)))
        if work.cpu_seconds + _TICKS_SECONDS < allowed * budget * work.seconds:
            found.append(
                f"{measurement.who(work)} got {work.cpu_seconds / work.seconds:.2f} of its {budget:.2f} cores"
            )
            rounds.append(measurement.round)
    if found:
        return flagged(
            found,
            "Possibly something else used the Pi, or it was throttled. A starved pod makes the speedup too "
            "low, a starved base case too high.",
            "doubtful",
            rounds,
        )
    return passed(f"all had at least {least:.0%} of their CPU", seen)


@check("over_budget", "No worker used more CPU than its limit")
def over_budget(evidence: Evidence) -> Finding:
    """Compare CPU time with the limit, and with what one thread can use."""
    impossible, over, rounds = [], [], []
    for measurement, work in evidence.works:
        for process in work.report.processes:
            if process.cpu_seconds > _MOST_CORES * process.duration_seconds + _TICKS_SECONDS:
                impossible.append(
                    f"{measurement.who(work)} counts {process.cpu_seconds:.2f} s of CPU in "
                    f"{process.duration_seconds:.2f} s"
                )
                rounds.append(measurement.round)
        limit = work.worker.cpu_limit_cores
        used = work.cpu_seconds / work.seconds
        quota = limit is not None and limit < len(work.report.processes)
        if quota and limit and used > _MOST_SHARE_OF_QUOTA * limit and work.seconds >= _QUOTA_SECONDS:
            over.append(f"{measurement.who(work)} used {used:.2f} cores, its limit is {limit:.2f}")
            rounds.append(measurement.round)
    if impossible:
        return flagged(impossible, "One thread cannot do that: a clock is wrong.", "invalid", rounds)
    if over:
        return flagged(
            over,
            "The limit was possibly not enforced there, and the two sides are not comparable.",
            "doubtful",
            rounds,
        )
    return passed("all stayed within their limits")


@check("counts", "Every count of points fits pi")
def counts(evidence: Evidence) -> Finding:
    """Test each worker's count, above and below; the chance of a false alarm is shared between them."""
    tests = sum(len(work.report.processes) for _, work in evidence.works) + 1
    chance = _COUNTS_FALSE_ALARM / tests
    found, rounds = [], []
    for measurement, work in evidence.works:
        for process in work.report.processes:
            if count_is_impossible(process.inside, process.samples, chance):
                found.append(
                    f"{measurement.who(work)}: {process.inside:,} of {process.samples:,} inside, "
                    f"pi = {4 * process.inside / process.samples:.6f}"
                )
                rounds.append(measurement.round)
    merged = [work.report for job in evidence.jobs for work in job.works]
    inside, samples = sum(each.inside for each in merged), sum(each.samples for each in merged)
    if not found and count_is_impossible(inside, samples, chance):
        found.append(f"all pods together: pi = {4 * inside / samples:.8f}")
        rounds += evidence.rounds
    if found:
        return flagged(
            found,
            "The samples were not random, or the workers did not compute what they should.",
            "invalid",
            rounds,
        )
    return passed(f"{tests - 1} counts and their sum, base cases included")


@check("streams", "Every random stream follows from the run, the trial and the worker")
def streams(evidence: Evidence) -> Finding:
    """Derive each process's stream and seed anew."""
    found, rounds, looked = [], [], 0
    for measurement, work in evidence.works:
        told = zip(work.report.processes, work.report.streams, streams_of(measurement, work), strict=True)
        for process, told_stream, stream in told:
            looked += 1
            if told_stream != stream:
                found.append(f"{measurement.who(work)} drew from stream {told_stream}, not {stream}")
                rounds.append(measurement.round)
            elif int(process.rng_seed, 16) != seed_of(measurement.trial.run_id, stream):
                found.append(f"{measurement.who(work)}: seed {process.rng_seed} is not that of its stream")
                rounds.append(measurement.round)
    if found:
        return flagged(found, "Another program ran there, or a result was changed.", "invalid", rounds)
    return passed(f"{looked} streams and seeds derived anew")


@check("replay", "Drawn again here, the workers' first points come to the same counts")
def replay(evidence: Evidence) -> Finding:
    """Draw each process's first points from the seed that it must have had, and all points of one worker."""
    found, rounds, points = [], [], 0
    for measurement, work in evidence.works:
        for process, stream in zip(work.report.processes, streams_of(measurement, work), strict=True):
            points += len(process.stretch) * process.stretch_group
            counts = stretch_of(seed_of(measurement.trial.run_id, stream), process.stretch_group)
            if counts != process.stretch:
                found.append(
                    f"{measurement.who(work)} counted {listed(process.stretch)} of each "
                    f"{process.stretch_group} first points, here it is {listed(counts)}"
                )
                rounds.append(measurement.round)
    whole = ""
    if evidence.plan.settings.replay_whole:
        # By chance, but the same one each time: a report follows from the files alone.
        measurement, work = random.Random(evidence.plan.sha256).choice(evidence.works)
        for process, stream in zip(work.report.processes, streams_of(measurement, work), strict=True):
            points += process.samples
            inside = whole_of(seed_of(measurement.trial.run_id, stream), process.samples)
            if inside != process.inside:
                found.append(
                    f"{measurement.who(work)} counted {process.inside:,} inside in all, here it is {inside:,}"
                )
                rounds.append(measurement.round)
        whole = f", and all of {measurement.who(work)}"
    if found:
        return flagged(
            found,
            "Another program ran there, it drew other numbers, or a result was changed.",
            "invalid",
            rounds,
        )
    return passed(f"{points:,} points drawn again: the first of {len(evidence.works)} workers{whole}")


@check("duplicate_streams", "Every process drew random numbers of its own")
def duplicate_streams(evidence: Evidence) -> Finding:
    """Look for seeds that more than one process had, in all trials."""
    found = [
        f"{listed(places, ' and ')} share seed {seed:016x}" for seed, places in same_seeds(evidence).items()
    ]
    if found:
        return flagged(
            found, "Their points are the same ones: the merged pi is less certain than it seems.", "doubtful"
        )
    return passed(f"{sum(len(work.report.processes) for _, work in evidence.works)} different seeds")


def same_seeds(evidence: Evidence) -> dict[int, list[str]]:
    """Return the seeds that more than one process had, and where."""
    found: dict[int, list[tuple[Measurement, Work]]] = defaultdict(list)
    for measurement, work in evidence.works:
        for process in work.report.processes:
            # As a number: 0a and a are the same seed.
            found[int(process.rng_seed, 16)].append((measurement, work))
    return {
        seed: [measurement.who(work) for measurement, work in places]
        for seed, places in found.items()
        if len(places) > 1
    }


def streams_of(measurement: Measurement, work: Work) -> tuple[str, ...]:
    """Return the names that the random streams of a worker's processes must have."""
    trial, index = measurement.trial, work.report.completion_index or 0
    return tuple(
        f"{trial.slot.name}.{trial.attempt}.{index}.{number}" for number in range(len(work.report.processes))
    )


def _budget_cores(evidence: Evidence, work: Work) -> float:
    """Return the cores that a worker can use at most: one a process, or less by its limit."""
    processes = len(work.report.processes)
    limit = work.worker.cpu_limit_cores
    if limit is None:
        # A plain process, which nothing of ours limits: it should have what a pod has.
        limit = processes * evidence.plan.settings.cpu_limit_cores
    return min(float(processes), limit)
