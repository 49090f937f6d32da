"""Find how much a trial should do: ask the Pi that works alone, in the container that is measured later."""

from __future__ import annotations

import math
from collections.abc import Callable

from pi_speedup.model.calibration import Calibration, Reading
from pi_speedup.model.trial import Measured
from pi_speedup.problem import ProblemError

# In shorter ones the slices of a CPU limit, 0.1 s, show, and that a machine is not as fast at all times.
_LEAST_SECONDS = 2.0
# What is so short that it tells no rate is not extrapolated from by more.
_MOST_GROWTH = 1000
_MOST_READINGS = 20


def calibrate(
    first: int, measure_one: Callable[[int], Measured], keep: Callable[[Measured], None]
) -> Calibration:
    """Return what was read, from an amount of `first` on, more until it takes two seconds.

    measure_one: measures a process that does so much. keep: gets what was measured, failed or not.
    ProblemError where a trial fails.
    """
    amount, readings = first, list[Reading]()
    while True:
        done = measure_one(amount)
        keep(done)
        if done.trial.problem is not None:
            raise ProblemError(done.trial.problem)
        seconds = max(worker.report.seconds for worker in done.trial.workers if worker.report is not None)
        readings.append(Reading(amount=amount, seconds=seconds))
        if seconds >= _LEAST_SECONDS or len(readings) == _MOST_READINGS:
            return Calibration(readings=tuple(readings))
        # A little more than would do, for the next one to be the last.
        amount = math.ceil(amount * min(_MOST_GROWTH, 1.2 * _LEAST_SECONDS / seconds))
