"""Words that both forms of the report share: what of a Pi was used, figures with their intervals."""

from __future__ import annotations

import unicodedata

from pi_speedup.model.report import Estimate
from pi_speedup.report.evidence import Evidence


def pis_words(count: int, left_out: int = 0) -> str:
    """Return `1 Pi`, `3 Pis`; `2 of 3 Pis` where some were left out."""
    if left_out:
        return f"{count} of {count + left_out} Pis"
    return "1 Pi" if count == 1 else f"{count} Pis"


def used_words(evidence: Evidence) -> str:
    """Return which part of a Pi worked: `one core`, `0.5 of one core`, `all 4 cores`, `2 cores`."""
    processes = evidence.together.processes_per_pi
    limit = evidence.plan.settings.cpu_limit_cores
    share = "" if limit >= 1 else f"{limit:g} of "
    if processes == 1:
        return f"{share}one core"
    cores = _cores(evidence)
    return f"{share}all {processes} cores" if cores == {processes} else f"{share}{processes} cores"


def idle_words(evidence: Evidence) -> str:
    """Return what of the Pis was left idle, in words."""
    processes, cores = evidence.together.processes_per_pi, _cores(evidence)
    if None in cores:
        return "how many cores a Pi has is not known"
    counts = sorted(count for count in cores if count is not None)
    if counts[-1] <= processes:
        return "no core was idle"
    if len(counts) == 1:
        return f"{counts[0] - processes} of {counts[0]} cores of each Pi were idle"
    return f"{max(0, counts[0] - processes)} to {counts[-1] - processes} cores of a Pi were idle"


def estimate_words(estimate: Estimate, digits: int = 2, percent: bool = False) -> str:
    """Return an estimate's interval in words, or what its rounds gave."""

    def shown(value: float) -> str:
        return f"{value:.{max(0, digits - 1)}%}" if percent else f"{value:.{digits}f}"

    if estimate.interval is not None:
        known = estimate.interval
        return f"{known.level:.0%} interval {shown(known.low)} to {shown(known.high)}"
    least, most = shown(estimate.minimum), shown(estimate.maximum)
    return f"rounds gave {least} to {most}" if least != most else f"each round gave {least}"


def seconds_words(seconds: float) -> str:
    """Return seconds with two digits that say something."""
    if abs(seconds) >= 1000:
        return f"{seconds:.0f} s"
    return f"{seconds:.2f} s" if abs(seconds) >= 0.1 else f"{seconds:.2g} s"


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes; a letter of East Asia takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _cores(evidence: Evidence) -> set[int | None]:
    return {evidence.cores(pi) for pi in evidence.plan.pis}
