"""Progress for people: one line that renews itself on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time

_QUIET_SECONDS = 15.0


class Progress:
    """Writes progress to standard error, so that standard output stays for results."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._started = time.monotonic()
        self._last_written = float("-inf")
        self._open_line = False

    def update(self, text: str) -> None:
        """Show the state of something that takes long; often called, seldom printed."""
        now = time.monotonic()
        line = f"{text} ({now - self._started:.0f} s)"
        if self._terminal:
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
            self._open_line = True
        elif now - self._last_written >= _QUIET_SECONDS:
            print(line, file=sys.stderr, flush=True)
            self._last_written = now

    def step(self, text: str) -> None:
        """Print a line that stays."""
        self.close()
        print(text, file=sys.stderr, flush=True)
        self._last_written = time.monotonic()

    def close(self) -> None:
        """End a line that was being renewed."""
        if self._open_line:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
            self._open_line = False
