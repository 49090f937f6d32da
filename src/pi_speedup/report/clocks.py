"""The Pis' clocks: how far each was off the control host's, and what that does to a makespan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pi_speedup.model.host import Host, HostState
from pi_speedup.model.trial import Trial


@dataclass(frozen=True, slots=True)
class Reading:
    """A clock's offset at a moment of the control host, with its uncertainty; all in nanoseconds."""

    epoch_ns: int
    offset_ns: int
    uncertainty_ns: int


@dataclass(frozen=True, slots=True)
class Span:
    """A worker's start and end by the control host's clock, and how far both may be off; nanoseconds."""

    start_ns: int
    end_ns: int
    uncertainty_ns: int


@dataclass(frozen=True, slots=True)
class Makespan:
    """Last end minus first start, and the least and the most it can have been; nanoseconds."""

    ns: int
    least_ns: int
    most_ns: int


# The time of day and the time since the control host's start are read one after the other, and NTP slews the
# former (500 ppm at most).
_READ_SECONDS = 0.1
_SLEWED_SHARE = 0.001


class Clocks:
    """The offsets of a run's Pis over each session; nothing is corrected unless each Pi's is known in all.

    `host_was_set`: the control host's time of day was set during the run. What is the same error for all Pis
    then spoils no makespan, but no time may be compared with the control host's.
    """

    def __init__(
        self,
        readings: Mapping[int, Mapping[str, Sequence[Reading]]],
        pis: Sequence[str],
        host_was_set: bool = False,
    ) -> None:
        self.host_was_set = host_was_set
        self._readings = {
            (session, pi): tuple(found.get(pi, ())) for session, found in readings.items() for pi in pis
        }
        self.corrected = bool(self._readings) and all(self._readings.values())

    def at(self, pi: str, epoch_ns: int, session: int = 1) -> tuple[int, int]:
        """Return offset and uncertainty, linear between the looks before and after, constant beyond them.

        Assumption: between both looks a clock gains or loses evenly; one that was set is flagged.
        """
        readings = self._readings.get((session, pi), ())
        if not self.corrected or not readings:
            return 0, 0
        first, last = readings[0], readings[-1]
        length = last.epoch_ns - first.epoch_ns
        if length <= 0:
            return last.offset_ns, last.uncertainty_ns
        passed = min(max(epoch_ns - first.epoch_ns, 0), length) / length
        return (
            first.offset_ns + round(passed * (last.offset_ns - first.offset_ns)),
            first.uncertainty_ns + round(passed * (last.uncertainty_ns - first.uncertainty_ns)),
        )

    def span(self, pi: str, start_ns: int, end_ns: int, trial_ns: int, session: int = 1) -> Span:
        """Return a worker's start and end by the control host's clock; trial_ns: when its trial began."""
        offset, uncertainty = self.at(pi, trial_ns, session)
        return Span(start_ns - offset, end_ns - offset, uncertainty)


def clocks_of(hosts: Sequence[Host], pis: Sequence[str], trials: Sequence[Trial]) -> Clocks:
    """Return the clocks as they were read before and after each session that has trials.

    A look that does not tell when it was taken counts as one at the first trial's start or the last's end.
    """
    readings = {}
    for session in {trial.session for trial in trials}:
        of_session = [trial for trial in trials if trial.session == session]
        first = min(trial.started_epoch_ns for trial in of_session)
        last = max(trial.started_epoch_ns + round(trial.spent_seconds * 1e9) for trial in of_session)
        readings[session] = {
            host.name: [
                _reading(state, epoch_ns)
                for state, epoch_ns in ((host.before, first), (host.after, last))
                if state is not None
            ]
            for host in hosts
            if host.session == session
        }
    return Clocks(readings, pis, _was_set(trials))


def _was_set(trials: Sequence[Trial]) -> bool:
    """Say whether the time of day between two trials went by more or less than the time since the start."""
    for earlier, later in pairwise(sorted(trials, key=lambda trial: trial.number)):
        steady = later.started.seconds_after(earlier.started)
        by_day = (later.started_epoch_ns - earlier.started_epoch_ns) / 1e9
        if steady is not None and abs(by_day - steady) > _READ_SECONDS + _SLEWED_SHARE * abs(steady):
            return True
    return False


def makespan(spans: Sequence[Span], wall_seconds: float | None) -> Makespan:
    """Return the makespan of a Job's workers, and between which values their clocks' uncertainty leaves it.

    C_max. Source: Graham et al. 1979, Annals of Discrete Mathematics 5, 287-326. In integers, since epoch
    nanoseconds don't fit a float's 53 bits. It is at least the longest worker's own time, which needs one
    clock only, and at most the Job's wall time, in which all of it happened.
    """
    ns = max(span.end_ns for span in spans) - min(span.start_ns for span in spans)
    longest = max(span.end_ns - span.start_ns for span in spans)
    pairs = _extreme_pairs(spans)
    most = max([longest, *(end - start + both for end, start, both in pairs)])
    least = max([longest, *(end - start - both for end, start, both in pairs)])
    if wall_seconds is not None:
        most = min(most, round(wall_seconds * 1e9))
    return Makespan(ns, min(least, ns), max(most, ns))


def _extreme_pairs(spans: Sequence[Span]) -> list[tuple[int, int, int]]:
    """Return (end, start, uncertainty of both) of the different workers that can bound the makespan."""
    by_end = {
        index
        for sign in (1, -1)
        for index in sorted(
            range(len(spans)), key=lambda i: spans[i].end_ns + sign * spans[i].uncertainty_ns
        )[-2:]
    }
    by_start = {
        index
        for sign in (1, -1)
        for index in sorted(
            range(len(spans)), key=lambda i: spans[i].start_ns + sign * spans[i].uncertainty_ns
        )[:2]
    }
    return [
        (spans[e].end_ns, spans[s].start_ns, spans[e].uncertainty_ns + spans[s].uncertainty_ns)
        for e in by_end
        for s in by_start
        if e != s
    ]


def _reading(state: HostState, epoch_ns: int) -> Reading:
    return Reading(
        state.clock_read_epoch_ns or epoch_ns,
        round(state.clock_offset_seconds * 1e9),
        round(state.clock_uncertainty_seconds * 1e9),
    )
