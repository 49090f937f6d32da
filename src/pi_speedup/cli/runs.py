"""Runs as one names them on the command line: an id, a folder, or a report file."""

from __future__ import annotations

import argparse
from pathlib import Path

from pi_speedup.codes import Code
from pi_speedup.files import UnfitFileError, read_file
from pi_speedup.model.base import MAX_FILE_BYTES, load
from pi_speedup.model.report import Report
from pi_speedup.problem import refuse
from pi_speedup.runs.history import report_of
from pi_speedup.runs.sent import misfit
from pi_speedup.text import one_line

# As the page has it. Python's parser of HTML raises errors of its own on some nonsense, and is slow on other.
_EMBEDDED = '<script type="application/json" id="report">'
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
    try:
        # An empty text would be this folder.
        is_file, is_folder = path.is_file(), bool(named) and path.is_dir()
        # An id has no slash, so it cannot lead out of the folder.
        is_run = "/" not in named and named not in ("", ".", "..") and (runs / named).is_dir()
    except OSError:
        # Such as a name that is too long for a path.
        is_file = is_folder = is_run = False
    if is_file:
        return _fitting(_read(path), path)
    if is_folder or is_run:
        return report_of(path if is_folder else runs / named)
    raise refuse(
        Code.RUN_MISSING,
        one_line(named, 200) or "''",
        f"neither a file or folder, nor a run in {runs}",
        "`.venv/bin/python -m pi_speedup history` lists the runs; --runs-dir names another folder of runs",
    )


def _fitting(report: Report, path: Path) -> Report:
    what = misfit(report)
    if what is not None:
        step = "name it as it was made, or the folder of the run, which is judged from its trials"
        raise refuse(Code.FILE_SPOILT, str(path), what, step)
    return report


def _read(path: Path) -> Report:
    try:
        data = read_file(path, MAX_FILE_BYTES, follow=True)
    except UnfitFileError as error:
        raise refuse(
            Code.FILE_SPOILT, str(path), str(error.strerror), "name a report as it was made"
        ) from None
    except OSError as error:
        raise refuse(
            Code.FILE_UNREADABLE, str(path), f"cannot be read ({error.strerror})", "make it yours"
        ) from None
    if not data.lstrip().startswith(b"<"):
        return load(Report, data, str(path))
    _, found, after = data.decode("utf-8", "replace").partition(_EMBEDDED)
    embedded, closed, _ = after.partition("</script>")
    if not found or not closed:
        raise refuse(
            Code.PAGE_WITHOUT_REPORT,
            str(path),
            "no report is embedded in this page",
            "give a report.html as it was made",
        )
    return load(Report, embedded, str(path))
