"""What is measured: what a worker is told to do, and what its answer means. A plan has one workload."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from pi_speedup.model.run import Run
from pi_speedup.model.settings import Settings
from pi_speedup.workload.command import Command, read_program
from pi_speedup.workload.pi import Pi
from pi_speedup.workload.workload import Assignment, Workload

__all__ = ["Assignment", "Workload", "program_of", "sha256_of", "workload_of"]

_PI: Final = Pi()
_COMMAND: Final = Command()


def sha256_of(program: Path) -> str:
    """Return what tells a program from another version of it."""
    return hashlib.sha256(program.read_bytes()).hexdigest()


def workload_of(settings: Settings) -> Workload:
    """Return what a run of these settings measures."""
    return _COMMAND if settings.command else _PI


def program_of(run: Run) -> str:
    """Return what the workers of a run execute; ProblemError for a program of the user's that is gone."""
    own = read_program(Path(run.program)) if run.program else ""
    return workload_of(run.settings).text(Path(run.worker).read_text("utf-8"), own)
