"""What a report says of one workload alone: a room for each that has more to say than its times."""

from __future__ import annotations

from typing import Final

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.report import Report
from pi_speedup.report.workload import command, pi
from pi_speedup.report.workload.own import Own, Section

__all__ = ["OWN", "Own", "Section", "own_section", "program"]

# By the workload's name.
OWN: Final[dict[str, Own]] = {"pi": pi.OwnPi(), "command": command.OwnCommand()}


def program(report: Report, words: Catalogue) -> str:
    """Return which program was measured."""
    own = OWN.get(report.workload)
    return own.program(report, words) if own else report.workload


def own_section(report: Report, words: Catalogue) -> Section | None:
    """Return the section of a report that only its workload can write; None where there is nothing to say."""
    own = OWN.get(report.workload)
    return own.section(report.result, words) if own and report.result is not None else None
