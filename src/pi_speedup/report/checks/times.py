"""Do the times fit together, and is anything in them that is not the work?"""

from __future__ import annotations

import statistics
from collections import defaultdict
from itertools import pairwise

from pi_speedup.report.checks.registry import Finding, check, flagged, passed, unknown
from pi_speedup.report.evidence import Evidence, Measurement, Work
from pi_speedup.report.formulas import lag_quantile
from pi_speedup.text import listed, one_line

# Two clocks read one after the other, and one of them slewed by NTP.
_CLOCK_SECONDS = 0.01
_CLOCK_SHARE = 0.01
# A CPU limit may stop a worker between two readings for nearly a period of its quota, 0.1 s by default.
_BETWEEN_READINGS_SECONDS = 0.1
# Measured: runs of 1 s show a fifth less speedup than runs of 10 s, as starting weighs in; 3 s come close.
_LEAST_SECONDS = 3.0
# What late pods may cost of the speedup in one round.
_MOST_LATE_SHARE = 0.05
# And what they may cost however usual that is: beyond it the figure is one of starting, not of computing.
_MOST_USUAL_SHARE = 0.2
# Of the normal distribution: standard deviation over median absolute deviation.
_SD_PER_MAD = 1.4826


@check("clocks_disagree", "The times fit together")
def clocks_disagree(evidence: Evidence) -> Finding:
    """Compare clocks of one Pi with each other, and each time with those that it must contain."""
    stepped: list[str] = []
    impossible: list[str] = []
    rounds = []
    for measurement in evidence.measured:
        before = len(stepped) + len(impossible)
        for work in measurement.works:
            stepped += _clock_was_set(measurement, work)
        for what, inner, outer in _nested(measurement):
            if inner > _with_tolerance(outer):
                impossible.append(f"{measurement.place}: {what} ({inner:.2f} s in {outer:.2f} s)")
        if len(stepped) + len(impossible) > before:
            rounds.append(measurement.round)
    if impossible:
        return flagged(
            [*impossible, *stepped],
            "One of these clocks is wrong; see that NTP runs on every Pi (timedatectl).",
            "invalid",
            rounds,
        )
    if stepped:
        return flagged(
            stepped, "Possibly NTP set it. The makespan of that round is uncertain.", "doubtful", rounds
        )
    shortest = min(
        process.duration_seconds for _, work in evidence.works for process in work.report.processes
    )
    return passed(
        "each time is as long as what it contains, and no clock was set",
        # By a thousandth more than what is tolerated.
        1.001 * max(_CLOCK_SHARE / (1 - _CLOCK_SHARE), _BETWEEN_READINGS_SECONDS / shortest),
    )


@check("late_start", "The pods started together")
def late_start(evidence: Evidence) -> Finding:
    """Judge late pods by what they cost, beyond what as many starts are usually apart in this run."""
    usual = _expected_range_seconds(evidence)
    found, rounds, worst = [], [], 0.0
    for job in evidence.jobs:
        last = max(job.works, key=lambda work: work.span.start_ns)
        late = (last.span.start_ns - min(work.span.start_ns for work in job.works)) / 1e9
        lost = 1 - job.longest / job.seconds
        worst = max(worst, lost)
        if lost > _MOST_LATE_SHARE and (late > usual or lost > _MOST_USUAL_SHARE):
            found.append(f"{job.who(last)} started {late:.2f} s after the first, which cost {lost:.0%}")
            rounds.append(job.round)
    seen = _visible_lateness(evidence, usual)
    if found:
        return flagged(
            found,
            "Possibly that Pi was busy or had to fetch something. The speedup counts the waiting and is too "
            "low for longer work.",
            "doubtful",
            rounds,
            seen,
        )
    return passed(f"starting cost at most {max(0.0, worst):.1%} of a round", seen)


@check("short_run", "The trials were long enough to say something")
def short_run(evidence: Evidence) -> Finding:
    """Look for the shortest worker."""
    measurement, work = min(evidence.works, key=lambda pair: pair[1].seconds)
    figures = f"the shortest was {measurement.who(work)} with {work.seconds:.3g} s"
    if work.seconds < _LEAST_SECONDS:
        return flagged(
            [figures],
            f"Below {_LEAST_SECONDS:g} s starting weighs in; set benchmark_samples_per_process higher.",
            "doubtful",
        )
    return passed(figures)


