"""hosts/<pi>.before.json and .after.json: what a Pi said of itself over SSH before and after a session."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from pi_speedup.model.base import EpochNs, Model, Name, Session, Text
from pi_speedup.problem import Problem

BEFORE: Final = "before"
AFTER: Final = "after"
When = Literal["before", "after"]
# What the firmware's get_throttled says is so now, by bit; 16 bits higher it says so since the Pi started.
_THROTTLING = {0: "under_voltage", 1: "capped", 2: "throttled", 3: "soft_limit"}
_SINCE_START = 16
_MOST_DIGITS = 7
Bytes = Annotated[int, Field(ge=0, le=2**63 - 1)]


class HostState(Model):
    """One look at one Pi; None for what it did not tell.

    `throttled` holds the firmware's bits as they are. `clock_offset_seconds` is the Pi's time of day minus
    the control host's; the true one lies within `clock_uncertainty_seconds` of it. It was read at
    `clock_read_epoch_ns` of the control host. `governors` are the different ones of all cores.
    """

    model: Text | None
    os_name: Text | None
    kernel: Text | None
    machine: Text | None
    userland_bits: Literal[32, 64] | None
    cores: Annotated[int, Field(ge=1, le=4096)] | None
    memory_bytes: Bytes | None
    memory_cgroup: bool | None
    temperature_celsius: Annotated[float, Field(ge=-273.15, le=1000)] | None
    throttled: Annotated[int, Field(ge=0, le=2**32)] | None
    governors: Annotated[tuple[Text, ...], Field(max_length=1024)]
    load_1_minute: Annotated[float, Field(ge=0, le=1e9)] | None
    # A clock that was never set stands at 1970: that does not make the file wrong.
    clock_offset_seconds: Annotated[float, Field(ge=-1e11, le=1e11)]
    clock_uncertainty_seconds: Annotated[float, Field(ge=0, le=1e11)]
    clock_read_epoch_ns: EpochNs | None = None
    runtime_version: Text | None

    @property
    def slowed_now(self) -> tuple[str, ...]:
        """What slows the Pi down now, by the catalogue's names; () also where it does not tell."""
        return _named(self.throttled or 0)

    def slowed_since(self, before: int = 0) -> tuple[str, ...]:
        """Return what slowed it down since it started, without what an earlier look's bits had."""
        return _named(((self.throttled or 0) & ~before) >> _SINCE_START)


class HostLook(Model):
    """The file: which Pi, when, in which session, and what it said; None if it could not be looked at.

    `problems` are what it lacks for a run. They are kept only where a run may go on without this Pi.
    """

    schema_version: Literal[1] = 1
    pi: Name
    when: When
    session: Session = 1
    state: HostState | None
    problems: tuple[Problem, ...] = ()

    @property
    def file(self) -> str:
        """Its name in a run's folder."""
        return look_file(self.pi, self.when, self.session)


class Host(Model):
    """One Pi in one session of the run; None for a look that was not taken or failed."""

    name: Name
    session: Session = 1
    before: HostState | None
    after: HostState | None


def look_file(pi: str, when: When, session: int) -> str:
    """Return the name of a look's file: only a run that was gone on with has more than one session."""
    return f"hosts/{pi}.{when}.json" if session == 1 else f"hosts/{pi}.{when}.{session}.json"


def session_of(file: str) -> int:
    """Return the session of a look by its file's name."""
    number = file.removesuffix(".json").rpartition(".")[2]
    return int(number) if number.isdecimal() and len(number) < _MOST_DIGITS else 1


def _named(bits: int) -> tuple[str, ...]:
    return tuple(name for bit, name in _THROTTLING.items() if bits >> bit & 1)
