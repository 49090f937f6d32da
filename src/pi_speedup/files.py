"""Files: read without waiting, whatever is there, and within a bound; written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class UnfitFileError(OSError):
    """What is there is no regular file, or is larger than expected; `strerror` says which."""


def is_there(path: Path) -> bool:
    """Say whether anything has this name, a link that leads nowhere too; OSError where one may not look."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


@contextlib.contextmanager
def open_file(path: Path, *, follow: bool = False) -> Iterator[BufferedReader]:
    """Open a regular file for reading; UnfitFileError for anything else. No pipe is waited for.

    Another OSError if it cannot be opened. `follow`: through a link too, for a path that a user gave.
    """
    # Before it is opened too: opening a device may do something.
    _see_that_it_is_a_file(path.stat(follow_symlinks=follow), path)
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | (0 if follow else os.O_NOFOLLOW)
    with os.fdopen(os.open(path, flags), "rb") as file:
        # Something else may have taken its place.
        _see_that_it_is_a_file(os.fstat(file.fileno()), path)
        yield file


def read_file(path: Path, max_bytes: int, *, follow: bool = False) -> bytes:
    """Return the content of what open_file takes; UnfitFileError, unread, if it has more than max_bytes."""
    with open_file(path, follow=follow) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= max_bytes:
            data = file.read(max_bytes + 1)
            if len(data) <= max_bytes:
                return data
            # It grew meanwhile.
            size = len(data)
    raise UnfitFileError(errno.EFBIG, f"{size} bytes, more than the {max_bytes} expected", str(path))


def make_private_folder(folder: Path) -> None:
    """Have a folder that nobody else may open; one that is there stays as it is."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)


def write_file(path: Path, content: bytes) -> None:
    """Write a file that nobody else may read; whoever reads it, or a crash, sees the old content or the new.

    It takes the place of what has its name: whether that may go is the caller's question.
    """
    # mkstemp gives mode 0600 from the start: no moment at which others can read.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _see_that_it_is_a_file(found: os.stat_result, path: Path) -> None:
    kind = stat.S_IFMT(found.st_mode)
    if kind != stat.S_IFREG:
        raise UnfitFileError(errno.EINVAL, f"{_KINDS.get(kind, 'something else')}, not a file", str(path))
