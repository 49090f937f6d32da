"""Did the run go as it was planned?"""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import pairwise

from pi_speedup import __version__
from pi_speedup.catalogue import Message
from pi_speedup.model.plan import Plan
from pi_speedup.model.report import Effect
from pi_speedup.plan.make import made_again
from pi_speedup.plan.progress import enough
from pi_speedup.report.checks.refusal import half_width_percent
from pi_speedup.report.checks.registry import Finding, check, flagged, passed, unknown
from pi_speedup.report.evidence import Evidence
from pi_speedup.report.summary import ending
from pi_speedup.report.wording import pis_of

# Beyond this share of all trials those that did not count may have been chosen by their values.
_MOST_LOST = 0.1


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


@check("planned", whole_run=True, without_rounds=True)
def planned(evidence: Evidence) -> Finding:
    """Make the plan again, and hold to it which trials there are: none left out, none after the end."""
    plan, trials = evidence.plan, evidence.trials
    if not trials:
        return unknown(Message("check.no_round"))
    again = made_again(plan)
    unlike = [name for name in Plan.model_fields if getattr(plan, name) != getattr(again, name)]
    if unlike and plan.tool_version != __version__:
        return unknown(Message("check.planned.other_version", version=plan.tool_version))
    found = [Message("check.planned.unlike", what=unlike)] if unlike else []
    done = {trial.slot for trial in trials if trial.outcome == "ok"}
    reached = max((place for place, slot in enumerate(plan.slots) if slot in done), default=0)
    if missing := [slot.name for slot in plan.slots[:reached] if slot not in done]:
        found.append(Message("check.planned.missing", trials=missing, later=plan.slots[reached].name))
    for number in range(2, 1 + max((slot.round for slot in done), default=0)):
        before = [trial for trial in trials if trial.slot.round < number]
        if why := enough(plan, before, number - 1, partial(half_width_percent, plan, before)):
            found.append(Message(f"check.planned.after_{why}", round=number))
            break
    if found:
        return flagged(found, Message("check.planned.possible"), "invalid" if unlike else "doubtful")
    rounds = Message("noun.round", count=plan.rounds)
    return passed(Message("check.planned.passed", rounds=rounds, seed=plan.order_seed))


@check("chain", whole_run=True, without_rounds=True)
def chain(evidence: Evidence) -> Finding:
    """Follow the hashes, each of which a trial holds of the one before it."""
    if not evidence.trials:
        return unknown(Message("check.no_round"))
    trials = sorted(evidence.trials, key=lambda trial: trial.number)
    numbers = Counter(trial.number for trial in trials)
    found = [
        Message("check.chain.twice", trials=[each.name for each in trials if each.number == number])
        for number, times in numbers.items()
        if times > 1
    ]
    found += [
        Message("check.chain.changed", trial=earlier.name, later=later.name)
        for earlier, later in pairwise(trials)
        if later.number == earlier.number + 1 and later.follows_sha256 != evidence.contents.sha256_of(earlier)
    ]
    effect: Effect = "invalid" if found else "doubtful"
    last = max(numbers)
    if gone := [str(number) for number in range(1, last) if number not in numbers]:
        found.append(Message("check.chain.gone", count=len(gone), all=last, numbers=gone))
    if found:
        return flagged(found, Message("check.chain.possible"), effect)
    return passed(Message("check.chain.passed", count=last))


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
    """List the trials that failed or were interrupted, whether they were repeated or not.

    A slow trial is one that is likely to run out of time, or to be interrupted: none of them counts.
    """
    lost = [trial for trial in evidence.trials if trial.outcome != "ok"]
    if lost:
        count, all_of_them = len(lost), len(evidence.trials)
        return flagged(
            [
                Message(f"check.failed_attempts.{trial.outcome}", trial=trial.name, why=trial.problem.cause)
                for trial in lost
                if trial.problem
            ],
            Message("check.failed_attempts.possible", count=count, all=all_of_them),
            "doubtful" if count > _MOST_LOST * all_of_them else "none",
            (trial.slot.round for trial in lost),
        )
    return passed(Message("check.failed_attempts.passed", count=len(evidence.trials)))
