"""The time since this machine's start, which nobody sets and which goes on while it is suspended."""

from __future__ import annotations

import time
from pathlib import Path

# Elsewhere than on Linux, this one goes on as well.
_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_seconds() -> float:
    """Return the seconds since this machine was started."""
    return time.clock_gettime(_CLOCK)


def suspended_seconds() -> float:
    """Return for how long this machine has been suspended since its start."""
    return boot_seconds() - time.monotonic()


def boot_id() -> str:
    """Return a name for the machine's present boot that no other boot has; empty where none can be told."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
