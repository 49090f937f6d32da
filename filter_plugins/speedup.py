"""Ansible's door to the report: convert, call, give plain types back, turn the error into a result."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Ansible loads a filter by its path: from a bare clone nothing else makes src/ importable.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from pi_speedup.model.settings import Settings
from pi_speedup.problem import ProblemError
from pi_speedup.report.build import report_files


def speedup(folder: str, formats: list[str] | None = None, language: str = "en") -> dict[str, Any]:
    """Return the report of the run in a folder; speedup.yml documents it."""
    # Ansible's text is a tagged type; join gives a plain one.
    path = Path("".join(folder))
    try:
        files = report_files(
            path, [*Settings().report_formats] if formats is None else [*map(str, formats)], str(language)
        )
    except ProblemError as error:
        # A refusal is a result here, not an error: Ansible wraps an error of a filter in many lines.
        return {"problem": str(error), "files": {}, "table": []}
    table = files.pop("table")
    return {"problem": None, "files": files, "table": table}


class FilterModule:
    """The filter of this project."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"speedup": speedup}
