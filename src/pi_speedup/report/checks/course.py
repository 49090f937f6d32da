"""Did the run go as it was planned?"""

from __future__ import annotations

from itertools import pairwise

from pi_speedup.catalogue import Message
from pi_speedup.report.checks.registry import Finding, check, flagged, passed
from pi_speedup.report.evidence import Evidence
from pi_speedup.report.summary import ending
from pi_speedup.report.wording import pis_of


@check("order_done")
def order_done(evidence: Evidence) -> Finding:
    """Compare the trials' numbers with the order of the plan; no clock is asked, since one may be set."""
    done = [trial for trial in evidence.trials if trial.outcome == "ok"]
    wrong = [(earlier, later) for earlier, later in pairwise(done) if later.number <= earlier.number]
    if wrong:
        return flagged(
            [
                Message(
                    f"check.order_done.{'before' if later.number < earlier.number else 'beside'}",
                    later=later.name,
                    earlier=earlier.name,
                )
                for earlier, later in wrong
            ],
            Message("check.order_done.possible"),
            "invalid",
            (later.slot.round for _, later in wrong),
        )
    return passed(Message("check.order_done.passed", count=len(done)))


@check("incomplete", whole_run=True, without_rounds=True)
def incomplete(evidence: Evidence) -> Finding:
    """Say why rounds are missing."""
    end = ending(evidence.plan, evidence.trials)
    found = Message(
        "check.incomplete.rounds",
        done=len(evidence.rounds),
        planned=evidence.plan.rounds,
        ending=end.words,
    )
    if end.kind in ("complete", "target", "budget"):
        return passed(found)
    return flagged([found], Message("check.incomplete.possible", run=evidence.plan.run_id), "none")


@check("left_out", whole_run=True, without_rounds=True)
def left_out(evidence: Evidence) -> Finding:
    """Name the Pis that the plan left out, since benchmark_min_pis others were fit."""
    plan = evidence.plan
    if plan.left_out:
        return flagged(
            [
                Message("check.left_out.why", pi=each.pi, why=each.problem.shown.what)
                for each in plan.left_out
            ],
            Message("check.left_out.possible", pis=pis_of(evidence.pis, len(plan.left_out))),
            "none",
        )
    return passed(Message("check.left_out.passed", pis=pis_of(evidence.pis)))


@check("failed_attempts", whole_run=True, without_rounds=True)
def failed_attempts(evidence: Evidence) -> Finding:
    """List the trials that failed, whether they were repeated or not."""
    failed = [trial for trial in evidence.trials if trial.outcome == "failed"]
    if failed:
        return flagged(
            [
                Message("check.failed_attempts.failed", trial=trial.name, why=trial.problem.cause)
                for trial in failed
                if trial.problem
            ],
            Message("check.failed_attempts.possible"),
            "none",
            (trial.slot.round for trial in failed),
        )
    return passed(Message("check.failed_attempts.passed", count=len(evidence.trials)))
