#!/usr/bin/env python3
"""The tutorial's estimate of π from ten million points: all of it, or one of PI_SPEEDUP_COUNT parts."""

from __future__ import annotations

import os
import random
import time

SAMPLES = int(os.environ.get("SAMPLES", "10_000_000"))
INDEX, COUNT = int(os.environ["PI_SPEEDUP_INDEX"]), int(os.environ["PI_SPEEDUP_COUNT"])
# The points come in blocks, each with a seed of its own: whoever draws a block draws the same points.
BLOCKS = 100


def points_inside(samples: int) -> int:
    """Draw so many points of the square, and count those in the circle."""
    inside = 0
    for _ in range(samples):
        x, y = random.random(), random.random()
        # The tutorial's loop for one machine has x2 + y2 here, which are not defined.
        if x**2 + y**2 <= 1:
            inside += 1
    return inside


begin = time.time()
drawn = inside = 0
for block in range(INDEX, BLOCKS, COUNT):
    random.seed(block)
    samples = SAMPLES * (block + 1) // BLOCKS - SAMPLES * block // BLOCKS
    inside += points_inside(samples)
    drawn += samples
duration = time.time() - begin
print(f"Estimated Pi: {4 * inside / drawn} from {inside} of {drawn} points, Time: {duration:.2f} seconds")
