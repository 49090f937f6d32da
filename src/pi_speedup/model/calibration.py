"""calibration.json: how fast the Pi that works alone was, by which the plan decides how much a trial does."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from pi_speedup.model.base import Count, Model, Seconds

# Of a decade. With these, and noise of 3 %, five of a hundred pairs of runs come to different amounts; with a
# finer series twice as many.
_STEPS = (1, 2, 5)
_MOST = 10**13
# In a shorter trial starting weighs in: measured, runs of 1 s show a fifth less speedup than runs of 10 s.
# Runs of 3 s come close.
SHORT_SECONDS = 3.0
_MARGIN = 1.2


class Reading(Model):
    """One trial before the plan: each process did so much in so many seconds."""

    amount: Annotated[Count, Field(ge=1)]
    seconds: Seconds


class Calibration(Model):
    """The readings in the order in which they were taken; the last one, the longest, counts."""

    readings: Annotated[tuple[Reading, ...], Field(min_length=1, max_length=100)]

    @property
    def amount_per_second(self) -> float:
        """How much a process did a second."""
        return self.readings[-1].amount / self.readings[-1].seconds

    def amount_for(self, seconds: float, parts: int = 1) -> int:
        """Return the amount that comes nearest to so many seconds, on a logarithmic scale: 1, 2, 5, 10, ...

        That is at most 1.6 times as long or as short, but for a single run that takes longer. It is the next
        one where it would be a short trial, and none was asked for. parts: into which others will divide it.
        """
        of_one_second = self.amount_per_second * parts
        wanted = max(1.0, min(of_one_second * seconds, _MOST))
        least = of_one_second * _MARGIN * SHORT_SECONDS if seconds >= SHORT_SECONDS else 0.0
        decade = int(10 ** math.floor(math.log10(wanted)))
        steps = (step * tens for tens in (decade, 10 * decade) for step in _STEPS)
        return min(
            (amount for amount in steps if amount >= min(least, wanted)),
            key=lambda amount: abs(math.log(amount / wanted)),
        )
