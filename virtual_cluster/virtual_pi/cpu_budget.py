"""CPU budgets without root: processes are stopped and continued by token buckets on their CPU time."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

# Short against anything one measures, long against the cost of a tick.
_TICK_SECONDS = 0.004
# New children are looked for every so many ticks; a child is charged from its birth, not from its discovery.
_SCAN_TICKS = 5
# What a Pi may save up while others have its share of the machine; 10 ms starved contended runs.
BURST_SECONDS = 0.1
# As of a Linux CPU quota, so that a process runs and rests in turns of some 50 ms. Going on at the first
# token would switch it at each tick.
_PERIOD_SECONDS = 0.1


@dataclass(slots=True)
class TokenBucket:
    """CPU seconds a group of processes may use: ``rate`` cores, at most ``BURST_SECONDS`` saved up.

    It starts empty, and a negative balance is a debt that is paid by waiting; so the share is exact in the
    long run, however late a tick comes.
    """

    rate: float
    balance: float = 0.0
    filled_at: float | None = None

    @property
    def resume_at(self) -> float:
        """CPU seconds to save up before going on: what half a period brings, less than the bucket holds."""
        return min(self.rate * _PERIOD_SECONDS, BURST_SECONDS) / 2

    def fill(self, now: float) -> None:
        """Add what time has brought since the last call; ``now`` in seconds of any steady clock."""
        if self.filled_at is not None:
            self.balance = min(BURST_SECONDS, self.balance + self.rate * (now - self.filled_at))
        self.filled_at = now

    def spend(self, seconds: float) -> None:
        """Take the CPU time used; may run into debt."""
        self.balance -= seconds


@dataclass(slots=True, eq=False)
class Member:
    """A process and its descendants, under all of ``buckets`` at once."""

    root: int
    buckets: Sequence[TokenBucket]
    used: dict[int, float] = field(default_factory=dict)  # CPU seconds so far, by pid
    stopped: bool = False

    def measure(self) -> float:
        """CPU seconds used since the last call; forgets processes that are gone."""
        total = 0.0
        for pid, before in list(self.used.items()):
            try:
                now = _cpu_seconds(pid)
            except OSError:
                del self.used[pid]
            else:
                self.used[pid] = now
                total += now - before
        return total

    def scan(self) -> bool:
        """Find descendants; True when there are new ones."""
        new = {pid: 0.0 for pid in _descendants(self.root) if pid not in self.used}
        self.used |= new
        return bool(new)

    def stop(self) -> None:
        """Stop all processes, also those born meanwhile."""
        self.stopped = True
        self.signal(signal.SIGSTOP)
        while self.scan():
            self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Continue all processes."""
        self.stopped = False
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to each known process."""
        for pid in list(self.used):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class CpuBudget:
    """The thread that keeps all members within their buckets; asleep while there are none.

    A thread and not a task of the event loop, so that a burst of API work does not delay ticks.
    """

    def __init__(self) -> None:
        self._members: list[Member] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="cpu-budget", daemon=True)
        self._thread.start()

    def add(self, pid: int, buckets: Sequence[TokenBucket]) -> Member:
        """Put ``pid`` and its descendants under ``buckets`` until ``remove``."""
        member = Member(pid, buckets)
        with self._changed:
            used = {id(bucket) for other in self._members for bucket in other.buckets}
            for bucket in buckets:
                if id(bucket) not in used:  # idle until now: nothing is saved up while nothing runs
                    bucket.balance, bucket.filled_at = min(bucket.balance, 0.0), None
            self._members.append(member)
            self._changed.notify()
        return member

    def remove(self, member: Member) -> None:
        """Let the member's processes run free."""
        with self._changed:
            if member in self._members:
                self._members.remove(member)
            member.go_on()

    def close(self) -> None:
        """End the thread and leave nothing stopped."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        for member in list(self._members):
            self.remove(member)

    def _run(self) -> None:
        ticks = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._members or self._closed)
                if self._closed:
                    return
                self._tick(scan=ticks % _SCAN_TICKS == 0)
            ticks += 1
            time.sleep(_TICK_SECONDS)

    def _tick(self, scan: bool) -> None:
        now = time.monotonic()
        for member in self._members:
            if not member.used or (scan and not member.stopped):
                member.scan()
            used = member.measure()
            for bucket in member.buckets:
                bucket.fill(now)
                bucket.spend(used)
        for member in self._members:
            exhausted = any(bucket.balance < 0 for bucket in member.buckets)
            if exhausted and not member.stopped:
                member.stop()
            elif member.stopped and all(bucket.balance >= bucket.resume_at for bucket in member.buckets):
                member.go_on()


def _cpu_seconds(pid: int) -> float:
    # The CPU clock of another process, all its threads included: MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)
    # of linux/posix-timers_types.h. A sixth of the cost of reading /proc/PID/stat, and in nanoseconds.
    return time.clock_gettime(~pid << 3 | 2)


def _descendants(root: int) -> list[int]:
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        with contextlib.suppress(OSError):
            # Strings, not Path objects: this runs a few hundred times a second.
            for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
                with open(f"/proc/{pid}/task/{task}/children", "rb") as children:  # noqa: PTH123
                    queue += map(int, children.read().split())
    return found
