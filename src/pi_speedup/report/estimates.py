"""The figures of a report: each comparison, where the loss went, the sweep, and each Pi among the others."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from pi_speedup.catalogue import Message
from pi_speedup.model.plan import ALONE
from pi_speedup.model.report import (
    Bracket,
    Budget,
    Capacity,
    Comparison,
    Control,
    ControlName,
    Estimate,
    Factors,
    Fit,
    Ledger,
    PiFigures,
    Point,
    RoundFactors,
    RoundFigure,
    Side,
    Spread,
    Straggler,
    Sweep,
    WallSteps,
)
from pi_speedup.plan.progress import LEAST_ROUNDS
from pi_speedup.report import formulas
from pi_speedup.report.checks.refusal import no_interval_because
from pi_speedup.report.evidence import Evidence, Measurement
from pi_speedup.report.intervals import (
    Pair,
    base_after_to_before,
    compute_pairs,
    interval_half_width_percent,
    long_to_short_base,
    lower_limit_to_expected,
    mapped,
    quantile_of,
    ratio_estimate,
    statistical_half_width_percent,
    sweep_pairs,
    wall_pairs,
)
from pi_speedup.report.statistics import Difference, expected_maximum

# Fewer points give any share one likes (docs/report.md, "The sweep").
_LEAST_POINTS_FOR_FIT = 4
# Beyond the measured range by half, and no further.
_FIT_REACH = 1.5


def comparisons(evidence: Evidence) -> tuple[Comparison, ...]:
    """Return the speedup of computing, and what a person waits for; () where no round is complete."""
    if not evidence.rounds:
        return ()
    found = [_compute(evidence)]
    if evidence.together.is_divided:
        found.append(_end_to_end(evidence, evidence.alone))
        return tuple(found)
    if evidence.alone_long:
        found.append(_end_to_end(evidence, evidence.alone_long))
    found.append(_end_to_end_share(evidence))
    return tuple(found)


def bracket(evidence: Evidence) -> Bracket:
    """Return between which values the compute speedup lies, whatever the Pis' clocks say."""
    one = [pair.above for pair in compute_pairs(evidence)]
    return Bracket(
        low=formulas.geometric_mean(one)
        / formulas.geometric_mean([job.wall_seconds for job in evidence.jobs]),
        high=formulas.geometric_mean(one) / formulas.geometric_mean([job.longest for job in evidence.jobs]),
    )


def ledger(evidence: Evidence) -> Ledger:
    """Return what efficiency multiplies out to in each round and in the geometric mean of the rounds."""
    # Of what one Pi did alone, what each does where all share it.
    share = evidence.times_the_work(evidence.together) / evidence.pis
    rounds = [
        RoundFactors(round=job.round, factors=_factors(job, share * evidence.at(ALONE, job.round).seconds))
        for job in evidence.jobs
    ]

    def mean(name: str) -> float:
        return formulas.geometric_mean([getattr(each.factors, name) for each in rounds])

    return Ledger(
        mean=Factors(
            alone_against_together=mean("alone_against_together"),
            balance=mean("balance"),
            starting_together=mean("starting_together"),
            efficiency=mean("efficiency"),
        ),
        rounds=tuple(rounds),
        wall=wall_steps(evidence),
    )


def wall_steps(evidence: Evidence) -> WallSteps:
    """Return where a Job's wall time went, along the pod whose worker started first; mean of all rounds."""
    rows = [_wall_row(evidence, job) for job in evidence.jobs]

    def mean(index: int) -> float | None:
        known = [row[index] for row in rows if row[index] is not None]
        # A step that some Jobs had and others had not took 0 s in those.
        return math.fsum(value for value in known if value) / len(rows) if known else None

    return WallSteps(
        schedule=mean(0),
        pull=mean(1),
        start=mean(2) or 0.0,
        compute=mean(3) or 0.0,
        collect=mean(4) or 0.0,
        wall=statistics.fmean(job.wall_seconds for job in evidence.jobs),
    )


