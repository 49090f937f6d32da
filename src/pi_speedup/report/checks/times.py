"""Do the times fit together, and is anything in them that is not the work?"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from pi_speedup.catalogue import Message
from pi_speedup.model.calibration import SHORT_SECONDS
from pi_speedup.model.host import Host
from pi_speedup.report.checks.registry import Finding, check, flagged, passed, unknown
from pi_speedup.report.evidence import Evidence, Measurement, Work
from pi_speedup.report.formulas import SD_PER_MAD
from pi_speedup.text import one_line

# Two clocks read one after the other, and one of them slewed by NTP.
_CLOCK_SECONDS = 0.01
_CLOCK_SHARE = 0.01
# A CPU limit may stop a worker between two readings for nearly a period of its quota, 0.1 s by default.
_BETWEEN_READINGS_SECONDS = 0.1
# What late pods may cost of the speedup in one round.
_MOST_LATE_SHARE = 0.05
# And what they may cost however usual that is: beyond it the figure is one of starting, not of computing.
_MOST_USUAL_SHARE = 0.2

# What starting and seeing the end may take where the whole run has it; and what more, of the wall time.
_MOST_OVERHEAD_SECONDS = 10.0
_MOST_OVERHEAD_SHARE = 0.2


@check("clocks_disagree")
def clocks_disagree(evidence: Evidence) -> Finding:
    """Compare clocks of one Pi with each other, and each time with those that it must contain."""
    stepped: list[Message] = []
    impossible: list[Message] = []
    rounds = []
    for measurement in evidence.measured:
        before = len(stepped) + len(impossible)
        for work in measurement.works:
            stepped += _clock_was_set(measurement, work)
        for what, inner, outer in _nested(measurement):
            if inner > _with_tolerance(outer):
                impossible.append(
                    Message(
                        "check.clocks_disagree.impossible",
                        place=measurement.place,
                        what=what,
                        inner=inner,
                        outer=outer,
                    )
                )
        if len(stepped) + len(impossible) > before:
            rounds.append(measurement.round)
    if impossible:
        return flagged(
            [*impossible, *stepped],
            Message("check.clocks_disagree.possible"),
            "invalid",
            rounds,
        )
    if stepped:
        return flagged(stepped, Message("check.clocks_disagree.possible_set"), "doubtful", rounds)
    shortest = min(
        process.duration_seconds for _, work in evidence.works for process in work.report.processes
    )
    return passed(
        Message("check.clocks_disagree.passed"),
        # By a thousandth more than what is tolerated.
        1.001 * max(_CLOCK_SHARE / (1 - _CLOCK_SHARE), _BETWEEN_READINGS_SECONDS / shortest),
    )


@check("late_start")
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
            found.append(Message("check.late_start.late", who=job.who(last), seconds=late, lost=lost))
            rounds.append(job.round)
    seen = _visible_lateness(evidence, usual)
    if found:
        return flagged(
            found,
            Message("check.late_start.possible"),
            "doubtful",
            rounds,
            seen,
        )
    return passed(Message("check.late_start.passed", lost=max(0.0, worst)), seen)


@check("short_run")
def short_run(evidence: Evidence) -> Finding:
    """Look for the shortest worker."""
    measurement, work = min(evidence.works, key=lambda pair: pair[1].seconds)
    figures = Message("check.short_run.shortest", who=measurement.who(work), seconds=work.seconds)
    if work.seconds < SHORT_SECONDS:
        return flagged(
            [figures],
            Message(
                "check.short_run.possible",
                seconds=SHORT_SECONDS,
                setting=evidence.workload.amount_setting
                if evidence.plan.calibration is None
                else "benchmark_trial_seconds",
            ),
            "doubtful",
        )
    return passed(figures)


@check("overhead")
def overhead(evidence: Evidence) -> Finding:
    """Weigh what a Job took beyond computing, and beyond what is usual in this run, by its wall time."""
    beyond = [(job, job.wall_seconds - job.seconds) for job in evidence.jobs]
    usual = statistics.median(seconds for _, seconds in beyond)
    explained = min(usual, _MOST_OVERHEAD_SECONDS)
    found = [
        (job, Message("check.overhead.took", place=job.place, seconds=seconds, wall=job.wall_seconds))
        for job, seconds in beyond
        if seconds - explained > _MOST_OVERHEAD_SHARE * job.wall_seconds
    ]
    if found:
        rounds = (job.round for job, _ in found)
        possible = Message("check.overhead.possible", usual=usual)
        return flagged([each for _, each in found], possible, "doubtful", rounds)
    return passed(Message("check.overhead.passed", usual=usual))


@check("pulled_inside")
def pulled_inside(evidence: Evidence) -> Finding:
    """Look for pods that had to pull their image."""
    pulled = [
        (measurement, work)
        for measurement, work in evidence.works
        if work.worker.milestones.pulled is not None
    ]
    if pulled:
        return flagged(
            [
                Message("check.pulled_inside.pulled", who=measurement.who(work))
                for measurement, work in pulled
            ],
            Message("check.pulled_inside.possible"),
            "doubtful",
            (measurement.round for measurement, _ in pulled),
        )
    # That an image is pulled, only an event says.
    if deaf := [each for each in evidence.measured if "events" in each.trial.unheard]:
        return unknown(Message("check.warnings.unheard", count=len(deaf)))
    return passed(Message("check.pulled_inside.passed", count=len(evidence.works)))


@check("outages")
def outages(evidence: Evidence) -> Finding:
    """Look for outages inside counted trials."""
    found = [
        (
            measurement,
            Message(
                "check.outages.away",
                what=one_line(outage.what, 120),
                seconds=outage.lasted_seconds,
                place=measurement.place,
            ),
        )
        for measurement in evidence.measured
        for outage in measurement.trial.outages
    ]
    if found:
        return flagged(
            [text for _, text in found],
            Message("check.outages.possible"),
            "doubtful",
            (measurement.round for measurement, _ in found),
        )
    # Silence is health only where it would have been heard.
    if deaf := [each for each in evidence.measured if "leases" in each.trial.unheard]:
        return unknown(Message("check.outages.unheard", count=len(deaf)))
    return passed(Message("check.outages.passed", count=len(evidence.measured)))


@check("warnings")
def warnings(evidence: Evidence) -> Finding:
    """List warnings about counted Jobs and their pods."""
    reasons: dict[str, int] = defaultdict(int)
    for measurement in evidence.measured:
        for event in measurement.trial.events:
            reasons[one_line(f"{event.reason}: {event.message}", 160)] += 1
    if reasons:
        return flagged(
            [
                Message("check.warnings.warned", count=count, reason=reason)
                for reason, count in reasons.items()
            ],
            Message("check.warnings.possible"),
            "none",
            (measurement.round for measurement in evidence.measured if measurement.trial.events),
        )
    if deaf := [each for each in evidence.measured if "events" in each.trial.unheard]:
        return unknown(Message("check.warnings.unheard", count=len(deaf)))
    return passed(Message("check.warnings.passed"))


@check("overlap")
def overlap(evidence: Evidence) -> Finding:
    """Compare the workers of one Pi by its own clock, and all trials by the control host's steady one.

    The control host's time of day may be set meanwhile, so it proves nothing.
    """
    found, rounds = [], []
    by_pi: dict[str, list[tuple[int, int, Measurement]]] = defaultdict(list)
    for measurement, work in evidence.works:
        by_pi[work.pi].append((work.report.start_epoch_ns, work.report.end_epoch_ns, measurement))
    for pi, times in by_pi.items():
        times.sort(key=lambda each: each[0])
        for (_, end, first), (start, _, second) in pairwise(times):
            if start < end:
                found.append(
                    Message(
                        "check.overlap.both",
                        pi=pi,
                        first=first.place,
                        second=second.place,
                        seconds=(end - start) / 1e9,
                    )
                )
                rounds += [first.round, second.round]
    trials = sorted(evidence.measured, key=lambda each: each.trial.started.boot_seconds)
    for earlier, later in pairwise(sorted(trials, key=lambda each: each.trial.started.boot)):
        gap = later.trial.started.seconds_after(earlier.trial.started)
        if gap is not None and earlier.wall_seconds > gap + _CLOCK_SECONDS:
            found.append(Message("check.overlap.began", later=later.place, earlier=earlier.place))
            rounds += [earlier.round, later.round]
    if found:
        return flagged(found, Message("check.overlap.possible"), "invalid", rounds)
    return passed(Message("check.overlap.passed", count=len(trials)))


@check("clock_offset")
def clock_offset(evidence: Evidence) -> Finding:
    """Compare the Pis' offsets with each other, in the light of the makespan."""
    makespan = evidence.makespan_seconds
    if not evidence.hosts:
        return _by_the_cluster(evidence, _CLOCK_SHARE * makespan)
    sessions: dict[int, list[Host]] = defaultdict(list)
    for host in evidence.hosts:
        sessions[host.session].append(host)
    moved = [
        found
        for hosts in sessions.values()
        for found in _moved_clocks(hosts, evidence.clocks.host_was_set, _CLOCK_SHARE * makespan)
    ]
    if moved:
        return flagged(moved, Message("check.clock_offset.possible_set"), "doubtful")
    if evidence.pis == 1:
        return passed(Message("check.clock_offset.one_pi"))
    silent = sorted({host.name for host in evidence.hosts if not (host.before or host.after)})
    apart, error, figures = max(map(_clocks_apart, sessions.values()), key=lambda each: each[0] - each[1])
    # What was read of two clocks may be off by as much again.
    size = _CLOCK_SHARE + 2 * error / makespan
    if apart - error > _CLOCK_SHARE * makespan:
        corrected = evidence.clocks.corrected
        return flagged(
            [figures],
            Message(f"check.clock_offset.possible_{'corrected' if corrected else 'not_corrected'}"),
            "none" if corrected else "doubtful",
            could_have_seen=size,
        )
    if silent:
        return unknown(Message("check.clock_offset.silent", pis=silent))
    return passed(Message("check.clock_offset.passed", figures=figures), size)


