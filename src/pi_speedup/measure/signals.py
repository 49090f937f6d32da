"""Ctrl-C, SIGTERM and a closed terminal: from Ansible's main process to the one that measures.

Ansible runs a task in a process of its own, in a session of its own. Left alone, its main process passes the
first signal on and ends at once: nobody would wait for the pods to end, and nobody would make the report. So
while something is measured the main process only notes the signal in memory that both share (`Handover`), and
the measuring process ends in order (`Interrupts`). That one also notices when the main process is gone; all
others end with it (`end_workers_with_this_process`).
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Self

from pi_speedup.problem import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WORDS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "a closed terminal"}
PARENT_GONE = "the end of ansible-playbook"
# `timeout` signals its child and then the child's group; a closing terminal's shell signals twice as well.
_SAME_SIGNAL_SECONDS = 1.0
_WATCH_SECONDS = 0.2
_AGAIN_SECONDS = 0.05
# From linux/prctl.h.
_PR_SET_PDEATHSIG, _PR_GET_PDEATHSIG = 1, 2

# One byte, the number of the signal to act on; made before the measuring process is forked, so both have it.
_shared: mmap.mmap | None = None


def end_workers_with_this_process() -> None:
    """Let each process that this one forks from now on be killed once this one is gone; Linux only.

    Ansible's workers hand their results over through a pipe, of which they hold the reading end as well. Left
    alone, one whose result does not fit into the pipe, as a report does not, would wait for ever.
    """
    main, by_main = os.getpid(), False

    def before() -> None:
        nonlocal by_main
        by_main = os.getpid() == main

    def in_child() -> None:
        if by_main:
            _swap_death_signal(signal.SIGKILL)
            if os.getppid() != main:
                # Gone before this one could ask to be told.
                os.kill(os.getpid(), signal.SIGKILL)

    os.register_at_fork(before=before, after_in_child=in_child)


def raise_swallowed_interrupts_again() -> None:
    """Let a Ctrl-C count that comes while Python forks, or wherever else it can't raise; in this process.

    What a hook at a fork raises is shown and forgotten, and each of Ansible's tasks is a fork: one Ctrl-C in
    thirty between the plan and the first trial was lost.
    """
    main, show = os.getpid(), sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if os.getpid() != main or not issubclass(unraisable.exc_type, KeyboardInterrupt):
            show(unraisable)
            return
        if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
            # Ansible's handler is for one signal only; a second would end it without a word.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        # A moment later: here it would be swallowed once more.
        again = threading.Timer(_AGAIN_SECONDS, os.kill, (main, signal.SIGINT))
        again.daemon = True
        again.start()

    sys.unraisablehook = hook


def _swap_death_signal(number: int) -> int:
    """Set the signal that this process gets when its parent is gone, 0 for none; return what it was."""
    if sys.platform != "linux":
        return 0
    libc, before = ctypes.CDLL(None), ctypes.c_int()
    libc.prctl(_PR_GET_PDEATHSIG, ctypes.byref(before))
    libc.prctl(_PR_SET_PDEATHSIG, number)
    return before.value


class Handover:
    """In the main process: notes the first signal for the process that measures.

    A second one does what it did before, and so does each signal after `end`.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._noted_at: float | None = None

    def begin(self) -> None:
        """Take the signals over, before the process that measures is forked; nohup's SIGHUP stays ignored."""
        global _shared
        _shared = mmap.mmap(-1, 1)
        for number in SIGNALS:
            before = signal.getsignal(number)
            if before is not signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._note)

    def end(self) -> None:
        """Give the signals back."""
        while self._before:
            number, before = self._before.popitem()
            signal.signal(number, before)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            # The terminal is gone: nobody can mean a second one.
            self._before.pop(signal.SIGHUP, None)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        now = time.monotonic()
        if self._noted_at is None:
            self._noted_at = now
            if _shared is not None:
                _shared[0] = number
        elif now - self._noted_at > _SAME_SIGNAL_SECONDS:
            self.end()
            os.kill(os.getpid(), number)


class Interrupts:
    """In the process that measures: what is noted, or comes here, is raised once as Interrupted.

    A context manager, for the main thread, where it raises at any moment. `tell` gets a line before that.
    """

    def __init__(self, tell: Callable[[str], None] = lambda line: None) -> None:
        self._tell = tell
        self._by: str | None = None
        self._raised = False
        self._held = 0
        self._over = threading.Event()
        self._before: dict[signal.Signals, Any] = {}
        self._death_signal = 0
        # Before the watcher starts: a parent that goes away from now on is noticed.
        self._parent = os.getppid()
        self._main_thread = threading.main_thread().ident or 0

    def __enter__(self) -> Self:
        # What it has started is ended in order even then.
        self._death_signal = _swap_death_signal(0)
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._take)
        threading.Thread(target=self._watch, name="interrupts", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for number, before in self._before.items():
            # None where it was not set from Python.
            signal.signal(number, signal.SIG_DFL if before is None else before)
        _swap_death_signal(self._death_signal)

    @property
    def parent_gone(self) -> bool:
        """Whether the process that started this one has ended: nobody takes in what it returns."""
        return os.getppid() != self._parent

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold an interruption back until the end of the block, for what must not be done by half."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        self._raise()

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self._by is None:
            self._by = WORDS[signal.Signals(number)]
        self._raise()

    def _raise(self) -> None:
        if self._by is not None and not self._held and not self._raised:
            self._raised = True
            raise Interrupted(self._by)

    def _watch(self) -> None:
        while not self._over.wait(_WATCH_SECONDS):
            if os.getppid() != self._parent:
                self._by = self._by or PARENT_GONE
            elif _shared is not None and _shared[0]:
                self._by = self._by or WORDS[signal.Signals(_shared[0])]
            if self._by is not None:
                self._tell(f"stopping, because of {self._by}: ending what runs")
                # A signal ends whatever the main thread waits for; its handler raises there.
                signal.pthread_kill(self._main_thread, signal.SIGTERM)
                return
