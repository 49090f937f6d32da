"""What `compare --json` and `history --json` print."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pi_speedup.model.base import Model, Name, RunId, Text
from pi_speedup.model.report import Interval, Said, VerdictStatus

Outcome = Literal["equal", "faster", "slower", "no_evidence", "not_comparable"]
DifferenceName = Literal[
    "workload", "command", "amount", "pis", "processes", "image", "python", "limits", "verdict"
]  # fmt: skip


class Change(Model):
    """By how many percent run B did more a second than run A, and the ends of the interval.

    Negative where B was slower. The ends are None where a run has fewer rounds than an interval needs.
    """

    percent: float
    low: float | None
    high: float | None


class Margin(Model):
    """A change within +-percent is no difference; `given` on the command line, or the default."""

    percent: float
    given: bool


class Sessions(Model):
    """How far equal runs, of which the history holds `runs`, scatter by themselves: hour, room, other pods.

    A standard deviation, which is in the interval of a change; None where too few tell, and it is not.
    """

    runs: int
    sd_percent: float | None


class RunTimes(Model):
    """One side: a run's times in seconds, geometric means over its complete rounds, None without a round.

    `because` lists the checks that led to the verdict, `reasons` what each found with what helps.
    """

    run_id: RunId
    made_at: Text
    pis: tuple[Name, ...]
    base_pi: Name
    rounds: int
    together_seconds: float | None
    together_amount_per_second: float | None
    alone_seconds: float | None
    # The file that says all of this, where it is no run's folder.
    told_by: Text | None
    verdict: VerdictStatus
    because: tuple[Text, ...]
    reasons: tuple[Said, ...]
    caveat: Text | None


class Unlike(Model):
    """Something in which the runs differ so that their times say nothing; `despite`: it was let pass."""

    name: DifferenceName
    words: Said
    despite: bool


class Compared(Model):
    """Run B against run A. `together` decides; `alone`, one Pi without a Job, is information only.

    `also_differs` lists what is not the same, as far as both runs know it: what the change may come from.
    """

    schema_version: Literal[1] = 1
    outcome: Outcome
    words: Said
    a: RunTimes
    b: RunTimes
    together: Change | None
    alone: Change | None
    margin: Margin
    sessions: Sessions
    unlike: tuple[Unlike, ...]
    also_differs: tuple[Said, ...]


class Past(Model):
    """One run of the history. `seconds`: of all Pis together; None, as the speedup, without a round.

    `pis`: how many measured; `left_out`: how many of the inventory did not.

    `reasons`: what was found by the checks that led to the verdict.
    `problem`: why its files cannot be read, then everything else is unknown.
    """

    run_id: Annotated[str, Field(max_length=255)]
    made_at: Text | None
    pis: int | None
    left_out: int | None
    rounds_complete: int | None
    rounds_planned: int | None
    speedup: float | None
    interval: Interval | None
    seconds: float | None
    verdict: VerdictStatus | None
    reasons: tuple[Said, ...]
    ending: Said | None
    caveat: Text | None
    problem: Said | None


class History(Model):
    """All runs of a folder, the oldest first."""

    schema_version: Literal[1] = 1
    runs: tuple[Past, ...]
