"""What the parts of one virtual Pi share."""

from dataclasses import dataclass
from pathlib import Path

from .api import Link
from .config import Pi
from .cpu_budget import CpuBudget, TokenBucket
from .events import EventRecorder


@dataclass(frozen=True, slots=True)
class VirtualPi:
    """One Pi at work: its line to the API server, its share of the CPU, its folder for pods.

    ``namespaces``: whether its containers get a file system and PIDs of their own.
    """

    config: Pi
    link: Link
    events: EventRecorder
    budget: CpuBudget
    bucket: TokenBucket
    folder: Path
    namespaces: bool
