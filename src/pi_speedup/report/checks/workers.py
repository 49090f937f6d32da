"""Did each worker run where it should, and on as much CPU?"""

from __future__ import annotations

from pi_speedup.catalogue import Message
from pi_speedup.model.worker import parse_worker_output
from pi_speedup.problem import ProblemError
from pi_speedup.report.checks.registry import Finding, check, flagged, passed, unknown
from pi_speedup.report.evidence import Evidence, Work

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


@check("one_pod_per_pi")
def one_pod_per_pi(evidence: Evidence) -> Finding:
    """Look where each pod ran, by the cluster and by itself."""
    found, rounds = [], []
    for job in evidence.all_jobs:
        wrong = [
            Message("check.one_pod_per_pi.says", place=job.place, pi=work.pi, node=work.report.node)
            for work in job.works
            if work.pi != work.report.node
        ]
        ran = sorted(work.pi for work in job.works)
        if ran != sorted(job.cell.pis):
            wrong.append(Message("check.one_pod_per_pi.ran", place=job.place, ran=ran, planned=job.cell.pis))
        if wrong:
            found += wrong
            rounds.append(job.round)
    if found:
        return flagged(found, Message("check.one_pod_per_pi.possible"), "invalid", rounds)
    pods = sum(len(job.works) for job in evidence.all_jobs)
    return passed(Message("check.one_pod_per_pi.passed", pods=pods, jobs=len(evidence.all_jobs)))


@check("logs")
def logs(evidence: Evidence) -> Finding:
    """Compare the results with what the workers printed, where that was kept."""
    results = {
        (trial.name, worker.name): worker.report
        for trial in evidence.trials
        for worker in trial.workers
        if trial.outcome == "ok" and worker.report is not None
    }
    unlike, alike = [], 0
    for place, report in results.items():
        log = evidence.contents.logs.get(place)
        if log is None:
            continue
        try:
            same = parse_worker_output(log, place[1]) == report
        except ProblemError:
            # Cut short, as a long one is: it says nothing.
            continue
        alike += same
        unlike += [] if same else [Message("check.logs.unlike", trial=place[0], name=place[1])]
    if unlike:
        return flagged(unlike, Message("check.logs.possible"), "invalid")
    if not alike:
        return unknown(Message("check.logs.none"))
    return passed(Message("check.logs.passed", count=alike, all=len(results)))


@check("starved", workload="pi")
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
                Message(
                    "check.starved.got",
                    who=measurement.who(work),
                    used=work.cpu_seconds / work.seconds,
                    budget=budget,
                )
            )
            rounds.append(measurement.round)
    if found:
        return flagged(
            found,
            Message("check.starved.possible"),
            "doubtful",
            rounds,
        )
    return passed(Message("check.starved.passed", least=least), seen)


@check("over_budget", workload="pi")
def over_budget(evidence: Evidence) -> Finding:
    """Compare CPU time with the limit, and with what one thread can use."""
    impossible, over, rounds = [], [], []
    # By side, for a runtime may limit where another does not: whether each worker was too short to tell.
    short: dict[str, list[bool]] = {}
    for measurement, work in evidence.works:
        for process in work.report.processes:
            if process.cpu_seconds > _MOST_CORES * process.duration_seconds + _TICKS_SECONDS:
                impossible.append(
                    Message(
                        "check.over_budget.impossible",
                        who=measurement.who(work),
                        cpu=process.cpu_seconds,
                        seconds=process.duration_seconds,
                    )
                )
                rounds.append(measurement.round)
        limit = work.worker.cpu_limit_cores
        used = work.cpu_seconds / work.seconds
        quota = limit is not None and limit < len(work.report.processes)
        if quota:
            short.setdefault(work.worker.runtime, []).append(work.seconds < _QUOTA_SECONDS)
        if quota and limit and used > _MOST_SHARE_OF_QUOTA * limit and work.seconds >= _QUOTA_SECONDS:
            over.append(Message("check.over_budget.over", who=measurement.who(work), used=used, limit=limit))
            rounds.append(measurement.round)
    if impossible:
        return flagged(impossible, Message("check.over_budget.possible_clock"), "invalid", rounds)
    if over:
        return flagged(over, Message("check.over_budget.possible"), "doubtful", rounds)
    if untold := sorted(runtime for runtime, each in short.items() if all(each)):
        return unknown(Message("check.over_budget.short", runtimes=untold, seconds=_QUOTA_SECONDS))
    return passed(Message("check.over_budget.passed"))


def _budget_cores(evidence: Evidence, work: Work) -> float:
    """Return the cores that a worker can use at most: one a process, or less by its limit."""
    processes = len(work.report.processes)
    limit = work.worker.cpu_limit_cores
    if limit is None:
        # A plain process, which nothing of ours limits: it should have what a pod has.
        limit = processes * evidence.plan.settings.cpu_limit_cores
    return min(float(processes), limit)
