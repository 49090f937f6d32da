"""The run of fixtures/run (three Pis, nothing to complain of), and copies of it with changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Files = dict[str, str]
Edit = Callable[[dict[str, Any]], None]

_FOLDER = Path(__file__).parent / "fixtures" / "run"
PODS = tuple(f"results/pod-{index}.json" for index in range(3))
STRONG = "results/baseline-strong.json"
WEAK = "results/baseline-weak.json"


def run_files() -> Files:
    """Return text by path in the run's folder."""
    return {str(path.relative_to(_FOLDER)): path.read_text() for path in sorted(_FOLDER.rglob("*.json"))}


def edited(edits: dict[str, Edit | None]) -> Files:
    """Return the run with an edit applied to the JSON of a path; None removes the file."""
    files = run_files()
    for path, edit in edits.items():
        if edit is None:
            del files[path]
        else:
            data = json.loads(files[path])
            edit(data)
            files[path] = json.dumps(data)
    return files


def put(**values: Any) -> Edit:
    """Return an edit that sets fields of the object itself."""
    return lambda data: data.update(values)


def work(**values: Any) -> Edit:
    """Return an edit that sets fields of a result's worker."""
    return lambda data: data["worker"].update(values)


def on(host: str, **values: Any) -> Edit:
    """Return an edit that moves a result to another host, by its own word and the cluster's."""

    def edit(data: dict[str, Any]) -> None:
        data["host"] = host
        data["worker"].update(values, node=host)

    return edit
