"""What several forms of the report say in the same words: what of a Pi was used, estimates, readings."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from pi_speedup.catalogue import Catalogue, Message
from pi_speedup.model.host import Host, HostState
from pi_speedup.model.plan import ALONE, ALONE_LONG, ALONE_ON, SLOW
from pi_speedup.model.report import Budget, Check, Comparison, Estimate, Report, SessionRow, Straggler
from pi_speedup.report.evidence import Evidence

# What a verdict is without its colour.
SIGNS = {
    "sound": "\N{CHECK MARK}",
    "doubtful": "!",
    "invalid": "\N{MULTIPLICATION X}",
    "none": "\N{EN DASH}",
}


def pis_of(count: int, left_out: int = 0) -> Message:
    """Return `1 Pi`, `3 Pis`; `2 of 3 Pis` where some were left out."""
    if left_out:
        return Message("where.some_pis", count=count, all=count + left_out)
    return Message("noun.pi", count=count)


def used(evidence: Evidence) -> Message:
    """Return which part of a Pi worked: `one core`, `0.5 of one core`, `all 4 cores`, `2 cores`."""
    limit, working = evidence.plan.settings.cpu_limit_cores, _working(evidence)
    kind = "one" if working == 1 else "all" if _cores(evidence) == {working} else "some"
    return Message(f"used.{kind}" if limit >= 1 else f"used.{kind}_share", count=working, share=limit)


def idle(evidence: Evidence) -> Message:
    """Return what of the Pis was left idle."""
    working, cores = _working(evidence), _cores(evidence)
    if None in cores:
        return Message("idle.unknown")
    counts = sorted(count for count in cores if count is not None)
    if counts[-1] <= working:
        return Message("idle.none")
    if len(counts) == 1:
        return Message("idle.some", idle=counts[0] - working, cores=counts[0])
    return Message("idle.range", low=max(0, counts[0] - working), high=counts[-1] - working)


def _working(evidence: Evidence) -> int:
    """Return on how many cores of a Pi processes may work: one each, or as many as a command may use."""
    return math.ceil(evidence.together.processes_per_pi * max(1.0, evidence.plan.settings.cpu_limit_cores))


def estimate(of: Estimate, digits: int = 2, percent: bool = False) -> Message:
    """Return an estimate's interval, or what its rounds gave."""

    def shown(value: float) -> str:
        return f"{value:.{max(0, digits - 1)}%}" if percent else f"{value:.{digits}f}"

    if of.interval is not None:
        known = of.interval
        return Message("estimate.interval", level=known.level, low=shown(known.low), high=shown(known.high))
    least, most = shown(of.minimum), shown(of.maximum)
    return Message("estimate.rounds" if least != most else "estimate.each_round", low=least, high=most)


def range_of(of: Estimate, words: Catalogue, *, percent: bool = False) -> str:
    """Return the interval of an estimate, or what the rounds gave, as a line of its own."""

    def shown(value: float) -> str:
        return words.percent(value) if percent else f"{value:.2f}"

    found = of.interval
    if found is not None:
        ends = words.span(shown(found.low), shown(found.high))
        return words("hero.interval", level=words.percent(found.level, 0), range=ends)
    if of.minimum == of.maximum:
        return words("hero.no_interval_one")
    return words("hero.no_interval", range=words.span(shown(of.minimum), shown(of.maximum)))


def hardware(report: Report, words: Catalogue) -> str:
    """Return how many Pis of which models measured, and what of each worked; `3 Pis` where nobody told."""
    models: dict[str, int] = {}
    for pi in report.pis:
        states = [state for host in report.hosts if host.name == pi for state in (host.before, host.after)]
        model = next((model for state in states if state and (model := model_of(state))), "")
        models[model] = models.get(model, 0) + 1
    known = [words("hero.model", count=count, model=model) for model, count in models.items()]
    pis = words.count("pi", len(report.pis)) if "" in models else words.listed(known)
    return words("hero.hardware", pis=pis, used=report.used)


def model_of(state: HostState) -> str:
    """Return a Pi's model without the revision of its board, which is as fast; empty if it is not known."""
    return re.sub(r" Rev \S+$", "", state.model or "")


def one_pi_seconds(of: Comparison) -> float:
    """Return how long one Pi would need for the work of all."""
    return of.one_pi.seconds.geometric_mean * of.all_pis.amount / of.one_pi.amount


def cell_name(report: Report, cell: str, words: Catalogue) -> str:
    """Return what a cell measures."""
    if cell == ALONE:
        key = "trials.alone_whole" if report.unit == "job" else "trials.alone"
        return words(key, pi=report.base_pi)
    if cell == ALONE_LONG:
        return words("trials.alone_long", pi=report.base_pi)
    if cell.startswith(ALONE_ON):
        return words("trials.alone_on", pi=cell.removeprefix(ALONE_ON))
    count, _, kind = cell.removeprefix("together-").partition("-")
    if not count.isdecimal():
        return cell
    return words("trials.slow" if kind == SLOW else "trials.together", pis=words.count("pi", int(count)))