def sweep(evidence: Evidence) -> Sweep | None:
    """Return the speedup of 1, 2, ... Pis; None where only all together were measured."""
    cells = sorted((len(cell.pis), cell.name) for cell in evidence.plan.sweep if evidence.of(cell.name))
    if len(cells) < 2:
        return None
    pairs = {count: sweep_pairs(evidence, name) for count, name in cells}
    refused = no_interval_because(evidence)
    quantile = None if refused else quantile_of(evidence.plan)
    noise = evidence.pod_noise
    points = tuple(
        _point(count, found, quantile, noise[0] if noise else None) for count, found in pairs.items()
    )
    if refused or len(cells) < _LEAST_POINTS_FOR_FIT:
        why = refused or Message("figures.few_points", count=len(cells), least=_LEAST_POINTS_FOR_FIT)
        return Sweep(points=points, fit=None, no_fit=why)
    return Sweep(points=points, fit=_fit(evidence, pairs), no_fit=None)


def pi_figures(evidence: Evidence) -> tuple[PiFigures, ...]:
    """Return each Pi's times in the Jobs of all Pis, the base Pi and the server marked."""
    seconds: dict[str, list[float]] = {pi: [] for pi in evidence.plan.pis}
    for job in evidence.jobs:
        for work in job.works:
            seconds.setdefault(work.pi, []).append(work.seconds)
    known = {pi: values for pi, values in seconds.items() if values}
    if not known:
        return ()
    middle = formulas.geometric_mean([formulas.geometric_mean(values) for values in known.values()])
    amount = evidence.together.amount / evidence.pis
    found = []
    for pi, values in known.items():
        node, times = evidence.node(pi), spread(values)
        found.append(
            PiFigures(
                name=pi,
                server=node is not None and node.server,
                base=pi == evidence.plan.base_pi,
                cores=evidence.cores(pi),
                seconds=times,
                amount_per_second=amount / times.geometric_mean,
                relative=times.geometric_mean / middle,
                alone_amount_per_second=_alone_rate(evidence, pi),
            )
        )
    return tuple(found)


def straggler(
    figures: Sequence[PiFigures], found: Sequence[Comparison], *, unequal: bool
) -> Straggler | None:
    """Return the slowest Pi, and what shares by speed would give if the Pis are `unequal`; None for one Pi.

    Shares in proportion to the speeds end together, so the Pis' mean rates add up. The means of the rounds
    tell them: in each round chance makes one of equal Pis the slowest.
    """
    if len(figures) < 2 or not found or found[0].speedup is None:
        return None
    slowest = max(figures, key=lambda each: each.relative)
    rates = [each.amount_per_second for each in figures]
    balanced = found[0].speedup.value * statistics.fmean(rates) / min(rates)
    return Straggler(
        pi=slowest.name,
        slower_percent=100 * (slowest.relative - 1),
        speedup_if_balanced=balanced if unequal else None,
    )


def budget(found: Comparison, figures: Sequence[PiFigures], controls: Sequence[Control]) -> Budget:
    """Return what leaves the compute speedup uncertain, part by part."""
    whole, clocks = found.half_width_percent, found.clock_percent
    base = next((each.relative for each in figures if each.base), None)
    limit = next((each.ratio for each in controls if each.name == "lower_limit"), None)
    return Budget(
        rounds=None if whole is None else whole - (clocks or 0.0),
        clocks=clocks,
        base_pi=None if base is None else 100 * max(abs(each.relative / base - 1) for each in figures),
        limit=None if limit is None else 100 * abs(limit - 1),
    )


def capacity(evidence: Evidence) -> Capacity | None:
    """Return the sum of the Pis' rates by themselves, and what all together gave of it.

    None without such cells. There are too few of these rounds for an interval.
    """
    cells = evidence.plan.each_alone
    rounds = [number for number in evidence.rounds if cells and evidence.has(cells[0].name, number)]
    if not rounds:
        return None
    sums = [
        math.fsum(cell.amount / evidence.at(cell.name, number).seconds for cell in cells) for number in rounds
    ]
    together = evidence.together
    rates = [together.amount / evidence.at(together.name, number).seconds for number in rounds]
    shares = [rate / total for rate, total in zip(rates, sums, strict=True)]
    return Capacity(
        amount_per_second=formulas.geometric_mean(sums),
        together_amount_per_second=formulas.geometric_mean(rates),
        efficiency=Estimate(
            value=formulas.geometric_mean(shares), minimum=min(shares), maximum=max(shares), interval=None
        ),
        rounds=tuple(rounds),
    )


