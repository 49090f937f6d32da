"""A plugin of pytest: writes down which tests there are, and which words each expects of a line.

COLLECTED=FILE pytest -p tests.collected --collect-only PATH…
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

# What tables of tests call the words of a line.
_WORDS = ("line", "words")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write the file: each test's id and words."""
    found = {item.nodeid: _words(getattr(item, "callspec", None)) for item in session.items}
    Path(os.environ["COLLECTED"]).write_text(json.dumps(found))


def _words(callspec: Any) -> list[str]:
    params = callspec.params if callspec else {}
    said = [params.get(name) for name in _WORDS]
    said += [
        getattr(params.get(name), each, None) for name in ("fault", "mistake") for each in ("message", "line")
    ]
    return [each for each in said if isinstance(each, str) and each]
