"""Did the run go as it was planned?"""

from __future__ import annotations

from itertools import pairwise

from pi_speedup.report.checks.registry import Finding, check, flagged, passed
from pi_speedup.report.evidence import Evidence
from pi_speedup.report.summary import ending
from pi_speedup.report.words import pis_words


@check("order_done", "The trials were measured in the planned order")
def order_done(evidence: Evidence) -> Finding:
    """Compare the trials' starts with the order of the plan."""
    done = [trial for trial in evidence.trials if trial.outcome == "ok"]
    wrong = [
        (earlier, later)
        for earlier, later in pairwise(done)
        if later.started_epoch_ns < earlier.started_epoch_ns
    ]
    if wrong:
        return flagged(
            [f"{later.name} began before {earlier.name}" for earlier, later in wrong],
            "A drift of speed then counts for one side, unless the control host's clock was set back.",
            "invalid",
            (later.slot.round for _, later in wrong),
        )
    return passed(f"{len(done)} trials, cells in turn and their order reversed from round to round")


@check("incomplete", "All that was planned was measured", whole_run=True, without_rounds=True)
def incomplete(evidence: Evidence) -> Finding:
    """Say why rounds are missing."""
    end = ending(evidence.plan, evidence.trials)
    if end.kind in ("complete", "target", "budget"):
        return passed(f"{len(evidence.rounds)} of {evidence.plan.rounds} rounds; {end.words}")
    return flagged(
        [f"{len(evidence.rounds)} of {evidence.plan.rounds} rounds; {end.words}"],
        f"What was measured counts; go on with -e benchmark_run_id={evidence.plan.run_id}.",
        "none",
    )


@check("left_out", "Every Pi of the inventory took part", whole_run=True, without_rounds=True)
def left_out(evidence: Evidence) -> Finding:
    """Name the Pis that the plan left out, since benchmark_min_pis others were fit."""
    plan = evidence.plan
    if plan.left_out:
        return flagged(
            [f"{each.pi} was left out ({each.problem.shown.what})" for each in plan.left_out],
            f"{pis_words(evidence.pis, len(plan.left_out))} measured; all figures are of these.",
            "none",
        )
    return passed(f"{pis_words(evidence.pis)}, none was left out")


@check("failed_attempts", "No trial failed", whole_run=True, without_rounds=True)
def failed_attempts(evidence: Evidence) -> Finding:
    """List the trials that failed, whether they were repeated or not."""
    failed = [trial for trial in evidence.trials if trial.outcome == "failed"]
    if failed:
        return flagged(
            [f"{trial.name} failed ({trial.problem.cause})" for trial in failed if trial.problem],
            "A failed trial counts for nothing; the next attempt does.",
            "none",
            (trial.slot.round for trial in failed),
        )
    return passed(f"{len(evidence.trials)} trials")
