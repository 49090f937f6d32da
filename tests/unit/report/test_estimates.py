"""The figures of a run, from its trials to intervals."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.report import Comparison, Report
from pi_speedup.report.build import build_report
from pi_speedup.report.checks.refusal import half_width_percent
from pi_speedup.report.markdown import markdown
from pi_speedup.report.statistics import expected_maximum
from tests.unit.report import factory

EN = Catalogue("en")
EXACT: dict[str, Any] = {"noise": 0.0, "jitter": 0.0}


def _report(**how: Any) -> Report:
    return build_report(factory.contents(**how))


def _by_name(report: Report) -> dict[str, Comparison]:
    return {comparison.name: comparison for comparison in report.comparisons}


def _estimates(comparison: Comparison) -> tuple[float | None, float]:
    return comparison.speedup.value if comparison.speedup else None, comparison.efficiency.value


def test_figures_of_a_run_without_noise() -> None:
    # A pod: 10 s from 1.0 s on, and 0.8 s until its end is seen.
    # The base case: 10 or 30 s from 0.5 s on, and 0.2 s.
    report = _report(**EXACT)
    found = {name: _estimates(comparison) for name, comparison in _by_name(report).items()}
    assert found == {
        "compute": pytest.approx((3.0, 1.0)),
        "end_to_end": pytest.approx((30.7 / 11.8, 30.7 / 11.8 / 3)),
        "end_to_end_share": (None, pytest.approx(10.7 / 11.8)),
    }
    assert report.bracket is not None
    assert (report.bracket.low, report.bracket.high) == pytest.approx((30 / 11.8, 3.0))
    first = report.comparisons[0]
    assert (first.one_pi.amount, first.all_pis.amount) == (10_000_000, 30_000_000)
    assert first.one_pi.seconds.geometric_mean == pytest.approx(10.0)
    assert first.all_pis.amount_per_second == pytest.approx(3e6)
    assert first.karp_flatt is not None and first.karp_flatt.value == pytest.approx(0, abs=1e-9)


def test_one_pi() -> None:
    report = _report(of=factory.plan(1))
    assert set(_by_name(report)) == {"compute", "end_to_end_share"}
    compute = _by_name(report)["compute"]
    assert compute.karp_flatt is None
    assert compute.speedup is not None and compute.speedup.value == pytest.approx(1, abs=0.03)


def test_the_interval_is_mapped_through() -> None:
    first = _report(noise=0.02).comparisons[0]
    assert first.speedup and first.speedup.interval and first.efficiency.interval and first.karp_flatt
    low, high = first.speedup.interval.low, first.speedup.interval.high
    assert low < first.speedup.value < high
    assert (first.efficiency.interval.low, first.efficiency.interval.high) == pytest.approx(
        (low / 3, high / 3)
    )
    e = first.karp_flatt.interval
    assert e is not None
    assert (e.low, e.high) == pytest.approx(((1 / high - 1 / 3) * 1.5, (1 / low - 1 / 3) * 1.5))


def test_what_all_of_a_round_share_does_not_widen_it() -> None:
    plain = _report(noise=0.01, seed=5).comparisons[0].half_width_percent
    shaken = _report(noise=0.01, shared=0.2, seed=5).comparisons[0].half_width_percent
    assert plain is not None and shaken is not None and shaken < 2 * plain


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"rounds": 1}, "only 1 round complete, and an interval needs 5"),
        ({"rounds": 4}, "only 4 rounds complete, and an interval needs 5"),
    ],
    ids=["one round", "four rounds"],
)
def test_few_rounds_give_no_interval(settings: dict[str, Any], words: str) -> None:
    report = _report(of=factory.plan(**settings), noise=0.02)
    first = report.comparisons[0]
    assert first.speedup is not None and first.speedup.interval is None and first.half_width_percent is None
    assert first.no_interval == words
    least, most = first.speedup.minimum - 1e-9, first.speedup.maximum + 1e-9
    assert least <= first.speedup.value <= most
    assert "no interval" in report.headline


def test_few_long_base_cases_give_no_interval_end_to_end() -> None:
    found = _by_name(_report())["end_to_end"]
    assert len(found.rounds) == 3
    assert found.no_interval is not None and "benchmark_long_rounds" in found.no_interval
    enough = _by_name(_report(of=factory.plan(long_rounds=7)))["end_to_end"]
    assert enough.no_interval is None and enough.speedup is not None and enough.speedup.interval is not None


def _invalid_in(rounds: set[int]) -> factory.Defect:
    def defect(draft: factory.Draft) -> None:
        if draft.slot.round in rounds and not draft.base:
            draft.workers[0].process = {"inside": 1000}

    return defect


@pytest.mark.parametrize(
    ("rounds", "refused"), [({3}, False), ({3, 4}, True)], ids=["one of seven", "two of seven"]
)
def test_invalid_rounds_take_the_interval_away(rounds: set[int], refused: bool) -> None:
    report = _report(defect=_invalid_in(rounds))
    assert (report.comparisons[0].no_interval is not None) is refused
    assert report.verdict.status == "invalid"


def test_a_run_that_stops_by_its_width_uses_the_wider_quantile() -> None:
    fixed = _report(of=factory.plan(), noise=0.02).comparisons[0]
    adaptive = _report(of=factory.plan(target_percent=0.01), noise=0.02).comparisons[0]
    assert fixed.speedup and adaptive.speedup and fixed.speedup.interval and adaptive.speedup.interval
    assert (adaptive.speedup.interval.level, adaptive.speedup.interval.quantile) == (0.95, 0.97)
    assert fixed.half_width_percent is not None and adaptive.half_width_percent is not None
    # t of 6 degrees of freedom: 2.829 at 98.5 %, 2.447 at 97.5 %.
    assert adaptive.half_width_percent / fixed.half_width_percent == pytest.approx(2.829 / 2.447, rel=1e-2)


def test_the_loop_and_the_report_mean_the_same_width() -> None:
    plan = factory.plan(target_percent=2)
    trials = factory.trials(plan, noise=0.02)
    width = half_width_percent(plan, trials)
    assert width is not None
    shown = build_report(factory.contents(plan, noise=0.02)).comparisons[0].half_width_percent
    assert width == pytest.approx(shown)
    four = tuple(trial for trial in trials if trial.slot.round <= 4)
    assert half_width_percent(plan, four) is None


def test_a_late_pod_that_a_wrong_clock_hides_is_told_right() -> None:
    def late(draft: factory.Draft) -> None:
        if not draft.base:
            draft.workers[2].start += 2.0

    plan = factory.plan()
    clocks = {"pi-3": -2.0}
    how: dict[str, Any] = {**EXACT, "clocks": clocks, "defect": late}
    # By the Pis' own clocks all start at once.
    hidden = build_report(factory.contents(plan, **how)).comparisons[0].speedup
    looks = factory.hosts(plan, {"clock_offset_seconds": -2.0}, {"clock_offset_seconds": -2.0}, pi="pi-3")
    report = build_report(factory.contents(plan, hosts=looks, **how))
    told = report.comparisons[0].speedup
    assert hidden is not None and hidden.value == pytest.approx(3.0)
    assert told is not None and told.value == pytest.approx(30 / 12)
    assert report.clocks_corrected
    assert report.bracket is not None and report.bracket.low < told.value < report.bracket.high


def test_what_unknown_clocks_add_is_not_said_to_be_nothing() -> None:
    report = build_report(factory.contents(factory.plan()))
    assert not report.clocks_corrected
    assert report.comparisons[0].clock_percent is None
    text = markdown(report, (), EN)
    assert "without what the Pis' clocks add, which is not known" in text and "0% of it" not in text


def test_what_clocks_leave_uncertain_is_in_the_interval() -> None:
    plan = factory.plan()
    unsure = {"clock_uncertainty_seconds": 0.2}
    hosts = tuple(
        host.model_copy(update={"before": factory.state(**unsure), "after": factory.state(**unsure)})
        for host in factory.hosts(plan)
    )
    sure = build_report(factory.contents(plan)).comparisons[0]
    found = build_report(factory.contents(plan, hosts=hosts)).comparisons[0]
    assert found.speedup and found.speedup.interval and sure.half_width_percent and found.half_width_percent
    # 0.4 s of two Pis in about 10 s.
    assert found.speedup.interval.low < found.speedup.interval.statistical_low * 0.97
    assert found.clock_percent == pytest.approx(found.half_width_percent - sure.half_width_percent)


LOSSES: dict[str, tuple[Any, str]] = {
    "one late pod": (lambda worker: setattr(worker, "start", worker.start + 1.0), "starting_together"),
    "one slow Pi": (lambda worker: setattr(worker, "seconds", worker.seconds * 1.1), "balance"),
}


@pytest.mark.parametrize(("change", "factor"), LOSSES.values(), ids=LOSSES)
def test_each_loss_moves_its_own_factor(change: Any, factor: str) -> None:
    def defect(draft: factory.Draft) -> None:
        if not draft.base:
            change(draft.workers[2])

    ledger = _report(defect=defect, **EXACT).ledger
    assert ledger is not None
    lost = {
        name: 1 - getattr(ledger.mean, name)
        for name in ("alone_against_together", "balance", "starting_together")
    }
    assert max(lost, key=lost.__getitem__) == factor and lost[factor] > 0.05
    assert sum(lost.values()) - lost[factor] < 0.035


def test_a_slow_base_case_moves_its_factor() -> None:
    def defect(draft: factory.Draft) -> None:
        if draft.base:
            draft.workers[0].seconds *= 1.1

    ledger = _report(defect=defect, **EXACT).ledger
    assert ledger is not None and ledger.mean.alone_against_together == pytest.approx(1.1)
    assert (ledger.mean.balance, ledger.mean.starting_together) == pytest.approx((1, 1))


def test_the_ledger_multiplies_out_in_each_round_and_in_the_mean() -> None:
    report = _report(noise=0.05)
    assert report.ledger is not None
    figures = [
        (each.factors, comparison.value / 3)
        for each, comparison in zip(report.ledger.rounds, report.comparisons[0].rounds, strict=True)
    ]
    for factors, efficiency in [*figures, (report.ledger.mean, report.comparisons[0].efficiency.value)]:
        product = factors.alone_against_together * factors.balance * factors.starting_together
        assert abs(product - factors.efficiency) < 1e-12
        assert abs(product - efficiency) < 1e-12


def test_the_steps_add_up_to_the_wall_time() -> None:
    def pulled_once(draft: factory.Draft) -> None:
        if draft.slot.round == 2 and not draft.base:
            draft.workers[0].pulled, draft.workers[0].start = 0.7, 0.9

    ledger = _report(defect=pulled_once).ledger
    assert ledger is not None and ledger.wall is not None
    wall = ledger.wall
    assert wall.pull == pytest.approx(0.5 / 7)
    steps = (wall.schedule or 0) + (wall.pull or 0) + wall.start + wall.compute + wall.collect
    assert steps == pytest.approx(wall.wall, abs=1e-9)


def _sweep(pis: int, rounds: int = 5, share: float = 0.0, **how: Any) -> Any:
    def slower(draft: factory.Draft) -> None:
        if not draft.base:
            for worker in draft.workers:
                worker.seconds *= 1 + share * (len(draft.workers) - 1)

    plan = factory.plan(pis, sweep=True, rounds=rounds, long_rounds=0)
    return build_report(factory.contents(plan, defect=slower, **how)).sweep


def test_a_sweep_finds_the_share_that_was_put_in() -> None:
    found = _sweep(5, share=0.03, **EXACT)
    assert [point.pis for point in found.points] == [1, 2, 3, 4, 5]
    assert found.points[4].speedup.value == pytest.approx(5 / 1.12)
    assert found.points[0].karp_flatt is None
    assert found.fit is not None and found.fit.share == pytest.approx(0.03)
    assert found.fit.valid_to_pis == 7


def test_a_sweep_says_what_noise_alone_would_give() -> None:
    found = _sweep(4, noise=0.02, jitter=0.0)
    for point in found.points[1:]:
        noise = point.noise_floor * (point.pis - 1) / expected_maximum(point.pis)
        assert noise == pytest.approx(0.02, rel=0.5)
    assert found.fit is not None and found.fit.noise_floor > 0


@pytest.mark.parametrize(
    ("pis", "rounds", "words"),
    [(3, 5, "only 3 numbers of Pis; a fit needs 4"), (5, 4, "4 rounds complete")],
    ids=["three Pis", "four rounds"],
)
def test_a_sweep_that_gives_no_fit_says_why(pis: int, rounds: int, words: str) -> None:
    found = _sweep(pis, rounds)
    assert found.fit is None and words in found.no_fit


def test_no_sweep_without_further_cells() -> None:
    assert _report().sweep is None


def test_the_straggler_and_what_it_costs() -> None:
    def slow(draft: factory.Draft) -> None:
        for worker in draft.workers:
            if worker.pi == "pi-3":
                worker.seconds *= 1.3

    report = _report(defect=slow, **EXACT)
    assert report.straggler is not None and report.straggler.pi == "pi-3"
    # Two Pis at the base Pi's speed, and one that gets 10 of 13 shares done meanwhile.
    assert report.straggler.speedup_if_balanced == pytest.approx(2 + 10 / 13)
    server, base, third = report.pi_figures
    assert (server.server, base.server, server.base) == (True, False, True)
    assert third.amount_per_second == pytest.approx(1e7 / 13)
    assert third.relative == pytest.approx(1.3 / 1.3 ** (1 / 3))


@pytest.mark.parametrize("seed", range(5))
def test_of_equal_pis_chance_makes_the_slowest(seed: int) -> None:
    report = _report(noise=0.04, seed=seed)
    assert report.straggler is not None and report.straggler.slower_percent > 0
    # By what noise cost it, equal Pis would be more than three times as fast.
    assert report.straggler.speedup_if_balanced is None
    assert f"{report.straggler.pi} was the slowest" in markdown(report, (), EN)
    assert "no more than chance makes of equal Pis" in markdown(report, (), EN)


def test_what_leaves_the_speedup_uncertain_is_said_part_by_part() -> None:
    def slow(draft: factory.Draft) -> None:
        for worker in draft.workers:
            worker.seconds *= 1.1 if worker.pi == "pi-3" else 1

    plan = factory.plan(control_round=True)
    found = build_report(factory.contents(plan, defect=slow, hosts=factory.hosts(plan)))
    compute, parts = found.comparisons[0], found.budget
    assert parts is not None and parts.rounds is not None and parts.clocks is not None
    assert parts.rounds + parts.clocks == pytest.approx(compute.half_width_percent)
    # With pi-3 as the one.
    assert parts.base_pi == pytest.approx(10, abs=1.5)
    assert parts.limit is not None and parts.limit < 3
    text = markdown(found, (), EN)
    assert "the choice of the Pi that works alone by up to 1" in text
    assert "by an amount that one run cannot tell" in text
    assert "clocks by an unknown amount" in markdown(_report(), (), EN)


def test_controls_of_a_clean_run_contain_one() -> None:
    report = _report(noise=0.02)
    assert {control.name for control in report.controls} == {"base_after_to_before", "long_to_short_base"}
    for control in report.controls:
        assert control.low is not None and control.high is not None and control.low < 1 < control.high


def test_one_round_has_controls_without_an_interval() -> None:
    report = _report(of=factory.plan(rounds=1))
    (control,) = report.controls
    assert (control.name, control.low) == ("long_to_short_base", None)


def test_pi_is_merged_from_all_pods() -> None:
    found = _report().result
    assert found is not None and found["samples"] == 7 * 30_000_000
    assert found["estimate"] == pytest.approx(math.pi, abs=1e-3) and found["z_score"] is not None


@pytest.mark.parametrize(
    ("enforced", "ratio"), [(True, 1.0), (False, 1.25)], ids=["a limit that holds", "a limit that does not"]
)
def test_the_speedup_falls_with_the_limit(enforced: bool, ratio: float) -> None:
    plan = factory.plan(control_round=True)

    def defect(draft: factory.Draft) -> None:
        if draft.cell.cpu_share < 1 and not enforced:
            for worker in draft.workers:
                worker.seconds *= draft.cell.cpu_share

    report = _report(of=plan, noise=0.01, jitter=0.0, defect=defect)
    (found,) = [control for control in report.controls if control.name == "lower_limit"]
    assert found.ratio == pytest.approx(ratio, rel=0.02)
    assert found.low is not None and found.high is not None
    assert (found.low < 1 < found.high) is enforced
    # Under its lower limit it is part of nothing else.
    assert report.comparisons[0].speedup is not None
    assert report.comparisons[0].speedup.value == pytest.approx(3, rel=0.03)
    assert report.sweep is None


def test_capacity_is_the_sum_of_the_pis_own_rates() -> None:
    plan = factory.plan(each_pi=True)

    def defect(draft: factory.Draft) -> None:
        for worker in draft.workers:
            if worker.pi == "pi-3":
                worker.seconds *= 1.25

    report = _report(of=plan, defect=defect, **EXACT)
    found = report.capacity
    assert found is not None and found.rounds == (1, 4, 7)
    assert found.amount_per_second == pytest.approx(2.8e6)
    assert found.together_amount_per_second == pytest.approx(2.4e6)
    assert found.efficiency.value == pytest.approx(2.4 / 2.8)
    rates = [each.alone_amount_per_second for each in report.pi_figures]
    assert rates == pytest.approx([1e6, 1e6, 0.8e6])
    assert _report().capacity is None
