"""The one exception that a user of the lab sees."""

from __future__ import annotations


class LabError(Exception):
    """What went wrong and the next step, in one line."""
