"""How a run that was stopped goes on: the user's command once more, and the line that says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pi_speedup.measure.loop import Ended
from pi_speedup.model.plan import Plan
from pi_speedup.model.settings import PREFIX, Settings, is_local
from pi_speedup.model.trial import Trial
from pi_speedup.plan.progress import complete_rounds
from pi_speedup.start import command

# How many next steps end, for which the whole command is better.
AGAIN = "run again"


def command_to_go_on(argv: Sequence[str], run_id: str, **how: Any) -> str:
    """Return the command line that goes on with the run; argv and `how` as `command` takes them."""
    option = f"{PREFIX}run_id={run_id}"
    # The last one counts.
    return command(argv, [] if option in argv[1:] else ["-e", option], **how)


def what_to_say(plan: Plan, trials: Sequence[Trial], ended: Ended, command: str) -> str:
    """Return the line with which a run fails: what stopped it, and how it goes on; empty if nothing did.

    command: goes on with the run. It is left out where a setting is to be changed, for which a run must begin
    anew.
    """
    if ended.problem is None:
        return ""
    if ended.why == "interrupted":
        done = f"{len(complete_rounds(plan, trials))} of {plan.rounds} rounds"
        return str(
            ended.problem.model_copy(
                update={"what": f"{ended.problem.what} after {done}", "next_step": command}
            )
        )
    step = ended.problem.next_step
    if any(f"{PREFIX}{name}" in step for name in Settings.model_fields if not is_local(name)):
        return str(ended.problem)
    if AGAIN in step:
        step = step.replace(AGAIN, command, 1)
    else:
        step = f"{step}; then {command}" if step else command
    return str(ended.problem.model_copy(update={"next_step": step}))