def readings(before: HostState | None, after: HostState | None, words: Catalogue) -> list[str]:
    """Return model, temperature, clock offset, load, governor and throttling, before and after a run."""

    def temperature(state: HostState) -> str | None:
        found = state.temperature_celsius
        return None if found is None else words("unit.celsius", value=f"{found:.1f}")

    def clock(state: HostState) -> str | None:
        offset, spread = state.clock_offset_seconds, state.clock_uncertainty_seconds
        return words("unit.offset", offset=offset, spread=spread)

    def load(state: HostState) -> str | None:
        return None if state.load_1_minute is None else f"{state.load_1_minute:.2f}"

    def course(show: Callable[[HostState], str | None]) -> str:
        first, last = ((state and show(state)) or words("unit.unknown") for state in (before, after))
        return first if first == last else f"{first} \N{RIGHTWARDS ARROW} {last}"

    state = before or after
    return [
        str(words.known(state and state.model)),
        *map(course, (temperature, clock, load)),
        str(words.known(state and words.listed(state.governors))),
        _throttled(before, after, words),
    ]


def host_name(host: Host, words: Catalogue) -> str:
    """Return the name of a Pi that was looked at, with the session unless it is the first."""
    return host.name if host.session == 1 else words("pis.in_session", pi=host.name, session=host.session)


def session_words(session: SessionRow, words: Catalogue) -> str:
    """Return when a session began, and how many trials it has."""
    began = f"{datetime.fromtimestamp(session.began_epoch_ns // 10**9, UTC):%Y-%m-%d %H:%M}"
    return words("method.session", number=session.number, began=began, trials=session.trials)


def budget(found: Budget, words: Catalogue) -> str:
    """Return what leaves the speedup uncertain, in one sentence."""
    named = {name: value for name, value in found if value is not None or name == "clocks"}
    parts = [
        words("budget.clocks_unknown")
        if value is None
        else words(f"budget.{name}", percent=words.percent(value / 100))
        for name, value in named.items()
    ]
    return words("figures.budget", parts=words.listed([*parts, words("budget.sessions")], most=9))


def in_brief(check: Check) -> str:
    """Return what a check found first, and how much more there is."""
    found = check.found
    return Message("check.in_brief", **found.values) if isinstance(found, Message) else found


def reasons(checks: Sequence[Check], codes: Sequence[str]) -> list[str]:
    """Return what the checks of these codes found, each in brief."""
    return [in_brief(check) for check in checks if check.code in codes]


def reasons_and_help(checks: Sequence[Check], codes: Sequence[str]) -> list[Message]:
    """Return what the checks of these codes found, each in brief with what helps."""
    return [
        Message("check.reason", found=in_brief(check), meaning=check.meaning or "")
        for check in checks
        if check.code in codes
    ]


def outcome(check: Check, words: Catalogue) -> tuple[str, str]:
    """Return what a check came to, and what there is to say beside it."""
    if check.status == "flag":
        return words.say(check.found), words.say(check.meaning or "")
    if check.status == "unknown":
        return words("check.not_checked", title=check.title), words.say(check.found)
    seen = check.could_have_seen_percent
    if seen is None:
        return words("check.no_sign", title=check.title), words.say(check.found)
    percent = words.percent(seen / 100)
    return words("check.no_sign_below", title=check.title, percent=percent), words.say(check.found)


def left_out(report: Report, words: Catalogue) -> str:
    """Return the Pis that took no part, each with why."""
    return words.listed(
        words("where.left_out", pi=each.pi, why=each.problem.what) for each in report.left_out
    )


def slowest_pi(found: Straggler, words: Catalogue) -> str:
    """Return which Pi was the slowest, and what that means."""
    percent = words.percent(found.slower_percent / 100)
    if found.speedup_if_balanced is None:
        return words("ledger.straggler_or_chance", pi=found.pi, percent=percent)
    speedup = f"{found.speedup_if_balanced:.2f}"
    return words("ledger.straggler", pi=found.pi, percent=percent, speedup=speedup)


def main_comparison(report: Report) -> tuple[Comparison, Estimate] | None:
    """Return the comparison that gives the speedup, and the speedup; None where there is none."""
    for each in report.comparisons:
        if each.speedup is not None:
            return each, each.speedup
    return None


def throttling(before: HostState | None, after: HostState | None) -> list[tuple[str, list[Message]]]:
    """Return what slowed a Pi down `before`, `during` or `after` a run; [] if nothing is known to."""
    found = [(when, state.slowed_now) for when, state in (("before", before), ("after", after)) if state]
    if before and after and before.throttled is not None:
        found.append(("during", after.slowed_since(before.throttled)))
    return [(when, slowed_words(names)) for when, names in found if names]


def slowed_words(names: Iterable[str]) -> list[Message]:
    """Return by what a Pi is slowed down, as the model names it."""
    return [Message(f"throttling.{name}") for name in names]


def _throttled(before: HostState | None, after: HostState | None, words: Catalogue) -> str:
    found = throttling(before, after)
    if found:
        return words.listed(words(f"throttling.{when}", what=what) for when, what in found)
    if any(state is None or state.throttled is None for state in (before, after)):
        return words("unit.unknown")
    return words("method.throttled_before" if before and before.throttled else "method.throttled_no")


def _cores(evidence: Evidence) -> set[int | None]:
    return {evidence.cores(pi) for pi in evidence.plan.pis}
