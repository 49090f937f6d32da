"""Were the Pis well? Judged from what the cluster, and each of itself, said before and after the run."""

from __future__ import annotations

import statistics
from collections import defaultdict

from pi_speedup.catalogue import Message
from pi_speedup.model.host import HostState
from pi_speedup.model.report import Effect
from pi_speedup.model.trial import OtherPods, OtherRun
from pi_speedup.report.checks.registry import Finding, check, flagged, passed, unknown
from pi_speedup.report.evidence import Evidence, Measurement
from pi_speedup.report.wording import slowed_words, throttling

# From here on a Raspberry Pi 4 or 5 slows down.
HOT_CELSIUS = 80.0
# What K3s brings itself, DNS and metrics, requests a tenth of a core each on one of the Pis.
_MOST_OF_OTHERS = 0.1
# A benchmark that begins or ends meanwhile takes less from a trial than its share of it.
_MOST_SHARED = 0.05
# A Pi's steps are coarser, and one of them changes the speedup by as much.
_FREQUENCY_CHANGE = 0.03


@check("nodes", without_rounds=True)
def nodes(evidence: Evidence) -> Finding:
    """Read what the cluster said of the Pis' nodes when the run last began."""
    if not evidence.nodes_readable:
        return unknown(Message("check.nodes.not_readable"))
    described = [node for pi in evidence.plan.pis if (node := evidence.node(pi)) is not None]
    if len(described) < evidence.pis:
        return unknown(Message("check.not_described"))
    found = [
        Message("check.nodes.problem", problem=problem.cause)
        for node in described
        for problem in node.problems
    ]
    if found:
        return flagged(found, Message("check.nodes.possible"), "none")
    return passed(Message("check.nodes.passed", architecture=evidence.plan.settings.architecture))


@check("throttled", without_rounds=True)
def throttled(evidence: Evidence) -> Finding:
    """Read the firmware's bits. Those that were set before the run stay set until the Pi starts anew."""
    if not evidence.hosts:
        return unknown(Message("check.not_looked"))
    found = [
        Message(f"check.throttled.{when}", pi=host.name, what=what)
        for host in evidence.hosts
        for when, what in throttling(host.before, host.after)
    ]
    if found:
        return flagged(found, Message("check.throttled.possible"), "doubtful")
    silent = [host.name for host in evidence.hosts if not all(map(_tells, (host.before, host.after)))]
    if silent:
        return unknown(Message("check.throttled.silent", pis=silent))
    blind = [
        Message("check.throttled.blind_pi", pi=host.name, what=slowed_words(earlier))
        for host in evidence.hosts
        if host.before and (earlier := host.before.slowed_since())
    ]
    if blind:
        return unknown(Message("check.throttled.blind", pis=blind))
    return passed(Message("check.throttled.passed"))


@check("temperature", without_rounds=True)
def temperature(evidence: Evidence) -> Finding:
    """Read the temperatures before and after the run, and before and after each trial."""
    told: dict[str, list[tuple[float, Message]]] = {pi: [] for pi in evidence.plan.pis}
    for host in evidence.hosts:
        for when, state in (("before", host.before), ("after", host.after)):
            if state is not None and state.temperature_celsius is not None:
                read = Message(f"when.{when}")
                told.setdefault(host.name, []).append((state.temperature_celsius, read))
    for measurement, work in evidence.works:
        for when, celsius in zip(("before", "after"), work.report.celsius, strict=True):
            if celsius is not None:
                read = Message(f"when.{when}_trial", place=measurement.place)
                told.setdefault(work.pi, []).append((celsius, read))
    hottest = {name: max(found) for name, found in told.items() if found}
    hot = [
        Message("check.temperature.hot", pi=name, celsius=celsius, when=when)
        for name, (celsius, when) in hottest.items()
        if celsius >= HOT_CELSIUS
    ]
    if hot:
        return flagged(
            hot,
            Message("check.temperature.possible"),
            "doubtful",
        )
    silent = [name for name, found in told.items() if not found]
    if not hottest and not evidence.hosts:
        return unknown(Message("check.not_looked"))
    if silent:
        return unknown(Message("check.temperature.silent", pis=silent))
    celsius, when = max(hottest.values())
    return passed(Message("check.temperature.passed", celsius=celsius, when=when))


