"""What is measured: what a worker is told to do, and what its answer means. A plan has one workload."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from pi_speedup.model.settings import Settings
from pi_speedup.workload.pi import Pi
from pi_speedup.workload.workload import Workload

__all__ = ["Workload", "worker_sha256", "workload_of"]

# By the setting `engine`.
_WORKLOADS: Final[dict[str, Workload]] = {"seed": Pi()}


def worker_sha256(worker: Path) -> str:
    """Return what tells a plan's worker from another version of it."""
    return hashlib.sha256(worker.read_bytes()).hexdigest()


def workload_of(settings: Settings) -> Workload:
    """Return what a run of these settings measures."""
    return _WORKLOADS[settings.engine]
