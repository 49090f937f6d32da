"""Write the files of a run on the control host: private, and each whole or absent."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

# The folder, within a run's, for what must not outlive the run.
PRIVATE = "private"


def write_files(folder: Path, files: Mapping[str, object]) -> list[str]:
    """Write files (path relative to folder -> content) with mode 0600; return the paths that changed.

    Text is written as it is, anything else as indented JSON. Folders are made
    with mode 0700. A reader, or a crash at any moment, sees the old content or
    the new, never a part.

    Raises ValueError for a path that leaves the folder, OSError (its message
    names the file and the next step) where a file cannot be written.
    """
    return [name for name, content in files.items() if _write_one(folder, name, _as_text(content))]


def link_as_latest(folder: Path) -> None:
    """Let the link `latest`, beside folder, point to it; an older link is replaced in one step.

    Raises OSError where something that is not a link has that name.
    """
    link = folder.parent / "latest"
    if link.exists() and not link.is_symlink():
        raise FileExistsError(
            f"{link} is not a link. Next: move it away, or choose another folder for the runs"
        )
    fresh = folder.parent / f".latest.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name)
    fresh.replace(link)


def remove_private(folder: Path) -> list[str]:
    """Remove the folder `private` in folder and in each folder within it; return the paths of the removed.

    A folder that held nothing else goes with it. Links are not followed: `latest` leads to a run that is
    there under its own name.

    Raises OSError (its message names the folder and the next step) where one cannot be removed.
    """
    removed = []
    for private in [folder / PRIVATE, *sorted(folder.glob(f"*/{PRIVATE}"))]:
        if private.is_symlink() or private.parent.is_symlink() or not private.is_dir():
            continue
        try:
            shutil.rmtree(private)
        except OSError as error:
            raise OSError(
                f"cannot remove {private} ({error.strerror}), which may hold a key. Next: remove it by hand"
            ) from error
        removed.append(str(private))
        with contextlib.suppress(OSError):
            if private.parent != folder:
                private.parent.rmdir()
    return removed


def _write_one(folder: Path, name: str, text: str) -> bool:
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise ValueError(f"{name!r} is not a path inside the run's folder")
    target = folder / relative
    try:
        if target.is_file() and target.read_text(encoding="utf-8") == text:
            return False
        folder.parent.mkdir(parents=True, exist_ok=True)
        for private in (folder, *reversed(target.relative_to(folder).parents[:-1])):
            (folder / private).mkdir(mode=0o700, exist_ok=True)
        _replace(target, text)
    except OSError as error:
        raise OSError(
            f"cannot write {target} ({error.strerror}). Next: make room there or give write permission; "
            "what was written before is whole"
        ) from error
    return True


def _replace(target: Path, text: str) -> None:
    # mkstemp gives mode 0600 from the start: no moment at which others can read.
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _as_text(content: object) -> str:
    if isinstance(content, str):
        return content
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