@check("frequency", whole_run=True)
def frequency(evidence: Evidence) -> Finding:
    """Compare the frequency that the base Pi had when it had worked alone with that as one of all.

    After a trial only: before one an idle Pi saves power. All Pis that slow down together look like a loss of
    working together, and nothing else would tell.
    """
    pi = evidence.plan.base_pi
    alone, together = (
        [
            work.report.megahertz[1]
            for measurement in measurements
            for work in measurement.works
            if work.pi == pi and work.report.megahertz[1] is not None
        ]
        for measurements in (evidence.alone, evidence.jobs)
    )
    if not alone or not together:
        return unknown(Message("check.frequency.silent", pi=pi))
    one, all_of_them = statistics.median(alone), statistics.median(together)
    figures = Message("check.frequency.had", pi=pi, alone=one, together=all_of_them)
    if abs(all_of_them / one - 1) > _FREQUENCY_CHANGE:
        return flagged([figures], Message("check.frequency.possible"), "doubtful")
    return passed(figures)


@check("load", without_rounds=True)
def load(evidence: Evidence) -> Finding:
    """Compare the load before the run with the cores that the run does not need."""
    if not evidence.hosts:
        return unknown(Message("check.not_looked"))
    processes = evidence.together.processes_per_pi
    found, silent, most = [], [], 0.0
    for host in evidence.hosts:
        cores = evidence.cores(host.name)
        if host.before is None or host.before.load_1_minute is None or cores is None:
            silent.append(host.name)
            continue
        most = max(most, host.before.load_1_minute)
        # Half a process more than there are cores: something waits for another.
        if host.before.load_1_minute + processes > cores + 0.5:
            found.append(
                Message("check.load.busy", pi=host.name, load=host.before.load_1_minute, cores=cores)
            )
    if found:
        return flagged(found, Message("check.load.possible"), "doubtful")
    if silent:
        return unknown(Message("check.load.silent", pis=silent))
    return passed(Message("check.load.passed", load=most))


@check("neighbours")
def neighbours(evidence: Evidence) -> Finding:
    """Weigh other benchmarks by their share of a trial, and others' pods by the cores that they request."""
    runs: dict[str, list[tuple[Measurement, OtherRun]]] = defaultdict(list)
    pods: dict[str, OtherPods] = {}
    found, rounds = [], []
    doubtful, most = False, 0.0
    for measurement in evidence.measured:
        for run in measurement.trial.other_runs:
            runs[run.what].append((measurement, run))
        for each in measurement.trial.other_pods:
            share = each.cores / (evidence.cores(each.pi) or 1)
            most = max(most, share)
            if each.runs or share > _MOST_OF_OTHERS:
                rounds.append(measurement.round)
                pods[each.pi] = max(pods.get(each.pi, each), each, key=lambda pod: (pod.runs, pod.cores))
    for what, shared in runs.items():
        seconds, beside = sum(run.seconds for _, run in shared), [each for each in shared if each[1].pis]
        where = Message(f"check.neighbours.{'same' if beside else 'other'}_pis")
        found.append(
            Message("check.neighbours.run", what=what, where=where, seconds=seconds, count=len(shared))
        )
        rounds += [measurement.round for measurement, _ in beside]
        doubtful |= any(run.seconds > _MOST_SHARED * each.wall_seconds for each, run in beside)
    for pi, each in pods.items():
        found.append(Message("check.neighbours.pods", pi=pi, cores=each.cores, what=each.what))
    if found:
        effect: Effect = "doubtful" if doubtful or pods else "none"
        return flagged(found, Message("check.neighbours.possible"), effect, rounds)
    deaf = [each for each in evidence.measured if {"claims", "pods"} & set(each.trial.unheard)]
    if deaf:
        return unknown(Message("check.neighbours.unheard", count=len(deaf)))
    return passed(Message("check.neighbours.passed", most=most))


def _tells(state: HostState | None) -> bool:
    return state is not None and state.throttled is not None
