"""trials/*.json: what came of one trial; each file is written once, when the trial has ended."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints

from pi_speedup.clock import boot_id, boot_seconds
from pi_speedup.model.base import Count, EpochNs, Model, Name, RunId, Seconds, SecondsSince, Session, Text
from pi_speedup.model.plan import Slot
from pi_speedup.model.worker import WorkerReport
from pi_speedup.problem import Problem

RUNTIMES = ("kubernetes", "docker", "podman", "process")
# Beyond these nothing is kept: whoever floods a namespace with events shall not fill our disk.
MOST_EVENTS = 200
MOST_OUTAGES = 100
MOST_NEIGHBOURS = 1000


class Milestones(Model):
    """When the control host saw a pod get there, in seconds after the trial's start; None for not seen.

    `pulled` is there only where the image had to be pulled. For a container or process on the Pi that works
    alone: `created` is when its command was sent; `started` and `finished` are the worker's own times, by
    that Pi's clock against its time before the command.
    """

    created: SecondsSince | None = None
    scheduled: SecondsSince | None = None
    pulled: SecondsSince | None = None
    started: SecondsSince | None = None
    finished: SecondsSince | None = None


class Worker(Model):
    """One pod, container or process: where it ran, under which limits, and its own report if it is whole."""

    pi: Name
    name: Name
    runtime: Literal["kubernetes", "docker", "podman", "process"]
    image: Text | None
    # All ids by which the runtime knows the image: NAME@sha256:MANIFEST, sha256:CONFIGURATION.
    image_ids: Annotated[tuple[Text, ...], Field(max_length=100)]
    # None where nothing limits it, as with a process.
    cpu_limit_cores: Annotated[float, Field(gt=0, le=10_000)] | None
    milestones: Milestones
    report: WorkerReport | None


class Event(Model):
    """One of Kubernetes' warnings about the Job or one of its pods; `count` times until `last_seen`."""

    reason: Text
    message: Text
    subject: Text
    first_seen: Text | None
    last_seen: Text | None
    count: Count


class Outage(Model):
    """A time in which something that the trial needs did not answer or refused."""

    what: Text
    began_seconds: SecondsSince
    lasted_seconds: SecondsSince


class OtherRun(Model):
    """Another benchmark of the cluster, for so many seconds of a trial; `pis` of this run it said to use."""

    what: Text
    pis: tuple[Name, ...]
    seconds: SecondsSince


class OtherPods(Model):
    """The pods of others on a Pi before a round: `cores` they request, `runs` of them have our label."""

    pi: Name
    what: Text
    cores: Annotated[float, Field(ge=0, le=1e6)]
    runs: Annotated[int, Field(ge=0, le=1_000_000)]


class Moment(Model):
    """A moment of the control host: the time of day, which may be set, and the time since its start.

    `boot` names that start; it is empty where none can be told.
    """

    epoch_ns: EpochNs
    boot: Text
    boot_seconds: SecondsSince

    @classmethod
    def now(cls) -> Self:
        """Return this moment."""
        return cls(epoch_ns=time.time_ns(), boot=boot_id(), boot_seconds=boot_seconds())

    def seconds_after(self, other: Moment) -> float | None:
        """Return how much later this moment was than `other`; None where no steady clock tells."""
        if not self.boot or self.boot != other.boot:
            return None
        return self.boot_seconds - other.boot_seconds


class MadeJob(Model):
    """The Job of a trial, as the API server knows it: its uid, and when it was made, by that clock."""

    uid: Text
    created: Text | None


class Trial(Model):
    """One trial.

    `wall_seconds`: a Job from before its creation to its seen end, in the control host's boot_seconds; a base
    case the whole command, by that Pi's clock. None where it did not end well.
    `spent_seconds` is what the trial cost the run, preparation and waiting included.
    """

    schema_version: Literal[1] = 1
    run_id: RunId
    plan_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    slot: Slot
    # 1 for the first try, counted over all sessions of the run.
    attempt: Annotated[int, Field(ge=1, le=1_000_000)]
    # A run that is gone on with is in another session: another day, perhaps other Pis' clocks and governors.
    session: Session = 1
    # Among all trials of the run, over all sessions, failed ones too; 0 until the loop has counted it.
    number: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    # What it came after: the SHA-256 of the trial with the number before, of the plan for the first.
    follows_sha256: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    started: Moment
    spent_seconds: SecondsSince
    wall_seconds: Seconds | None
    outcome: Literal["ok", "failed", "interrupted"]
    problem: Problem | None = None
    # Whether the problem may pass by itself, so that a second attempt makes sense.
    passes_by_itself: bool = False
    # None for a base case, and where no Job was made.
    job: MadeJob | None = None
    workers: tuple[Worker, ...] = ()
    events: Annotated[tuple[Event, ...], Field(max_length=MOST_EVENTS)] = ()
    outages: Annotated[tuple[Outage, ...], Field(max_length=MOST_OUTAGES)] = ()
    other_runs: Annotated[tuple[OtherRun, ...], Field(max_length=MOST_NEIGHBOURS)] = ()
    other_pods: Annotated[tuple[OtherPods, ...], Field(max_length=MOST_NEIGHBOURS)] = ()
    # What could not be followed all the time: the nodes' Leases, the events, other runs' claims, pods of
    # others. Their silence says nothing.
    unheard: Annotated[tuple[Literal["claims", "events", "leases", "pods"], ...], Field(max_length=4)] = ()

    @property
    def sha256(self) -> str:
        """SHA-256 of its file as it is written; the next trial holds it."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    @property
    def started_epoch_ns(self) -> int:
        """The control host's time of day at its start."""
        return self.started.epoch_ns

    @property
    def name(self) -> str:
        """Name of its file, without .json."""
        return self.slot.attempt(self.attempt)


@dataclass(frozen=True, slots=True)
class ByHand:
    """A file with which a person starts what a trial started: its name's ending, and what makes its text."""

    ending: Literal[".yaml", ".sh"]
    # Called for the first trial of a cell alone: making it for each would cost time, and give the same.
    text: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a driver hands over when a trial has ended: the trial, and its logs by pod or container.

    `by_hand` is None where nothing was started.
    """

    trial: Trial
    logs: Mapping[str, str | bytes] = field(default_factory=dict)
    by_hand: ByHand | None = None