@check("pulled_inside", "No image was pulled inside a measured time")
def pulled_inside(evidence: Evidence) -> Finding:
    """Look for pods that had to pull their image."""
    pulled = [
        (measurement, work)
        for measurement, work in evidence.works
        if work.worker.milestones.pulled is not None
    ]
    if pulled:
        return flagged(
            [f"{measurement.who(work)} pulled its image" for measurement, work in pulled],
            "The wall time counts it, and the pods started apart. Possibly the image was removed meanwhile.",
            "doubtful",
            (measurement.round for measurement, _ in pulled),
        )
    return passed(f"none of {len(evidence.works)} workers had to")


@check("outages", "Everything that the trials need answered all the time")
def outages(evidence: Evidence) -> Finding:
    """Look for outages inside counted trials."""
    found = [
        (
            measurement,
            f"{one_line(outage.what, 120)} was away for {outage.lasted_seconds:.1f} s ({measurement.place})",
        )
        for measurement in evidence.measured
        for outage in measurement.trial.outages
    ]
    if found:
        return flagged(
            [text for _, text in found],
            "The wall times of these trials contain it; the compute figures hardly do.",
            "doubtful",
            (measurement.round for measurement, _ in found),
        )
    return passed(f"no outage in {len(evidence.measured)} trials")


@check("warnings", "Kubernetes warned of nothing")
def warnings(evidence: Evidence) -> Finding:
    """List warnings about counted Jobs and their pods."""
    reasons: dict[str, int] = defaultdict(int)
    for measurement in evidence.measured:
        for event in measurement.trial.events:
            reasons[one_line(f"{event.reason}: {event.message}", 160)] += 1
    if reasons:
        return flagged(
            [f"{count}x {reason}" for reason, count in reasons.items()],
            "A pod may have started late for it.",
            "none",
            (measurement.round for measurement in evidence.measured if measurement.trial.events),
        )
    return passed("no warning about a Job or a pod")


@check("overlap", "Only one trial ran at a time")
def overlap(evidence: Evidence) -> Finding:
    """Compare the workers of one Pi by its own clock, and all trials by the control host's."""
    found, rounds = [], []
    by_pi: dict[str, list[tuple[int, int, Measurement]]] = defaultdict(list)
    for measurement, work in evidence.works:
        by_pi[work.pi].append((work.report.start_epoch_ns, work.report.end_epoch_ns, measurement))
    for pi, times in by_pi.items():
        times.sort(key=lambda each: each[0])
        for (_, end, first), (start, _, second) in pairwise(times):
            if start < end:
                found.append(f"{pi}: {first.place} and {second.place} overlap by {(end - start) / 1e9:.2f} s")
                rounds += [first.round, second.round]
    trials = sorted(evidence.measured, key=lambda each: each.trial.started_epoch_ns)
    for earlier, later in pairwise(trials):
        gap = (later.trial.started_epoch_ns - earlier.trial.started_epoch_ns) / 1e9
        if earlier.wall_seconds > gap + _CLOCK_SECONDS:
            found.append(f"{later.place} began before {earlier.place} had ended")
            rounds += [earlier.round, later.round]
    if found:
        return flagged(
            found, "They took CPU from each other, unless a clock was set meanwhile.", "invalid", rounds
        )
    return passed(f"{len(trials)} trials, one after the other")


