"""Ansible's door to the report: convert, call, give plain types back, turn the error into a result."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Ansible loads a filter by its path: from a bare clone nothing else makes src/ importable.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))


def speedup(folder: str, formats: list[str] | None = None, language: str | None = None) -> dict[str, Any]:
    """Return the report of the run in a folder; speedup.yml documents it."""
    # Here, and not when this file is loaded: a Python without our packages is told so by the door.
    from pi_speedup.model.settings import Settings
    from pi_speedup.problem import ProblemError
    from pi_speedup.report.build import report_files
    from pi_speedup.store import RunStore

    # Ansible's text is a tagged type; join gives a plain one.
    path = Path("".join(folder))
    try:
        store, settings = RunStore(path), Settings()
        if store.has_run:
            settings = store.run().settings
            # That of report.yml lies apart. A run's own folder may have been moved since.
            path = path if store.has_plan else Path(store.run().dir)
        wanted = settings.report_formats if formats is None else [*map(str, formats)]
        files = report_files(path, wanted, settings.language if language is None else str(language))
    except ProblemError as error:
        # A refusal is a result here, not an error: Ansible wraps an error of a filter in many lines.
        return {"problem": str(error), "dir": str(path), "files": {}, "table": []}
    table = files.pop("table")
    return {"problem": None, "dir": str(path), "files": files, "table": table}


class FilterModule:
    """The filter of this project."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"speedup": speedup}
