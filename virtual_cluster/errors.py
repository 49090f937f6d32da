"""The one exception that a user of the lab sees."""

from __future__ import annotations


class LabError(Exception):
    """What went wrong and the next step, in one line."""


def last_line(text: str, limit: int = 300) -> str:
    """The last line that says something, shortened."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    best = lines[-1] if lines else "it said nothing"
    return best if len(best) <= limit else f"{best[: limit - 1]}…"
