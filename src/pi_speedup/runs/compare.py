"""Did it help? One run's times against another's.

Times, never speedups: a cooler that makes each Pi faster leaves the speedup where it was. One figure decides,
the seconds that all Pis together compute: with several, each would have its own chance of a false alarm.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Literal

from pi_speedup.catalogue import Message
from pi_speedup.model.compared import (
    Change,
    Compared,
    DifferenceName,
    Margin,
    Outcome,
    RunTimes,
    Sessions,
    Unlike,
)
from pi_speedup.model.report import Estimate, Interval, Pods, Report
from pi_speedup.plan.progress import LEAST_ROUNDS
from pi_speedup.report.wording import reasons, reasons_and_help
from pi_speedup.runs.history import compute, session_scatter, together_rates
from pi_speedup.text import one_line

LEVEL = 0.95
# What else may explain a change: settings that don't decide what is computed.
_FURTHER_SETTINGS = ("label", "rest_seconds", "sweep", "base_runtime")
# What makes a command another one.
_OF_COMMAND = ("command", "prepare", "divisible", "environment", "network", "scratch_mib")
# The second while nobody knows how far sessions scatter (docs/simulations.md).
_MARGIN_PERCENT, _MARGIN_PERCENT_UNKNOWN = 2.0, 3.0


def compare(
    a: Report,
    b: Report,
    *,
    history: Iterable[Report] = (),
    margin_percent: float | None = None,
    despite: Collection[DifferenceName] = (),
    told_by: tuple[str | None, str | None] = (None, None),
) -> Compared:
    """Return how much faster run B was than run A.

    history: further runs, of which those count that are equal to A and B: how far they scatter is in the
    interval. margin_percent: instead of the usual one. despite: the differences that don't keep both from
    being compared. told_by: the files that A and B are from, None for a run's folder.
    """
    unlike = tuple(
        Unlike(name=name, words=words, despite=name in despite)
        for name, words in (*_differences(a, b), *_not_valid(a, b))
    )
    sessions, freedom = _sessions(a, b, history)
    usual = _MARGIN_PERCENT_UNKNOWN if sessions.sd_percent is None else _MARGIN_PERCENT
    given = margin_percent is not None
    margin = Margin(percent=usual if margin_percent is None else margin_percent, given=given)
    together = _change(
        together_rates(a),
        together_rates(b),
        _clock_logs(a) + _clock_logs(b),
        (2 * ((sessions.sd_percent or 0.0) / 100) ** 2, freedom),
    )
    outcome, words = _answer(a, b, together, margin, [each for each in unlike if not each.despite])
    return Compared(
        outcome=outcome,
        words=words,
        a=_times(a, told_by[0]),
        b=_times(b, told_by[1]),
        together=together,
        alone=_change(_alone_rates(a), _alone_rates(b)),
        margin=margin,
        sessions=sessions,
        unlike=unlike,
        also_differs=tuple(_also_differs(a, b)),
    )


def rate_estimate(report: Report, side: Literal["together", "alone"] = "together") -> Estimate | None:
    """Return how much a second all Pis together did, or one alone; None where no round is complete.

    The interval is Student's t on the logarithms of the rounds, its ends moved by what the clocks leave open.
    None with fewer rounds than a comparison needs.
    """
    together = side == "together"
    rates = together_rates(report) if together else _alone_rates(report)
    if not rates:
        return None
    interval = None
    if len(rates) >= LEAST_ROUNDS:
        from pi_speedup.report.statistics import mean_difference

        low, high = mean_difference(rates).bounds(LEVEL)
        clocks = _clock_logs(report) if together else 0.0
        interval = Interval(
            low=math.exp(low - clocks),
            high=math.exp(high + clocks),
            level=LEVEL,
            quantile=LEVEL,
            statistical_low=math.exp(low),
            statistical_high=math.exp(high),
        )
    return Estimate(
        value=math.exp(statistics.fmean(rates)),
        minimum=math.exp(min(rates)),
        maximum=math.exp(max(rates)),
        interval=interval,
    )


def rounds_of(report: Report, side: Literal["together", "alone"]) -> tuple[tuple[int, float], ...]:
    """Return the number of each complete round and how much a second all Pis did in it, or one alone."""
    found = compute(report)
    rates = together_rates(report) if side == "together" else _alone_rates(report)
    rounds = found.rounds if found else ()
    return tuple((each.round, math.exp(rate)) for each, rate in zip(rounds, rates, strict=True))


def margin_ends(margin: Margin) -> tuple[float, float]:
    """Return between which changes in percent nothing has changed; as far on both sides on logarithms."""
    border = math.log1p(margin.percent / 100)
    return _percent(-border), _percent(border)


def _alone_rates(report: Report) -> tuple[float, ...]:
    found = compute(report)
    if found is None:
        return ()
    return tuple(math.log(found.one_pi.amount / each.one_pi_seconds) for each in found.rounds)


def _answer(
    a: Report, b: Report, together: Change | None, margin: Margin, unlike: Sequence[Unlike]
) -> tuple[Outcome, Message]:
    if unlike:
        return "not_comparable", Message("answer.not_comparable", why=[each.words for each in unlike])
    if together is None or together.low is None or together.high is None:
        few = [report for report in (a, b) if len(together_rates(report)) < LEAST_ROUNDS]
        counts = [
            Message("answer.count", run=report.run_id, count=len(together_rates(report))) for report in few
        ]
        return "no_evidence", Message("answer.few", counts=counts, least=LEAST_ROUNDS)
    # As logarithms, so that A against B and B against A give the same answer.
    low, high = math.log1p(together.low / 100), math.log1p(together.high / 100)
    border = math.log1p(margin.percent / 100)
    if low > border:
        return "faster", Message("answer.faster", **dict(together))
    if high < -border:
        less = {"percent": -together.percent, "low": -together.high, "high": -together.low}
        return "slower", Message("answer.slower", **less)
    outcome: Outcome = "equal" if -border < low and high < border else "no_evidence"
    ends = {"low": together.low, "high": together.high}
    return outcome, Message(f"answer.{outcome}", margin=margin.percent, **ends)


def _change(
    first: Sequence[float],
    second: Sequence[float],
    clocks: float = 0.0,
    sessions: tuple[float, int] = (0.0, 0),
) -> Change | None:
    """Return the change between two sides' logarithms of rates; None where one has no round.

    The interval of the ratio of geometric means is Welch's on logarithms, since the rounds of two runs are no
    pairs, with the variance of `sessions` and its degrees of freedom as one part more. Its ends are moved by
    what the Pis' clocks leave open, which more rounds don't lessen.
    """
    if not first or not second:
        return None
    if min(len(first), len(second)) < LEAST_ROUNDS:
        difference = statistics.fmean(second) - statistics.fmean(first)
        return Change(percent=_percent(difference), low=None, high=None)
    # scipy takes a second to import: only where it is needed.
    from pi_speedup.report.statistics import welch_difference

    found = welch_difference(first, second, others=[sessions] if sessions[0] else [])
    low, high = found.bounds(LEVEL)
    return Change(percent=_percent(found.value), low=_percent(low - clocks), high=_percent(high + clocks))


def _percent(logarithm: float) -> float:
    # A factor of 10^13 either way is enough for any report, and still has a logarithm.
    return 100 * math.expm1(min(max(logarithm, -30.0), 30.0))


def _clock_logs(report: Report) -> float:
    found = compute(report)
    return math.log1p(min(max(0.0, found.clock_percent or 0.0), 1e9) / 100) if found else 0.0


def _differences(a: Report, b: Report) -> Iterator[tuple[DifferenceName, Message]]:
    """Give each thing in which two runs measured something else, in words."""

    def setting(report: Report, name: str) -> object:
        return report.settings.get(name)

    def unless_equal(
        name: DifferenceName, key: str, of_a: object, of_b: object
    ) -> Iterator[tuple[DifferenceName, Message]]:
        if of_a != of_b:
            units = Message(f"unit.{a.unit}.units")
            yield name, Message(f"unlike.{key}", a=_shown(of_a), b=_shown(of_b), units=units)

    yield from unless_equal("workload", "workload", a.workload, b.workload)
    for each in _OF_COMMAND:
        yield from unless_equal("command", "command", setting(a, each), setting(b, each))
    yield from unless_equal("command", "program", a.program_sha256, b.program_sha256)
    yield from unless_equal("amount", "amount", a.amount_per_process, b.amount_per_process)
    yield from unless_equal("pis", "pis", len(a.pis), len(b.pis))
    if a.pods is not None and b.pods is not None:
        one, other = a.pods, b.pods
        yield from unless_equal("processes", "processes", one.processes_per_pi, other.processes_per_pi)
        yield from _image_differs(one, other)
        yield from unless_equal("python", "python", one.pythons, other.pythons)
        yield from unless_equal("limits", "cores", one.cpu_limits_cores, other.cpu_limits_cores)
    name = "memory_limit_mib"
    yield from unless_equal("limits", "memory", setting(a, name), setting(b, name))


def _image_differs(one: Pods, other: Pods) -> Iterator[tuple[DifferenceName, Message]]:
    """An image is the same if all digests of one kind are: a registry may wrap the same one anew."""
    by_kind = [_by_kind(pods.image_ids) for pods in (one, other)]
    common = sorted(set(by_kind[0]) & set(by_kind[1]))
    names = [_shown(pods.images) for pods in (one, other)]
    if any(by_kind[0][kind] == by_kind[1][kind] for kind in common):
        return
    if common:
        told = [_shown(found[common[0]]) for found in by_kind]
        digests = {"a_digest": told[0], "b_digest": told[1]}
        yield "image", Message("unlike.digests", a=names[0], b=names[1], **digests)
    elif one.images != other.images:
        yield "image", Message("unlike.image", a=names[0], b=names[1])


def _by_kind(image_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for image_id in image_ids:
        kind, _, digest = image_id.partition(" ")
        # Enough of a digest to tell it from any other, and short enough for a line.
        found[kind] = (*found.get(kind, ()), digest.removeprefix("sha256:")[:12])
    return found


def _not_valid(a: Report, b: Report) -> Iterator[tuple[DifferenceName, Message]]:
    for report in (a, b):
        if report.verdict.status == "invalid":
            yield (
                "verdict",
                Message(
                    "unlike.verdict",
                    run=report.run_id,
                    reasons=reasons(report.checks, report.verdict.because),
                ),
            )


def _also_differs(a: Report, b: Report) -> Iterator[Message]:
    """Give what both runs know and what is not the same: what a change may come from."""
    facts: list[tuple[str, Callable[[Report], object]]] = [
        ("fact.pis", lambda report: report.pis),
        ("fact.base", lambda report: report.base_pi),
        ("fact.machine", lambda report: report.pods.machines if report.pods else ()),
        *((f"benchmark_{name}", _setting(name)) for name in _FURTHER_SETTINGS),
        ("fact.k3s", _of_nodes("kubelet_version")),
        ("fact.kernel", _of_nodes("kernel_version")),
        ("fact.system", _of_nodes("os_image")),
        ("fact.container_runtime", _of_nodes("container_runtime")),
        ("fact.model", _of_hosts("model")),
        ("fact.governor", _of_hosts("governors")),
        ("fact.worker", lambda report: report.worker_sha256[:12]),
        ("fact.tool", lambda report: report.tool.version),
    ]
    for key, of in facts:
        one, other = of(a), of(b)
        # An empty one is not known.
        if one != other and one not in ((), None) and other not in ((), None):
            what = Message(key) if key.startswith("fact.") else key
            yield Message("compare.also_line", what=what, a=_shown(one), b=_shown(other))


def _setting(name: str) -> Callable[[Report], object]:
    return lambda report: report.settings.get(name)


def _of_nodes(field: str) -> Callable[[Report], object]:
    return lambda report: tuple(sorted({value for node in report.nodes if (value := getattr(node, field))}))


def _of_hosts(field: str) -> Callable[[Report], object]:
    def found(report: Report) -> object:
        states = [state for host in report.hosts for state in (host.before, host.after) if state is not None]
        values = [getattr(state, field) for state in states]
        texts = {text for value in values for text in (value if isinstance(value, tuple) else (value,))}
        return tuple(sorted(text for text in texts if text))

    return found


def _sessions(a: Report, b: Report, history: Iterable[Report]) -> tuple[Sessions, int]:
    """Return how far equal runs scatter: those on the same Pis between which nothing is known to differ."""
    known = sorted({report.run_id: report for report in (*history, a, b)}.values(), key=_when)
    chains = [[report for report in known if _is_equal(report, a)]]
    if not _is_equal(b, a):
        chains.append([report for report in known if _is_equal(report, b)])
    return session_scatter(chains)


def _is_equal(report: Report, to: Report) -> bool:
    return (
        report.pis == to.pis
        and report.verdict.status != "invalid"
        and not [*_differences(to, report), *_also_differs(to, report)]
    )


def _when(report: Report) -> tuple[str, str]:
    return report.made_at, report.run_id


def _times(report: Report, told_by: str | None) -> RunTimes:
    found = compute(report)
    return RunTimes(
        run_id=report.run_id,
        made_at=one_line(report.made_at, 40),
        pis=report.pis,
        base_pi=report.base_pi,
        rounds=len(found.rounds) if found else 0,
        together_seconds=found.all_pis.seconds.geometric_mean if found else None,
        together_amount_per_second=math.exp(statistics.fmean(together_rates(report))) if found else None,
        alone_seconds=found.one_pi.seconds.geometric_mean if found else None,
        told_by=told_by,
        verdict=report.verdict.status,
        because=tuple(one_line(code, 40) for code in report.verdict.because),
        reasons=tuple(reasons_and_help(report.checks, report.verdict.because)),
        caveat=one_line(report.caveat) if report.caveat else None,
    )


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        values = [_shown(each) for each in value]
        return Message("compare.several", values=values) if values else Message("unit.unknown")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return Message("compare.nothing") if value in (None, "") else one_line(value, 80)