def controls(evidence: Evidence) -> tuple[Control, ...]:
    """Return the ratios that must be 1, those that the run gives."""
    found: list[Control] = []
    after, long, slow = (
        base_after_to_before(evidence),
        long_to_short_base(evidence),
        lower_limit_to_expected(evidence),
    )
    if after is not None:
        found.append(_control("base_after_to_before", Message("control.base_after_to_before"), after))
    if long is not None:
        title = Message("control.long_to_short_base", units=evidence.units)
        found.append(_control("long_to_short_base", title, long))
    if slow is not None and evidence.plan.slow is not None:
        title = Message("control.lower_limit", share=evidence.plan.slow.cpu_share)
        found.append(_control("lower_limit", title, slow))
    return tuple(found)


def spread(values: Sequence[float]) -> Spread:
    """Return a summary of times in seconds."""
    deviation = formulas.log_sd(values)
    return Spread(
        count=len(values),
        geometric_mean=formulas.geometric_mean(values),
        minimum=min(values),
        maximum=max(values),
        sd_percent=None if deviation is None else 100 * deviation,
    )


def _compute(evidence: Evidence) -> Comparison:
    pis, pairs, noise = evidence.pis, compute_pairs(evidence), evidence.pod_noise
    refused = no_interval_because(evidence)
    estimate = ratio_estimate(pairs, None if refused else quantile_of(evidence.plan))
    whole, statistical = interval_half_width_percent(estimate), statistical_half_width_percent(estimate)
    of_clocks = None if whole is None or statistical is None else whole - statistical
    return Comparison(
        name="compute",
        definition=Message(
            "definition.compute_divided" if evidence.together.is_divided else "definition.compute",
            units=evidence.units,
        ),
        one_pi=_side(evidence.alone, [base.seconds for base in evidence.alone]),
        all_pis=_side(evidence.jobs, [job.seconds for job in evidence.jobs]),
        speedup=estimate,
        efficiency=mapped(estimate, lambda value: formulas.efficiency(value, pis)),
        karp_flatt=mapped(estimate, lambda value: formulas.karp_flatt(value, pis)) if pis > 1 else None,
        noise_floor=formulas.karp_flatt_floor(noise[0], pis) if noise and pis > 1 else None,
        rounds=tuple(_round(pair, evidence.times_the_work(evidence.together)) for pair in pairs),
        no_interval=refused,
        half_width_percent=whole,
        clock_percent=of_clocks if evidence.clocks.corrected or pis == 1 else None,
    )


def _end_to_end(evidence: Evidence, base: Sequence[Measurement]) -> Comparison:
    pis = evidence.pis
    pairs = wall_pairs(evidence, base)
    refused = no_interval_because(evidence)
    if refused is None and len(pairs) < LEAST_ROUNDS:
        what = Message("no_interval.one_pi_all", units=evidence.units)
        refused = Message("no_interval.few_measured", count=len(pairs), what=what, least=LEAST_ROUNDS)
    estimate = ratio_estimate(pairs, None if refused else quantile_of(evidence.plan))
    return Comparison(
        name="end_to_end",
        definition=Message(
            "definition.end_to_end_divided" if evidence.together.is_divided else "definition.end_to_end",
            units=evidence.units,
        ),
        one_pi=_side(base, [pair.above for pair in pairs]),
        all_pis=_side(evidence.jobs, [pair.below for pair in pairs]),
        speedup=estimate,
        efficiency=mapped(estimate, lambda value: formulas.efficiency(value, pis)),
        karp_flatt=None,
        noise_floor=None,
        rounds=tuple(_round(pair) for pair in pairs),
        no_interval=refused,
        half_width_percent=interval_half_width_percent(estimate),
        clock_percent=None,
    )


def _end_to_end_share(evidence: Evidence) -> Comparison:
    pairs = wall_pairs(evidence, evidence.alone)
    refused = no_interval_because(evidence)
    estimate = ratio_estimate(pairs, None if refused else quantile_of(evidence.plan))
    return Comparison(
        name="end_to_end_share",
        definition=Message("definition.end_to_end_share"),
        one_pi=_side(evidence.alone, [pair.above for pair in pairs]),
        all_pis=_side(evidence.jobs, [pair.below for pair in pairs]),
        speedup=None,
        efficiency=estimate,
        karp_flatt=None,
        noise_floor=None,
        rounds=tuple(_round(pair) for pair in pairs),
        no_interval=refused,
        half_width_percent=interval_half_width_percent(estimate),
        clock_percent=None,
    )


