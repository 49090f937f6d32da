"""What a report says of a command alone: whether all did the same work, its CPU and memory, its columns."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import ClassVar, cast

from pi_speedup.catalogue import Catalogue, Message
from pi_speedup.model.report import Report
from pi_speedup.model.worker import WorkerReport
from pi_speedup.report.checks.registry import Finding, check, flagged, passed, unknown
from pi_speedup.report.evidence import Evidence, Measurement, Work
from pi_speedup.report.formulas import geometric_mean
from pi_speedup.report.workload.own import Own, Result, Section
from pi_speedup.text import one_line
from pi_speedup.workload.command import Command, CommandReport

# Of the CPU time that the work should take. Caches and frequencies move it by less; a program that overlooks
# that it is one of several moves it by their number.
_LEAST_WORK, _MOST_WORK = 0.8, 1.25
# CPU time ticks in hundredths of a second: with less of it in a trial, or in each second, nothing is told.
_LEAST_CPU_SECONDS, _LEAST_CPU_SHARE = 0.2, 0.05
# Of its own CPU time, what a command got beside others.
_LEAST_OF_OWN_SHARE, _LEAST_OWN_SHARE, _TICKS_SECONDS = 0.9, 0.2, 0.02
_MOST_PARTS_SHOWN = 12
_LONGEST_NAME = 80


class OwnCommand(Own):
    """See Own."""

    column_names: ClassVar[tuple[str, ...]] = (
        "part",
        "parts",
        "runs",
        "output_bytes",
        "output_sha256",
        "peak_memory_bytes",
        "throttled_seconds",
    )

    def program(self, report: Report, words: Catalogue) -> str:
        """Return the command, in one line."""
        return one_line(str(report.settings["command"]), _LONGEST_NAME)

    def result(self, evidence: Evidence) -> Result:
        """Return the CPU time of both sides, the memory, and the mean time of each part."""
        parts: dict[int, list[float]] = defaultdict(list)
        if evidence.together.is_divided:
            for job in evidence.jobs:
                for work in job.works:
                    for number, process in enumerate(work.report.processes):
                        parts[_told(work).first_part + number].append(process.duration_seconds)
        peaks = [peak for _, work in evidence.works if (peak := _told(work).peak_memory_bytes) is not None]
        return {
            "command": evidence.plan.settings.command,
            "program_sha256": evidence.plan.program_sha256 or None,
            "cpu_seconds_alone": statistics.fmean(_cpu_seconds(evidence.alone)),
            "cpu_seconds_together": statistics.fmean(_cpu_seconds(evidence.jobs)),
            "peak_memory_bytes": max(peaks, default=None),
            "seconds_of_parts": [geometric_mean(parts[part]) for part in sorted(parts)],
        }

    def section(self, result: Result, words: Catalogue) -> Section:
        """Return what was run, how much of a CPU and of memory it took, and how long each part did."""
        alone, together = (cast("float", result[f"cpu_seconds_{side}"]) for side in ("alone", "together"))
        command = one_line(str(result["command"]), 400)
        said = [words("command.cpu", alone=words.seconds(alone), together=words.seconds(together))]
        if (peak := result["peak_memory_bytes"]) is not None:
            said.append(words("command.memory", mib=cast("int", peak) / 2**20))
        if parts := cast("list[float]", result["seconds_of_parts"]):
            told = [f"{number}: {words.seconds(seconds)}" for number, seconds in enumerate(parts)]
            said.append(words("command.parts", parts=words.listed(told, most=_MOST_PARTS_SHOWN)))
        short = words("command.short", command=command, cpu=said[0])
        return Section(
            words("command.heading"),
            " ".join([words("command.ran", command=command), *said]),
            "command",
            short,
        )

    def columns(self, report: WorkerReport, process: int) -> tuple[str | int | float, ...]:
        """Return its part, its output and its container's memory."""
        told = Command().own(report, report.node)
        found = told.processes[process]
        part = told.first_part + process if told.parts > 1 else 0
        memory, throttled = told.peak_memory_bytes, told.throttled_seconds
        return (
            part,
            told.parts,
            told.runs,
            found.output_bytes,
            found.output_sha256,
            "" if memory is None else memory,
            "" if throttled is None else throttled,
        )


