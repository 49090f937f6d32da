"""How much a trial does is found out: enough readings to trust, an amount that two runs agree on."""

from __future__ import annotations

import random

import pytest

from pi_speedup.measure.calibrate import calibrate
from pi_speedup.model.calibration import SHORT_SECONDS, Calibration, Reading
from pi_speedup.model.plan import Plan
from pi_speedup.model.settings import Settings
from pi_speedup.model.trial import Measured
from pi_speedup.plan.make import made_again, make_plan, probe_plan
from pi_speedup.plan.progress import expected_seconds
from pi_speedup.plan.words import plan_lines
from pi_speedup.problem import ProblemError
from tests.unit.plan.factory import PIS
from tests.unit.report import factory


def read(amount_per_second: float) -> Calibration:
    return Calibration(readings=(Reading(amount=round(2 * amount_per_second), seconds=2.0),))


def planned(calibration: Calibration | None, **settings: object) -> Plan:
    return make_plan(
        Settings.model_validate(settings),
        run_id="x",
        made_at="2026-11-25T12:00:00Z",
        pis=PIS,
        base_pi=PIS[0],
        worker_sha256="0" * 64,
        calibration=calibration,
        cores={},
        fresh_seed=1,
    )


class Asked:
    """A Pi that does so much a second, and what it was asked; a trial is made as every other."""

    def __init__(self, amount_per_second: float, fails_at: int | None = None) -> None:
        self.amounts: list[int] = []
        self.kept: list[Measured] = []
        self._rate, self._fails_at = amount_per_second, fails_at

    def measure_one(self, amount: int) -> Measured:
        self.amounts.append(amount)
        plan = factory.plan(1, samples_per_process=amount, rounds=1, warm_up=False, long_rounds=0)

        def slow(draft: factory.Draft) -> None:
            if self._fails_at == amount:
                draft.outcome, draft.problem = "failed", factory.degraded().left_out[0].problem
            for worker in draft.workers:
                worker.seconds = amount / self._rate

        return Measured(next(each for each in factory.trials(plan, defect=slow) if each.slot.cell == "alone"))

    def ask(self, first: int) -> Calibration:
        return calibrate(first, self.measure_one, self.kept.append)


@pytest.mark.parametrize(("rate", "amounts"), [(5_000_000.0, 3), (700_000.0, 2), (40_000.0, 1)])
def test_more_is_asked_for_until_it_takes_two_seconds(rate: float, amounts: int) -> None:
    pi = Asked(rate)
    found = pi.ask(100_000)
    assert found.readings[-1].seconds >= 2
    assert len(pi.amounts) == len(pi.kept) <= amounts
    assert found.amount_per_second == pytest.approx(rate, rel=0.01)


def test_a_failure_is_told_and_what_was_printed_is_kept() -> None:
    pi = Asked(5_000_000, fails_at=100_000)
    with pytest.raises(ProblemError, match="cordoned"):
        pi.ask(100_000)
    assert len(pi.kept) == 1


@pytest.mark.parametrize("rate", [354_695.0, 479_000.0, 540_000.0])
def test_pis_of_like_speed_come_to_the_same_amount(rate: float) -> None:
    assert read(rate).amount_for(4) == 2_000_000


def test_a_trial_takes_about_as_long_as_wished_and_is_never_short() -> None:
    chance = random.Random(1)
    for _ in range(1000):
        found = read(10 ** chance.uniform(1, 8))
        ten = found.amount_for(10) / found.amount_per_second
        assert 0.6 < ten / 10 < 1.7
        assert found.amount_for(4) / found.amount_per_second > SHORT_SECONDS


def test_two_runs_with_usual_noise_mostly_agree() -> None:
    chance = random.Random(2)
    pairs = []
    for _ in range(1000):
        rate = 10 ** chance.uniform(5, 7)
        first, second = (read(rate * (1 + 0.03 * chance.gauss(0, 1))).amount_for(10) for _ in range(2))
        pairs.append(first == second)
    assert sum(pairs) > 900


def test_what_is_given_is_not_found_out() -> None:
    made = planned(read(1e6), samples_per_process=1000)
    assert (made.together.amount_per_process, made.calibration) == (1000, None)
    found = planned(read(1e6))
    assert (found.together.amount_per_process, found.calibration) == (10_000_000, read(1e6))
    with pytest.raises(ValueError, match="neither"):
        planned(None)


def test_one_job_for_all_is_so_much_longer_for_one() -> None:
    runs = {
        divisible: planned(read(1.0), command="./job", divisible=divisible).together.amount_per_process
        for divisible in (False, True)
    }
    assert runs == {False: 10, True: 20}


def test_a_command_that_takes_longer_is_run_once() -> None:
    long = Calibration(readings=(Reading(amount=1, seconds=300.0),))
    assert planned(long, command="./job").together.amount_per_process == 1


def test_the_report_can_make_the_plan_again_and_sees_another_amount() -> None:
    made = planned(read(1e6))
    assert made_again(made) == made
    other = read(2e6)
    assert made_again(made.model_copy(update={"calibration": other})).cells != made.cells


def test_how_long_it_takes_is_known_before_the_first_trial() -> None:
    slow, fast = (planned(read(rate), trial_seconds=10) for rate in (1e5, 1e7))
    assert expected_seconds(slow) == pytest.approx(expected_seconds(fast))
    assert "pi-1 was asked, and did 200,000 samples in 2.00 s" in plan_lines(slow)[-1]


def test_a_probe_is_one_pi_alone_whatever_else_is_wished() -> None:
    settings = Settings(sweep=True, each_pi=True, control_round=True, processes_per_pi="all")
    probe = probe_plan(settings, run_id="x", pi="pi-1", amount=5, cores={"pi-1": 4})
    alone = probe.cell("alone")
    assert (alone.amount_per_process, alone.processes_per_pi) == (5, 4)
