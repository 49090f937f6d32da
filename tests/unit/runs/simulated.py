"""Simulated histories of runs whose truth is known, compared by the real code. Seeds are fixed.

The tests take few of each, `make simulations` many (docs/simulations.md).
"""

from __future__ import annotations

import functools
import math
import random
from dataclasses import dataclass

from pi_speedup.model.report import Report
from pi_speedup.report.build import build_report
from pi_speedup.runs.compare import compare
from tests.unit.report import factory

ROUND_NOISE = 0.01


@dataclass(frozen=True)
class Runs:
    """So many runs one after the other, of which the last two are compared.

    Each session as a whole varies by `sd` (logarithms). A fan, on in each second run, gains `gain`, and is in
    the labels where it was written down.
    """

    count: int
    sd: float
    gain: float = 0.0
    labelled: bool = False

    def answer(self, seed: int) -> tuple[str, bool]:
        """Return what compare says of the last two, and whether its interval holds the true change."""
        chance = random.Random(seed)
        found = [self._run(number, chance) for number in range(self.count)]
        answer = compare(found[-2], found[-1], history=found)
        change, truth = answer.together, 100 * self.gain * (1 if self.count % 2 == 0 else -1)
        assert change is not None and change.low is not None and change.high is not None
        return answer.outcome, change.low <= truth <= change.high

    def _run(self, number: int, chance: random.Random) -> Report:
        fan = number % 2 == 1
        level = math.log1p(self.gain if fan else 0.0) + self.sd * chance.gauss(0, 1)
        one, (base, *others) = _one_run(), _one_run().comparisons
        rounds = tuple(
            each.model_copy(
                update={"all_pis_seconds": 10 * math.exp(ROUND_NOISE * chance.gauss(0, 1) - level)}
            )
            for each in base.rounds
        )
        label = {"label": "fan on" if fan else "fan off"} if self.labelled else {}
        return one.model_copy(
            update={
                "run_id": f"run-{number}",
                "made_at": f"2026-11-{1 + number // 24:02d}T{number % 24:02d}:00:00Z",
                "settings": one.settings | label,
                "comparisons": (base.model_copy(update={"rounds": rounds}), *others),
            }
        )


@functools.cache
def _one_run() -> Report:
    return build_report(factory.contents(factory.plan()))