@check("clock_offset", "The Pis' clocks agree, or are corrected")
def clock_offset(evidence: Evidence) -> Finding:
    """Compare the Pis' offsets with each other, in the light of the makespan."""
    if evidence.pis == 1:
        return passed("one Pi needs one clock only")
    if not evidence.hosts:
        return unknown("the Pis were not looked at (benchmark_host_checks is false)")
    makespan = evidence.makespan_seconds
    looks = {
        host.name: [state for state in (host.before, host.after) if state is not None]
        for host in evidence.hosts
    }
    moved = []
    for name, (before, after) in ((n, s) for n, s in looks.items() if len(s) == 2):
        by = abs(after.clock_offset_seconds - before.clock_offset_seconds)
        if by > before.clock_uncertainty_seconds + after.clock_uncertainty_seconds + _CLOCK_SHARE * makespan:
            moved.append(f"the clock of {name} moved by {by:.2f} s during the run")
    if moved:
        return flagged(moved, "Possibly NTP set it. Which rounds it spoils is not known.", "doubtful")
    known = [
        (state.clock_offset_seconds, state.clock_uncertainty_seconds, name)
        for name, states in looks.items()
        for state in states[:1]
    ]
    silent = [name for name, states in looks.items() if not states]
    (low, low_error, first), (high, high_error, last) = min(known), max(known)
    apart, error = high - low, low_error + high_error
    figures = f"{last} is {apart:.3f} s (+/- {error:.3f} s) ahead of {first}"
    # What was read of two clocks may be off by as much again.
    size = _CLOCK_SHARE + 2 * error / makespan
    if apart - error > _CLOCK_SHARE * makespan:
        done = (
            "Starts and ends are corrected by it." if evidence.clocks.corrected else "Nothing is corrected."
        )
        return flagged(
            [figures],
            f"{done} See that NTP runs on every Pi (timedatectl).",
            "none" if evidence.clocks.corrected else "doubtful",
            could_have_seen=size,
        )
    if silent:
        return unknown(f"{listed(silent)} could not be asked, so nothing is corrected")
    return passed(f"{figures}, corrected", size)


def _clock_was_set(measurement: Measurement, work: Work) -> list[str]:
    found = []
    for process in work.report.processes:
        by_day = (process.end_epoch_ns - process.start_epoch_ns) / 1e9
        tolerated = max(_CLOCK_SHARE * by_day, _BETWEEN_READINGS_SECONDS)
        if abs(by_day - process.duration_seconds) > tolerated:
            found.append(
                f"the clock of {measurement.who(work)} was set meanwhile ({by_day:.2f} s by its time of day, "
                f"{process.duration_seconds:.2f} s by its stopwatch)"
            )
    return found


def _nested(measurement: Measurement) -> list[tuple[str, float, float]]:
    """Return (words, seconds, seconds that must contain them) of one trial."""
    trial = measurement.trial
    pairs = [
        ("the worker took longer than the whole trial", measurement.longest, measurement.wall_seconds),
        (
            "the makespan is longer than the whole Job",
            measurement.makespan.least_ns / 1e9,
            measurement.wall_seconds,
        ),
        ("its wall time is longer than what it cost the run", measurement.wall_seconds, trial.spent_seconds),
        ("a worker took longer than the makespan", measurement.longest, measurement.makespan.most_ns / 1e9),
    ]
    return pairs if measurement.cell.kind == "job" else [pairs[0], pairs[2]]


def _with_tolerance(seconds: float) -> float:
    return seconds * (1 + _CLOCK_SHARE) + _CLOCK_SECONDS


def _visible_lateness(evidence: Evidence, usual_seconds: float) -> float:
    """Return from which share of the makespan on a late pod is seen in 19 of 20 runs.

    A late pod may be a fast one, and then its lateness costs less.
    """
    usual = min(usual_seconds / evidence.makespan_seconds, _MOST_USUAL_SHARE / (1 - _MOST_USUAL_SHARE))
    least = max(_MOST_LATE_SHARE / (1 - _MOST_LATE_SHARE), usual)
    if evidence.pod_noise is None:
        return least
    from pi_speedup.report.statistics import POWER

    return least + lag_quantile(evidence.pis, POWER) * evidence.pod_noise[0]


def _expected_range_seconds(evidence: Evidence) -> float:
    """Return how far apart the starts of a round are rarely, judged by how they usually are; 0 if unknown.

    The studentized range of N starts, their standard deviation estimated by the median absolute deviation,
    which one late pod does not move.
    """
    if evidence.pis < 3 or len(evidence.rounds) < 2:
        return 0.0
    from pi_speedup.report.statistics import FALSE_ALARM, range_quantile

    apart = []
    for job in evidence.jobs:
        starts = [(work.span.start_ns - job.trial.started_epoch_ns) / 1e9 for work in job.works]
        middle = statistics.median(starts)
        apart += [abs(start - middle) for start in starts]
    deviation = _SD_PER_MAD * statistics.median(apart)
    freedom = len(evidence.rounds) * (evidence.pis - 1)
    return range_quantile(evidence.pis, freedom, FALSE_ALARM / len(evidence.rounds)) * deviation
