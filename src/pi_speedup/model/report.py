"""report.json: what the trials of a run say, and how far it can be believed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, ValidatorFunctionWrapHandler, WrapValidator

from pi_speedup.catalogue import Message, Unit
from pi_speedup.model.base import Model, Name, RunId, Text
from pi_speedup.model.host import Host
from pi_speedup.model.node import Node
from pi_speedup.model.plan import LeftOut
from pi_speedup.problem import Problem

Status = Literal["pass", "flag", "unknown"]
ControlName = Literal["base_after_to_before", "long_to_short_base", "lower_limit"]
VerdictStatus = Literal["sound", "doubtful", "invalid", "none"]
Effect = Literal["none", "doubtful", "invalid"]
# Seconds of which the logarithm is taken. Corrected clocks may make more of them than a worker measured.
_Positive = Annotated[float, Field(ge=1e-9, le=1e12)]


def _kept(value: object, handler: ValidatorFunctionWrapHandler) -> str:
    # pydantic would make a bare text of it.
    found: str = value if isinstance(value, Message) else handler(value)
    return found


# English in report.json; until it is read back from there, it can be said in another language.
Said = Annotated[Text, WrapValidator(_kept)]


class Tool(Model):
    """Who computed the report."""

    name: Text
    version: Text


class Ending(Model):
    """Why no further trial was measured; `words` is part of a sentence: `all rounds were measured`."""

    kind: Literal["complete", "target", "budget", "failed", "interrupted", "broken_off", "nothing"]
    words: Said
    problem: Problem | None


class Progress(Model):
    """How far the run came. Counted are the complete rounds; the warm-up is not among them."""

    rounds_planned: int
    rounds_complete: int
    trials_planned: int
    trials_ok: int
    trials_failed: int
    trials_interrupted: int
    spent_seconds: float
    ending: Ending


class Interval(Model):
    """Both ends, and the level at which it covers the estimand.

    `quantile` is the one that was used: above `level` where the run stopped as soon as the interval was
    narrow enough, for looking several times would cover less often. `statistical_low` and `statistical_high`
    are the ends before the uncertainty of the Pis' clocks was added.
    """

    low: float
    high: float
    level: float
    quantile: float
    statistical_low: float
    statistical_high: float


class Estimate(Model):
    """A figure over all complete rounds: the smallest and the largest round, an interval or none."""

    value: float
    minimum: float
    maximum: float
    interval: Interval | None


class Spread(Model):
    """Some times in seconds; `sd_percent` is the standard deviation of their logarithms, None for one."""

    count: int
    geometric_mean: float
    minimum: float
    maximum: float
    sd_percent: float | None


class Side(Model):
    """One side of a comparison: the cell, where it ran, the amount of one trial, seconds, amount a second."""

    cell: Name
    pis: tuple[Name, ...]
    runtime: Text
    amount: Annotated[int, Field(ge=1, le=10**30)]
    seconds: Spread
    amount_per_second: float


class RoundFigure(Model):
    """One round of a comparison: both times in seconds, and its speedup, or its efficiency where none is."""

    round: int
    one_pi_seconds: _Positive
    all_pis_seconds: _Positive
    value: float


class Comparison(Model):
    """One Pi against all of them.

    compute: Gustafson's scaled speedup, what one Pi would need for the work of all / what all need.
    end_to_end: the wall times of the same work on both sides (Amdahl's fixed work).
    end_to_end_share: the wall time of one Pi's share against the Job's; an efficiency, not a speedup.
    `noise_floor` is the Karp-Flatt figure that this run's noise alone would give. `no_interval` says why
    there is none. `half_width_percent` is half the interval in percent of the figure, `clock_percent` the
    part of it that comes from the Pis' clocks; None where their offsets are not known.
    """

    name: Literal["compute", "end_to_end", "end_to_end_share"]
    definition: Said
    one_pi: Side
    all_pis: Side
    speedup: Estimate | None
    efficiency: Estimate
    karp_flatt: Estimate | None
    noise_floor: float | None
    rounds: Annotated[tuple[RoundFigure, ...], Field(min_length=1)]
    no_interval: Said | None
    half_width_percent: float | None
    clock_percent: float | None


class Factors(Model):
    """What efficiency multiplies out to: alone_against_together * balance * starting_together.

    T1 / mean pod, mean pod / longest pod, longest pod / makespan.
    """

    alone_against_together: float
    balance: float
    starting_together: float
    efficiency: float


class RoundFactors(Model):
    """The factors of one round."""

    round: int
    factors: Factors


class WallSteps(Model):
    """Seconds of the Job's wall time, in the mean over the rounds; they add up to `wall`.

    schedule, pull and start lead to the first worker's start, compute is the makespan, collect the rest until
    the Job's end was seen. None for a step that the cluster did not tell; the next one then contains it.
    """

    schedule: float | None
    pull: float | None
    start: float
    compute: float
    collect: float
    wall: float


class Ledger(Model):
    """Where the efficiency went: in the (geometric) mean, per round, and up to the Job's wall time."""

    mean: Factors
    rounds: tuple[RoundFactors, ...]
    wall: WallSteps | None


class Bracket(Model):
    """Bounds of the compute speedup that need no common clock: N T1 / wall <= S <= N T1 / longest pod."""

    low: float
    high: float


class Point(Model):
    """A number of Pis in a sweep. `noise_floor` is the Karp-Flatt figure that noise alone would give."""

    pis: int
    speedup: Estimate
    efficiency: Estimate
    karp_flatt: Estimate | None
    noise_floor: float | None


class Fit(Model):
    """Amdahl's serial share from all points, with its interval: the share that did not get faster at this n.

    It holds within the sweep and up to `valid_to_pis` at most.
    """

    share: float
    low: float
    high: float
    noise_floor: float
    valid_to_pis: int


class Sweep(Model):
    """Speedup over the number of Pis; `no_fit` says why there is no fit."""

    points: tuple[Point, ...]
    fit: Fit | None
    no_fit: Said | None


class PiFigures(Model):
    """One Pi among the others: its pod's times together, amount a second, and how long it took of the mean.

    `cores` is None where nobody told, `alone_amount_per_second` where it was not measured by itself.
    """

    name: Name
    server: bool
    base: bool
    cores: int | None
    seconds: Spread
    amount_per_second: float
    relative: float
    alone_amount_per_second: float | None


class Capacity(Model):
    """What the Pis can give: the sum of their rates by themselves, and what all together gave of it.

    Amounts a second, in the geometric mean of `rounds`; the efficiency does not depend on the base Pi.
    """

    amount_per_second: float
    together_amount_per_second: float
    efficiency: Estimate
    rounds: tuple[int, ...]


class Straggler(Model):
    """The slowest Pi; the speedup with shares by speed, None where chance may have made it the slowest."""

    pi: Name
    slower_percent: float
    speedup_if_balanced: float | None


class Control(Model):
    """A ratio that must be 1, with its interval of 95 %; None where the run gives none."""

    name: ControlName
    title: Said
    ratio: float
    low: float | None
    high: float | None


class TrialRow(Model):
    """A trial on disk. `counted`: in a complete round; `seconds`: a Job's makespan, or one Pi's own time."""

    name: Text
    round: int
    cell: Name
    attempt: int
    outcome: Literal["ok", "failed", "interrupted"]
    counted: bool
    started_epoch_ns: int
    seconds: float | None
    wall_seconds: float | None
    spent_seconds: float
    problem: Problem | None


class Software(Model):
    """The different images, Pythons and machine types of all workers."""

    images: tuple[Text, ...]
    pythons: tuple[Text, ...]
    machines: tuple[Text, ...]


class Pods(Model):
    """What the pods of all Pis together were: whether two runs measured the same is told by it.

    `image_ids` holds every digest by which a runtime knew the image: `manifest sha256:...` or `configuration
    sha256:...`; empty where none was told. `cpu_limits_cores` is None for a pod that nothing limits.
    """

    processes_per_pi: int
    images: tuple[Text, ...]
    image_ids: tuple[Text, ...]
    pythons: tuple[Text, ...]
    machines: tuple[Text, ...]
    cpu_limits_cores: tuple[float | None, ...]


class Check(Model):
    """One check. `title` is what it looks for: "No sign of {title}".

    Of a flag, `found` is what was found, `meaning` what that may come from or do and what helps, `effect`
    what it does to the verdict, `rounds` where it was found.
    `could_have_seen_percent`: what it looks for is seen in 19 of 20 runs from this size on, at this run's own
    noise. None where that has no meaning.
    """

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    title: Said
    status: Status
    found: Said
    meaning: Said | None = None
    effect: Effect
    could_have_seen_percent: float | None
    rounds: tuple[int, ...]


class Verdict(Model):
    """`none` where there is no figure; `because` lists the checks that led to it.

    `blind` are checks that passed, but would have missed what moves the speedup by more than its budget.
    """

    status: VerdictStatus
    words: Said
    because: tuple[Text, ...]
    checks: int
    looked_at: int
    not_looked_at: tuple[Text, ...]
    blind: tuple[Text, ...]


class Budget(Model):
    """What leaves the speedup uncertain, in percent of it to one side; None for what is not known.

    `rounds` and `clocks` are the interval's: here and now. `base_pi`: by so much it would be another at most,
    were another Pi the one that works alone. `limit`: by so much the control at a lower CPU limit is off.
    Another session or day is in none of them: only several runs tell (compare).
    """

    rounds: float | None
    clocks: float | None
    base_pi: float | None
    limit: float | None


class SessionRow(Model):
    """A session: going on with a run begins another. How many trials it has, failed ones too."""

    number: int
    began_epoch_ns: int
    trials: int


class Report(Model):
    """The report; a function of the run's files alone. `comparisons` is empty where no round is complete.

    `used` says which part of a Pi worked, such as `one core of pi-1`, `idle` what did not. `left_out` are the
    inventory's Pis that took no part, each with why; all figures are of `pis`. `result` is what the work of
    all pods came to, which only the workload knows; None where no round is complete.
    """

    schema_version: Literal[1] = 1
    tool: Tool
    run_id: RunId
    made_at: Text
    plan_sha256: Text
    # Of the trial that was measured last: it holds that of the one before it, and so on to the plan.
    last_trial_sha256: str | None
    worker_sha256: Text
    program_sha256: Text | None
    order_seed: int
    workload: Name
    unit: Unit
    amount_per_process: int
    settings: dict[str, JsonValue]
    caveat: Text | None
    pis: tuple[Name, ...]
    base_pi: Name
    left_out: tuple[LeftOut, ...] = ()
    used: Said
    idle: Said
    headline: Said
    progress: Progress
    verdict: Verdict
    comparisons: tuple[Comparison, ...]
    bracket: Bracket | None
    ledger: Ledger | None
    sweep: Sweep | None
    pi_figures: tuple[PiFigures, ...]
    straggler: Straggler | None
    capacity: Capacity | None
    controls: tuple[Control, ...]
    result: dict[str, JsonValue] | None
    software: Software
    pods: Pods | None
    clocks_corrected: bool
    checks: tuple[Check, ...]
    budget: Budget | None
    sessions: tuple[SessionRow, ...]
    trials: tuple[TrialRow, ...]
    nodes: tuple[Node, ...]
    not_in_inventory: tuple[Text, ...]
    hosts: tuple[Host, ...]
