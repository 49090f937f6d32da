"""Runs as one names them on the command line: an id, a folder, or a report file."""

from __future__ import annotations

import argparse
from html.parser import HTMLParser
from pathlib import Path

from pi_speedup.model.base import MAX_FILE_BYTES, load
from pi_speedup.model.report import Report
from pi_speedup.problem import refuse
from pi_speedup.report.history import report_of
from pi_speedup.text import one_line

PROJECT = Path(__file__).resolve().parents[3]


def add_runs_dir(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the folder of the runs."""
    parser.add_argument(
        "--runs-dir",
        type=Path,
        metavar="DIR",
        default=PROJECT / "runs",
        help="folder of the runs; `runs` beside benchmark.yml if not given",
    )


def find_report(named: str, runs: Path) -> Report:
    """Return the report that a run id, a run's folder, or a report.json or report.html names."""
    path = Path(named)
    if path.is_file():
        return _read(path)
    if path.is_dir():
        return report_of(path)
    # An id has no slash, so it cannot lead out of the folder.
    if "/" not in named and named not in ("", ".", "..") and (runs / named).is_dir():
        return report_of(runs / named)
    raise refuse(
        one_line(named, 200) or "''",
        f"neither a file or folder, nor a run in {runs}",
        "`python -m pi_speedup history` lists the runs; --runs-dir names another folder of runs",
    )


def _read(path: Path) -> Report:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise refuse(str(path), f"cannot be read ({error.strerror})", "make it yours") from None
    if not data.lstrip().startswith(b"<"):
        return load(Report, data, str(path))
    embedded = _Embedded()
    embedded.feed(data.decode("utf-8", "replace"))
    if embedded.text is None:
        raise refuse(str(path), "no report is embedded in this page", "give a report.html as it was made")
    return load(Report, embedded.text, str(path))


class _Embedded(HTMLParser):
    """Takes the text of `<script type="application/json" id="report">` out of a page; runs nothing of it."""

    def __init__(self) -> None:
        super().__init__()
        self.text: str | None = None
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self._inside = (
            tag == "script" and known.get("id") == "report" and known.get("type") == "application/json"
        )

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.text = (self.text or "") + data

    def handle_endtag(self, tag: str) -> None:
        self._inside = False
