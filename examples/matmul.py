#!/usr/bin/env python3
"""Multiply matrices with NumPy, and print a checksum of the products."""

from __future__ import annotations

import os

import numpy as np

SIZE = int(os.environ.get("SIZE", "1500"))
TIMES = int(os.environ.get("TIMES", "6"))

# Small whole numbers: all sums are exact, so they are the same on any machine, with any number of threads.
rows, columns = np.indices((SIZE, SIZE))
left = ((7 * rows + 3 * columns) % 11).astype(np.float64)
total = 0
for number in range(TIMES):
    right = ((5 * rows + 2 * columns + number) % 13).astype(np.float64)
    total += int((left @ right).trace())
print(f"{TIMES} products of {SIZE} x {SIZE}, sum of their traces: {total}")