@check("same_work", whole_run=True, workload="command")
def same_work(evidence: Evidence) -> Finding:
    """Compare the CPU time of all together with that of one Pi for as much work."""
    alone, seconds = _cpu_seconds(evidence.alone), [base.seconds for base in evidence.alone]
    cpu = statistics.fmean(alone)
    if cpu < _LEAST_CPU_SECONDS or cpu < _LEAST_CPU_SHARE * statistics.fmean(seconds):
        return unknown(Message("check.same_work.waits", cpu=cpu, seconds=statistics.fmean(seconds)))
    times = evidence.times_the_work(evidence.together)
    ratio = statistics.fmean(_cpu_seconds(evidence.jobs)) / (times * cpu)
    found = Message("check.same_work.took", ratio=ratio)
    divided = evidence.together.is_divided
    if ratio < _LEAST_WORK:
        return flagged([found], Message(f"check.same_work.less{'_divided' if divided else ''}"), "invalid")
    if ratio > _MOST_WORK:
        return flagged([found], Message(f"check.same_work.more{'_divided' if divided else ''}"), "doubtful")
    return passed(found, _MOST_WORK - 1)


@check("same_output", workload="command")
def same_output(evidence: Evidence) -> Finding:
    """Compare what the commands wrote, by its hash; of parts, that of the same part."""
    settings = evidence.plan.settings
    groups = _outputs(evidence)
    unlike: list[Message] = []
    rounds: list[int] = []
    kinds = 0
    for found in groups.values():
        counted = Counter(digest for digest, _, _ in found)
        usual, times = counted.most_common(1)[0]
        if 2 * times <= len(found):
            # None is usual, so none is another.
            kinds = max(kinds, len(counted))
            rounds.extend(measurement.round for _, measurement, _ in found)
            continue
        for digest, measurement, work in found:
            if digest != usual:
                unlike.append(measurement.who(work))
                rounds.append(measurement.round)
    workers = len(evidence.works)
    if settings.verify:
        key = "verified_unlike" if unlike or kinds else "verified"
        return passed(Message(f"check.same_output.{key}", count=workers))
    if unlike or kinds:
        said = [Message("check.same_output.unlike", names=unlike)] if unlike else []
        if kinds:
            said.append(Message("check.same_output.kinds", count=kinds))
        return flagged(
            said,
            Message("check.same_output.possible"),
            "doubtful",
            rounds,
        )
    if not any(process.output_bytes for _, work in evidence.works for process in _told(work).processes):
        return flagged(
            [Message("check.same_output.nothing")], Message("check.same_output.possible_nothing"), "doubtful"
        )
    return passed(Message("check.same_output.passed", count=workers))


@check("cpu_share", workload="command")
def cpu_share(evidence: Evidence) -> Finding:
    """Compare how much of a CPU each pod used with what the same command used alone."""
    if evidence.together.is_divided:
        return unknown(Message("check.cpu_share.divided"))
    cpu, seconds = sum(_cpu_seconds(evidence.alone)), sum(base.seconds for base in evidence.alone)
    own = cpu / seconds
    if own < _LEAST_OWN_SHARE:
        return unknown(Message("check.cpu_share.waits", share=own))
    found, rounds = [], []
    for job in evidence.jobs:
        for work in job.works:
            expected = _LEAST_OF_OWN_SHARE * own * work.seconds
            if work.cpu_seconds + _TICKS_SECONDS < expected:
                used = work.cpu_seconds / work.seconds
                found.append(Message("check.cpu_share.got", who=job.who(work), used=used, own=own))
                rounds.append(job.round)
    if found:
        return flagged(found, Message("check.cpu_share.possible"), "doubtful", rounds)
    return passed(Message("check.cpu_share.passed", share=own), 1 / _LEAST_OF_OWN_SHARE - 1)


def _outputs(
    evidence: Evidence,
) -> Mapping[tuple[int, int, int], list[tuple[str, Measurement, Work]]]:
    """Return the hashes of all outputs by part, number of parts and of runs: equal ones should be equal."""
    groups: dict[tuple[int, int, int], list[tuple[str, Measurement, Work]]] = defaultdict(list)
    for measurement, work in evidence.works:
        told = _told(work)
        for number, process in enumerate(told.processes):
            part = told.first_part + number if told.parts > 1 else 0
            groups[part, told.parts, told.runs].append((process.output_sha256, measurement, work))
    return groups


def _cpu_seconds(measurements: Iterable[Measurement]) -> list[float]:
    return [sum(work.cpu_seconds for work in each.works) for each in measurements]


def _told(work: Work) -> CommandReport:
    return cast("CommandReport", work.report)
