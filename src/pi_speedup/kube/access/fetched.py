"""The kubeconfig that was fetched for a run: kept in the run's folder while it serves, and removed.

Its first line names the program and the run. Only a file with this line is replaced or removed: a folder of
runs may be somebody's home, with folders and files of the same names.
"""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path

from pi_speedup.codes import Code
from pi_speedup.files import UnfitFileError, is_there, make_private_folder, read_file, write_file
from pi_speedup.kube.access.kubeconfig import MAX_KUBECONFIG_BYTES
from pi_speedup.problem import ProblemError, refuse
from pi_speedup.store import PRIVATE, RunStore, not_written
from pi_speedup.text import one_line


def keep_fetched(text: str, path: Path) -> None:
    """Write a kubeconfig to RUN/private/NAME, for nobody else to read; ProblemError if that is not ours."""
    run = path.parent.parent
    for folder in (run, path.parent):
        if folder.is_symlink():
            raise _in_the_way(folder, "a link")
    try:
        if is_there(path) and not _is_ours(path):
            raise _in_the_way(path, "there already, and not a kubeconfig that was fetched for this run")
        for folder in (run.parent, run, path.parent):
            make_private_folder(folder)
        write_file(path, (_mark(run) + text).encode())
    except OSError as error:
        raise not_written(path, error) from None


def remove_fetched(folder: Path) -> list[str]:
    """Remove the kubeconfig fetched for the run in `folder`, and those for the runs in folders within it.

    Returns the paths of the removed files; a folder that is empty then goes too. No link is followed. The
    rest is removed even if one cannot be; that one is a ProblemError.
    """
    removed: list[str] = []
    problems: list[ProblemError] = []
    for run in [folder, *sorted(each.parent for each in folder.glob(f"*/{PRIVATE}"))]:
        private = run / PRIVATE
        if (run != folder and run.is_symlink()) or private.is_symlink():
            continue
        ours: list[Path] = []
        try:
            # The hidden ones are of a run that was killed while it wrote.
            named = [each for each in private.iterdir() if each.name.lstrip(".").startswith("kubeconfig")]
            ours = sorted(each for each in named if _is_ours(each))
            for path in ours:
                path.unlink()
                removed.append(str(path))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if ours or _is_run(run):
                problems.append(_not_removed(private, error))
            continue
        if ours:
            with contextlib.suppress(OSError):
                private.rmdir()
                run.rmdir()
    if problems:
        raise problems[0]
    return removed


def _mark(run: Path) -> str:
    return f"# pi-speedup fetched this for {run.name} and removes it when it has served.\n"


def _is_ours(path: Path) -> bool:
    """Say whether the first line is ours; OSError if that cannot be read."""
    try:
        return read_file(path, MAX_KUBECONFIG_BYTES).startswith(_mark(path.parent.parent).encode())
    except UnfitFileError:
        return False


def _is_run(folder: Path) -> bool:
    try:
        RunStore(folder).plan()
    except ProblemError:
        return False
    return True


def _in_the_way(path: Path, what: str) -> ProblemError:
    step = "move it away, or choose another benchmark_run_id or benchmark_runs_dir"
    return refuse(Code.FILE_IN_THE_WAY, one_line(path), what, step)


def _not_removed(private: Path, error: OSError) -> ProblemError:
    what = f"cannot be removed ({error.strerror}) and may hold a key"
    step = (
        f"ls -la {shlex.quote(str(private))} shows whose it is; then run ansible-playbook cleanup.yml again"
    )
    return refuse(Code.KEY_NOT_REMOVED, one_line(private), what, step)
