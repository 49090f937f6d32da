"""Draw a worker's random points again, here: the same run, trial, worker and process give the same points."""

from __future__ import annotations

import functools
import hashlib
import random
from collections.abc import Callable

from pi_speedup.model.worker import STRETCH_GROUPS


def seed_of(run_id: str, stream: str) -> int:
    """Return the seed of a stream: the first 64 bits of SHA-256 over run and stream, as the worker has it."""
    return int.from_bytes(hashlib.sha256(f"{run_id}/{stream}".encode()).digest()[:8], "big")


# The measuring loop looks at all trials again after each round.
@functools.lru_cache(maxsize=100_000)
def stretch_of(seed: int, group: int) -> tuple[int, ...]:
    """Return how many of the first points of a seed are inside, in groups of `group` points.

    Python draws the same numbers from a seed in every release since 3.2 and on every machine (documentation
    of `random`, "Notes on Reproducibility"). Assumption: x**2 + y**2 is rounded alike on both machines, or no
    point lies within 1e-15 of the circle, of which there is one in 1e15.
    """
    draw = random.Random(seed).random
    return tuple(_count_inside(draw, group) for _ in range(STRETCH_GROUPS))


@functools.lru_cache(maxsize=100)
def whole_of(seed: int, samples: int) -> int:
    """Return how many of all points of a seed are inside; a second for ten million."""
    return _count_inside(random.Random(seed).random, samples)


def _count_inside(draw: Callable[[], float], samples: int) -> int:
    inside = 0
    for _ in range(samples):
        x, y = draw(), draw()
        if x**2 + y**2 <= 1:
            inside += 1
    return inside
