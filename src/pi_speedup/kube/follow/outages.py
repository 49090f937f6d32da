"""What did not answer during a trial, since when and for how long; told when it begins and when it is over"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pi_speedup.clock import boot_seconds
from pi_speedup.model.trial import MOST_OUTAGES, Outage
from pi_speedup.text import one_line

# A connection that breaks and is back at once is kept, but not told.
TELL_AFTER_SECONDS = 1.0


@dataclass(eq=False)
class _Going:
    who: str
    what: str
    began: float
    sources: set[str] = field(default_factory=set)
    told: bool = False


class Outages:
    """The outages of one trial. Times are boot_seconds."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._going: dict[str, _Going] = {}
        self._over: list[tuple[str, float, float]] = []

    def began(self, who: str, what: str, at: float, source: str = "") -> None:
        """Note that `who` fails since `at` as seen by `source`; the first to tell counts."""
        going = self._going.setdefault(who, _Going(who, what, at))
        going.sources.add(source)

    def ended(self, who: str, at: float, source: str | None = "") -> None:
        """Note that `source` has nothing to complain of any more; the outage is over with its last source.

        None: none of them has.
        """
        going = self._going.get(who)
        if going is None:
            return
        going.sources.discard(source or "")
        if going.sources and source is not None:
            return
        del self._going[who]
        self._over.append((_kept(going), going.began, at))
        lasted = at - going.began
        if going.told:
            self._tell(f"{going.who} answers again after {lasted:.0f} s")
        elif lasted >= TELL_AFTER_SECONDS:
            self._tell(f"{going.who} {going.what}, and answers again after {lasted:.0f} s")

    def say(self, line: str) -> None:
        """Show a line about what is waited for and is no outage."""
        self._tell(line)

    def is_going_on(self, who: str) -> bool:
        """Whether `who` fails now."""
        return who in self._going

    def last_end(self, who: str) -> float:
        """Return when the last outage of `who` was over, 0 if there was none."""
        return max((end for what, _, end in self._over if what.startswith(who)), default=0.0)

    def tell_new(self, now: float) -> None:
        """Say once what fails for longer than a moment."""
        for going in self._going.values():
            if not going.told and now - going.began >= TELL_AFTER_SECONDS:
                going.told = True
                self._tell(f"{going.who} {going.what}; waiting for it")

    def since(self, started: float) -> tuple[Outage, ...]:
        """Return all outages, with those that go on until now, in seconds after `started`."""
        now = boot_seconds()
        found = [
            *self._over,
            *((_kept(each), each.began, now) for each in self._going.values()),
        ]
        return tuple(
            Outage(
                what=one_line(what, 1000),
                began_seconds=max(0.0, began - started),
                lasted_seconds=max(0.0, end - max(began, started)),
            )
            for what, began, end in sorted(found, key=lambda each: each[1])[:MOST_OUTAGES]
        )


def _kept(going: _Going) -> str:
    """Return what failed as a name, with why in brackets: who reads the trial says how long it was away."""
    why = going.what.removeprefix("is away").strip(" ()")
    return f"{going.who} ({why})" if why else going.who
