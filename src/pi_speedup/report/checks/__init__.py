"""Can the number be believed? Each check looks for one way in which a run misleads."""

from pi_speedup.report import workload
from pi_speedup.report.checks import course, likeness, noise, pis, times, workers
from pi_speedup.report.checks.registry import CHECKS, Entry, run_checks

# Imported for what they add to the list, in this order.
__all__ = [
    "CHECKS",
    "Entry",
    "course",
    "likeness",
    "noise",
    "pis",
    "run_checks",
    "times",
    "workers",
    "workload",
]
