"""What a check is, and the list of all of them.

To add one: write a function in one of the modules beside this one, or in its workload's room, and decorate
it with `check`. Its sentences are `[check.<code>]` of both catalogues, where `title` is what it looks for:
"No sign of {title}". The report takes it from here; docs/report.md gets its row, which a test asks for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pi_speedup.catalogue import Message
from pi_speedup.model.report import Check, Effect, Status
from pi_speedup.report.evidence import Evidence, Measurement, Work
from pi_speedup.text import one_line


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check came to; `effect` is what it does to the verdict where it flags."""

    status: Status
    found: Message
    effect: Effect = "none"
    rounds: tuple[int, ...] = ()
    could_have_seen_percent: float | None = None
    meaning: Message | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A check in the list. `whole_run`: it judges the run as a whole, so it makes no single round invalid.

    `workload`: the name of the only one that it is made for, empty for all.
    """

    code: str
    look: Callable[[Evidence], Finding]
    whole_run: bool
    without_rounds: bool
    workload: str


CHECKS: list[Entry] = []
Look = Callable[[Evidence], Finding]


def check(
    code: str, *, whole_run: bool = False, without_rounds: bool = False, workload: str = ""
) -> Callable[[Look], Look]:
    """Add a check to the list. `without_rounds`: it can look although no round is complete."""

    def add(look: Look) -> Look:
        CHECKS.append(Entry(code, look, whole_run, without_rounds, workload))
        # Those of one workload come last, whichever module was imported first.
        CHECKS.sort(key=lambda entry: bool(entry.workload))
        return look

    return add


def run_checks(evidence: Evidence, *, whole_run: bool = True) -> tuple[Check, ...]:
    """Make all checks, in the order of the list; without `whole_run` only those that judge single rounds."""
    return tuple(
        _run(entry, evidence)
        for entry in CHECKS
        if (whole_run or not entry.whole_run) and entry.workload in ("", evidence.workload.name)
    )


def as_check(code: str, finding: Finding, units: str = "") -> Check:
    """Return a finding as the report has it."""
    return Check(
        code=code,
        title=Message(f"check.{code}.title", units=units),
        status=finding.status,
        found=finding.found,
        meaning=finding.meaning,
        effect=finding.effect,
        could_have_seen_percent=finding.could_have_seen_percent,
        rounds=tuple(sorted(set(finding.rounds))),
    )


def passed(found: Message, could_have_seen: float | None = None) -> Finding:
    """Return a pass; could_have_seen: the relative size from which on it would have flagged."""
    return Finding(
        "pass", found, could_have_seen_percent=None if could_have_seen is None else 100 * could_have_seen
    )


def flagged(
    found: Sequence[Message],
    meaning: Message,
    effect: Effect,
    rounds: Iterable[int] = (),
    could_have_seen: float | None = None,
) -> Finding:
    """Return a flag: what was found; what it may come from or do, and what helps."""
    return Finding(
        "flag",
        Message("check.found", found=found),
        effect,
        tuple(rounds),
        None if could_have_seen is None else 100 * could_have_seen,
        meaning,
    )


def unknown(why: Message) -> Finding:
    """Return that a check could not be made, and why."""
    return Finding("unknown", why)


def who_had_what(
    pairs: Iterable[tuple[Measurement, Work]], what: Callable[[Work], str]
) -> dict[str, list[str]]:
    """Return who had each value of `what`: `pod on pi-2`, `pi-1 alone`."""
    owners: dict[str, list[str]] = defaultdict(list)
    for measurement, work in pairs:
        who = side_of(measurement, work)
        known = owners[what(work)]
        if who not in known:
            known.append(who)
    return dict(owners)


def side_of(measurement: Measurement, work: Work) -> Message:
    """Name a worker's Pi and side, whatever the round."""
    return Message("where.pod" if measurement.cell.kind == "job" else "where.alone", pi=work.pi)


def differences(owners: Mapping[str, Sequence[str]]) -> list[Message]:
    """Return one text for each value and those who had it; nothing if all had the same."""
    if len(owners) < 2:
        return []
    return [Message("check.had", names=names, value=_short(value)) for value, names in owners.items()]


def different(code: str, values: Sequence[Message]) -> list[Message]:
    """Return what a check found that looks for a difference: what differs, and who had which."""
    return [Message("check.differ", title=Message(f"check.{code}.title"), values=values)]


def _short(value: str) -> str:
    return value if isinstance(value, Message) else one_line(value, 120)


def _run(entry: Entry, evidence: Evidence) -> Check:
    # Made once: whether there is an interval depends on some of them, and others on the interval.
    if entry.code not in evidence.checks_made:
        can = bool(evidence.rounds) or entry.without_rounds
        finding = entry.look(evidence) if can else unknown(Message("check.no_round"))
        evidence.checks_made[entry.code] = as_check(entry.code, finding, evidence.units)
    return evidence.checks_made[entry.code]
