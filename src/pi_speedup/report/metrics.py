"""metrics.prom: the last run as OpenMetrics text, which node_exporter's textfile collector reads.

Only gauges: that collector knows the older text format, which has neither `info` nor `stateset`. And no
timestamps, which it refuses; when the run was made is a gauge. Source: the OpenMetrics specification 1.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pi_speedup.catalogue import Catalogue, Message
from pi_speedup.model.report import Comparison, Report
from pi_speedup.model.trial import Trial
from pi_speedup.text import one_line

PREFIX = "pi_speedup_"
_LONGEST_LABEL = 200


@dataclass(frozen=True, slots=True)
class _Point:
    value: float
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Family:
    """One metric; `unit` is the end of its name where it has one."""

    name: str
    help: str
    unit: str
    points: tuple[_Point, ...]


def metrics(report: Report, trials: Sequence[Trial], words: Catalogue) -> str:
    """Return the text of metrics.prom. What the run does not tell is left out, never zero."""
    lines = []
    for family in _families(report):
        if not family.points:
            continue
        name = PREFIX + family.name
        lines.append(f"# TYPE {name} gauge")
        if family.unit:
            lines.append(f"# UNIT {name} {family.unit}")
        lines.append(f"# HELP {name} {family.help}")
        lines += [f"{name}{_labels(point.labels)} {_number(point.value)}" for point in family.points]
    return "\n".join([*lines, "# EOF", ""])


def _families(report: Report) -> Iterator[_Family]:
    yield _family("run_info", "The run that the other metrics are of.", [(1, _identity(report))])
    yield _family("run_made_timestamp_seconds", "When its plan was made.", _made(report), "seconds")
    yield _family("pis", "Pis that compute together.", [(len(report.pis), {})])
    progress = report.progress
    yield _family(
        "rounds",
        "Rounds of the plan, and those of which each trial went well.",
        [
            (progress.rounds_planned, {"state": "planned"}),
            (progress.rounds_complete, {"state": "complete"}),
        ],
    )
    yield _family(
        "trials",
        "Trials by how they ended.",
        [
            (progress.trials_ok, {"outcome": "ok"}),
            (progress.trials_failed, {"outcome": "failed"}),
            (progress.trials_interrupted, {"outcome": "interrupted"}),
        ],
    )
    yield _family("spent_seconds", "What all trials took.", [(progress.spent_seconds, {})], "seconds")
    yield _family(
        "verdict",
        "How far the figures can be believed: 1 at one of the four.",
        [
            (each == report.verdict.status, {"verdict": each})
            for each in ("sound", "doubtful", "invalid", "none")
        ],
    )
    yield _family(
        "check_flagged",
        "Checks that could be made: 1 where one found something.",
        [
            (check.status == "flag", {"code": check.code})
            for check in report.checks
            if check.status != "unknown"
        ],
    )
    yield from _figures(report)
    yield from _of_pis(report)


def _figures(report: Report) -> Iterator[_Family]:
    found = report.comparisons
    yield _family(
        "speedup_ratio",
        "How much faster all Pis are than one, and the ends of its 95 % interval.",
        [point for each in found for point in _speedup(each)],
        "ratio",
    )
    yield _family(
        "efficiency_ratio",
        "The speedup over the number of Pis.",
        [(each.efficiency.value, {"comparison": each.name}) for each in found],
        "ratio",
    )
    yield _family(
        "time_seconds",
        "Geometric mean of what each side took.",
        [
            (side.seconds.geometric_mean, {"comparison": each.name, "side": name})
            for each in found
            for name, side in (("one_pi", each.one_pi), ("all_pis", each.all_pis))
        ],
        "seconds",
    )
    mean = report.ledger.mean if report.ledger else None
    factors = ("alone_against_together", "balance", "starting_together")
    yield _family(
        "efficiency_factor_ratio",
        "What the efficiency multiplies out to; 1 where nothing was lost.",
        [(getattr(mean, factor), {"factor": factor}) for factor in factors] if mean else [],
        "ratio",
    )


def _of_pis(report: Report) -> Iterator[_Family]:
    units = Message(f"unit.{report.unit}.units")
    yield _family(
        f"pi_{units}_per_second",
        "What each Pi did in a second, all together.",
        [(each.amount_per_second, {"pi": each.name}) for each in report.pi_figures],
    )
    yield _family(
        "pi_temperature_celsius",
        "Temperature before and after the run.",
        [
            (state.temperature_celsius, {"pi": host.name, "when": when})
            for host in report.hosts
            # Of several sessions the last one: what is now.
            if host.session == report.hosts[-1].session
            for when, state in (("before", host.before), ("after", host.after))
            if state is not None and state.temperature_celsius is not None
        ],
        "celsius",
    )


def _speedup(comparison: Comparison) -> Iterator[tuple[float, dict[str, str]]]:
    if comparison.speedup is None:
        return
    yield comparison.speedup.value, {"comparison": comparison.name, "bound": "estimate"}
    if comparison.speedup.interval is not None:
        yield comparison.speedup.interval.low, {"comparison": comparison.name, "bound": "low"}
        yield comparison.speedup.interval.high, {"comparison": comparison.name, "bound": "high"}


def _identity(report: Report) -> dict[str, str]:
    """The run's id stands here alone: in every label it would make new series of all metrics each time."""
    return {
        "run_id": report.run_id,
        "version": report.tool.version,
        "base_pi": report.base_pi,
        "plan": report.plan_sha256[:12],
        "caveat": report.caveat or "",
    }


def _made(report: Report) -> list[tuple[float, dict[str, str]]]:
    try:
        return [(datetime.fromisoformat(report.made_at).timestamp(), {})]
    except ValueError:
        return []


def _family(name: str, words: str, points: Iterable[tuple[float, dict[str, str]]], unit: str = "") -> _Family:
    return _Family(name, words, unit, tuple(_Point(float(value), labels) for value, labels in points))


def _labels(labels: Mapping[str, str]) -> str:
    shown = (f'{name}="{_escaped(value)}"' for name, value in labels.items() if value)
    text = ",".join(shown)
    return f"{{{text}}}" if text else ""


def _escaped(value: str) -> str:
    line = one_line(value, _LONGEST_LABEL)
    return line.replace("\\", "\\\\").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
