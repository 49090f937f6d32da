"""A report that somebody sent, of which there are no trials: whether it fits itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pi_speedup.model.report import Comparison, Report
from pi_speedup.report.build import verdict_of
from pi_speedup.report.formulas import geometric_mean

# What is added up in another order may differ in the last digits.
_TOLERANCE = 1e-9


def misfit(report: Report) -> str | None:
    """Return what of a report contradicts the rest of it; None if its figures are those of its rounds.

    Who edits one number of a report is found out, who makes all of them up is not.
    """
    for each in report.comparisons:
        try:
            if not _fits(each):
                return f"its {each.name} figures are not those of its rounds"
        except (ValueError, ArithmeticError):
            return f"its {each.name} figures are none"
    status, because = verdict_of(report.checks, some=bool(report.comparisons))
    if (report.verdict.status, report.verdict.because) != (status, because):
        return "its verdict is not that of its checks"
    return None


def _fits(found: Comparison) -> bool:
    times = found.all_pis.amount / found.one_pi.amount if found.name == "compute" else 1
    one = [times * each.one_pi_seconds for each in found.rounds]
    together = [each.all_pis_seconds for each in found.rounds]
    values = [above / below for above, below in zip(one, together, strict=True)]
    estimate = found.speedup or found.efficiency
    pairs = [
        *zip(values, (each.value for each in found.rounds), strict=True),
        (geometric_mean(one), times * found.one_pi.seconds.geometric_mean),
        (geometric_mean(together), found.all_pis.seconds.geometric_mean),
        (geometric_mean(values), estimate.value),
        (min(values), estimate.minimum),
        (max(values), estimate.maximum),
    ]
    if estimate.interval is not None:
        pairs += zip(
            _interval(one, together, estimate.interval.quantile),
            (estimate.interval.statistical_low, estimate.interval.statistical_high),
            strict=True,
        )
    return all(math.isclose(here, told, rel_tol=_TOLERANCE) for here, told in pairs)


def _interval(above: Sequence[float], below: Sequence[float], quantile: float) -> tuple[float, float]:
    # scipy takes a second to import: only where it is needed.
    from pi_speedup.report.statistics import paired_ratio

    return paired_ratio(above, below, quantile)