def _by_the_cluster(evidence: Evidence, tolerated: float) -> Finding:
    """Judge clocks that nobody read by what the control host saw of the pods, which bounds their offsets.

    A pod's worker starts after its Job was created, and ends before it is seen to have ended.
    """
    bounds: dict[int, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for job in evidence.all_jobs:
        for work in job.works:
            ended, began_ns = work.worker.milestones.finished, job.trial.started_epoch_ns
            if ended is not None:
                least = (max(each.end_epoch_ns for each in work.report.processes) - began_ns) / 1e9 - ended
                most = (min(each.start_epoch_ns for each in work.report.processes) - began_ns) / 1e9
                bounds[job.trial.session][work.pi].append((least, most))
    if evidence.pis == 1 or evidence.clocks.host_was_set or not bounds:
        return unknown(Message("check.not_looked"))
    widest = 0.0
    for of_session in bounds.values():
        least_of = {pi: max(low for low, _ in found) for pi, found in of_session.items()}
        most_of = {pi: min(high for _, high in found) for pi, found in of_session.items()}
        last, first = max(least_of, key=least_of.__getitem__), min(most_of, key=most_of.__getitem__)
        apart = least_of[last] - most_of[first]
        if apart > tolerated:
            key = "moved" if last == first else "at_least"
            found = Message(f"check.clock_offset.{key}", pi=last, last=last, first=first, seconds=apart)
            return flagged([found], Message("check.clock_offset.possible_not_corrected"), "doubtful")
        widest = max(widest, max(most_of.values()) - min(least_of.values()))
    return unknown(Message("check.clock_offset.at_most", seconds=widest))


def _moved_clocks(hosts: Sequence[Host], host_was_set: bool, tolerated: float) -> list[Message]:
    """Name the Pis whose clocks moved in one session, by more seconds than were tolerated."""
    both = [(host.name, host.before, host.after) for host in hosts if host.before and host.after]
    by = [after.clock_offset_seconds - before.clock_offset_seconds for _, before, after in both]
    # Where the control host's own clock was set, all have moved by that against it, and none against another.
    common = statistics.median(by) if by and host_was_set else 0.0
    return [
        Message("check.clock_offset.moved", pi=pi, seconds=abs(moved - common))
        for (pi, before, after), moved in zip(both, by, strict=True)
        if abs(moved - common)
        > before.clock_uncertainty_seconds + after.clock_uncertainty_seconds + tolerated
    ]


def _clocks_apart(hosts: Sequence[Host]) -> tuple[float, float, Message]:
    """Return how far the clocks of one session were apart, the uncertainty of that, and both in words."""
    known = [
        (state.clock_offset_seconds, state.clock_uncertainty_seconds, host.name)
        for host in hosts
        if (state := host.before or host.after)
    ]
    (low, low_error, first), (high, high_error, last) = min(known), max(known)
    apart, error = high - low, low_error + high_error
    figures = Message("check.clock_offset.ahead", last=last, seconds=apart, error=error, first=first)
    return apart, error, figures


def _clock_was_set(measurement: Measurement, work: Work) -> list[Message]:
    found = []
    for process in work.report.processes:
        by_day = (process.end_epoch_ns - process.start_epoch_ns) / 1e9
        tolerated = max(_CLOCK_SHARE * by_day, _BETWEEN_READINGS_SECONDS)
        if abs(by_day - process.duration_seconds) > tolerated:
            found.append(
                Message(
                    "check.clocks_disagree.set",
                    who=measurement.who(work),
                    by_day=by_day,
                    seconds=process.duration_seconds,
                )
            )
    return found


def _nested(measurement: Measurement) -> list[tuple[Message, float, float]]:
    """Return (what is longer, its seconds, seconds that must contain them) of one trial."""
    trial = measurement.trial
    pairs = [
        ("worker", measurement.longest, measurement.wall_seconds),
        ("makespan", measurement.makespan.least_ns / 1e9, measurement.wall_seconds),
        ("wall", measurement.wall_seconds, trial.spent_seconds),
        ("worker_of_job", measurement.longest, measurement.makespan.most_ns / 1e9),
    ]
    some = pairs if measurement.cell.kind == "job" else [pairs[0], pairs[2]]
    return [(Message(f"check.clocks_disagree.{what}"), inner, outer) for what, inner, outer in some]


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
    from pi_speedup.report.statistics import POWER, lag_quantile

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
    deviation = SD_PER_MAD * statistics.median(apart)
    freedom = len(evidence.rounds) * (evidence.pis - 1)
    return range_quantile(evidence.pis, freedom, FALSE_ALARM / len(evidence.rounds)) * deviation
