"""What others have where this project reads, writes and removes; and whether any of it was touched."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path


def seen(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Return inode, mode and content (of a link: where it leads) of all that is below a folder, by path."""
    return {str(path.relative_to(folder)): _look(path) for path in sorted(folder.rglob("*"))}


def _look(path: Path) -> tuple[int, int, str]:
    status = path.lstat()
    content = b""
    if stat.S_ISLNK(status.st_mode):
        content = str(path.readlink()).encode()
    elif stat.S_ISREG(status.st_mode):
        content = path.read_bytes()
    return status.st_ino, status.st_mode, hashlib.sha256(content).hexdigest()


def put_look_alikes(runs: Path) -> None:
    """Make a folder of runs one in which somebody lives, with names that a run's files have too."""
    files = {
        "notes.txt": "mine",
        "private/diary.txt": "dear diary",
        "photos/private/2019/sea.jpg": "sea",
        "work/private/kubeconfig": "apiVersion: v1\nkind: Config\n",
        "run-x/private/kubeconfig": "# a run's, they say\n",
        "run-x/private/.kubeconfig.abcdefgh": "mine",
        "no-plan-of-ours/plan.json": '{"rounds": 3}\n',
        "no-plan-of-ours/trials/r000-00-alone.json": "{}",
        "no-plan-of-ours/report.html": "<html>my thesis</html>",
        "no-plan-of-ours/private/diary.txt": "dear diary",
        "nodes/nodes.json": '{"apiVersion": "v1", "kind": "List", "items": []}\n',
        ".cleanup-pi-speedup/notes.txt": "mine",
        ".cleanup-pi-speedup/private/diary.txt": "dear diary",
        ".rbac-pi-speedup/private/kubeconfig.old": "mine",
        ".latest.17": "mine",
    }
    for name, text in files.items():
        path = runs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name, target in {
        "album": "photos",
        "loop": "loop",
        "outside": str(runs.parent),
        "work/private/key": "/dev/zero",
        "photos/private/kubeconfig": "../../notes.txt",
        "by-link/private": "../photos/private",
    }.items():
        (runs / name).parent.mkdir(parents=True, exist_ok=True)
        (runs / name).symlink_to(target)
    (runs / "pipes/private").mkdir(parents=True)
    for name in ("plan.json", "private/kubeconfig"):
        os.mkfifo(runs / "pipes" / name)
    (runs / "empty/private").mkdir(parents=True)
    if os.geteuid() == 0:
        theirs = runs / "theirs/private"
        theirs.mkdir(parents=True)
        (theirs / "kubeconfig").write_text("somebody's")
        for path in (theirs / "kubeconfig", theirs, theirs.parent):
            os.chown(path, 65534, 65534)
            path.chmod(0o700)


def touched(before: Mapping[str, tuple[int, int, str]], folder: Path) -> dict[str, object]:
    """Return what is no longer as `seen` saw it before: its path, and what it is now, None if it is gone."""
    after = {name: _look(folder / name) if os.path.lexists(folder / name) else None for name in before}
    return {name: after[name] for name, known in before.items() if after[name] != known}