def _side(trials: Sequence[Measurement], seconds: Sequence[float]) -> Side:
    first, times = trials[0], spread(seconds)
    return Side(
        cell=first.cell.name,
        pis=first.cell.pis,
        runtime=", ".join(sorted({work.worker.runtime for trial in trials for work in trial.works})),
        amount=first.cell.amount,
        seconds=times,
        amount_per_second=first.cell.amount / times.geometric_mean,
    )


def _round(pair: Pair, times_the_work: float = 1) -> RoundFigure:
    one_pi_seconds = pair.above / times_the_work
    return RoundFigure(
        round=pair.round, one_pi_seconds=one_pi_seconds, all_pis_seconds=pair.below, value=pair.ratio
    )


def _factors(job: Measurement, alone_seconds: float) -> Factors:
    found = formulas.loss_factors(alone_seconds, [work.seconds for work in job.works], job.seconds)
    return Factors(
        alone_against_together=found.alone_against_together,
        balance=found.balance,
        starting_together=found.starting_together,
        efficiency=found.efficiency,
    )


def _wall_row(evidence: Evidence, job: Measurement) -> tuple[float | None, ...]:
    """Return schedule, pull, start, compute and collect of one Job in seconds; they add up to its wall time.

    The first worker's start is told by its Pi's clock where that is corrected, and the control host's was not
    set meanwhile; else by the control host's, which saw the container start.
    """
    first = min(job.works, key=lambda work: work.span.start_ns)
    seen = first.worker.milestones
    clocks = evidence.clocks
    if (clocks.corrected and not clocks.host_was_set) or seen.started is None:
        started = (first.span.start_ns - job.trial.started_epoch_ns) / 1e9
    else:
        started = seen.started
    scheduled, pulled = seen.scheduled, seen.pulled
    until = 0.0 if scheduled is None else scheduled
    pull = None if pulled is None else pulled - until
    until = until if pulled is None else pulled
    return scheduled, pull, started - until, job.seconds, job.wall_seconds - started - job.seconds


def _point(count: int, pairs: Sequence[Pair], quantile: float | None, noise: float | None) -> Point:
    estimate = ratio_estimate(pairs, quantile)
    several = count > 1
    return Point(
        pis=count,
        speedup=estimate,
        efficiency=mapped(estimate, lambda value: formulas.efficiency(value, count)),
        karp_flatt=mapped(estimate, lambda value: formulas.karp_flatt(value, count)) if several else None,
        noise_floor=formulas.karp_flatt_floor(noise, count) if several and noise is not None else None,
    )


def _fit(evidence: Evidence, pairs: dict[int, tuple[Pair, ...]]) -> Fit:
    from pi_speedup.report.statistics import mean_difference

    shares = [
        formulas.serial_share(
            [
                (count, count * pair.below / pair.above)
                for count, found in pairs.items()
                for pair in found
                if pair.round == number
            ]
        )
        for number in evidence.rounds
    ]
    noise = evidence.pod_noise
    found = mean_difference(shares)
    low, high = found.bounds(quantile_of(evidence.plan))
    floor = formulas.serial_share(
        [(count, 1 + (noise[0] if noise else 0.0) * expected_maximum(count)) for count in pairs]
    )
    return Fit(
        share=found.value,
        low=low,
        high=high,
        noise_floor=floor,
        valid_to_pis=math.floor(_FIT_REACH * max(pairs)),
    )


def _alone_rate(evidence: Evidence, pi: str) -> float | None:
    cell = next((cell for cell in evidence.plan.each_alone if cell.pis == (pi,)), None)
    seconds = [trial.seconds for trial in evidence.of(cell.name)] if cell is not None else []
    return cell.amount / formulas.geometric_mean(seconds) if cell is not None and seconds else None


def _control(name: ControlName, title: Message, found: Difference | float) -> Control:
    if isinstance(found, float):
        return Control(name=name, title=title, ratio=math.exp(found), low=None, high=None)
    low, high = found.bounds(0.95)
    return Control(
        name=name,
        title=title,
        ratio=math.exp(found.value),
        low=math.exp(low),
        high=math.exp(high),
    )
