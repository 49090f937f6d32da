"""The work tree as it is now, somewhere else: what a clone of it would be once it is committed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.virtual import PROJECT


def copy_work_tree(folder: Path) -> Path:
    """Copy all that git has or would add, uncommitted changes included, into `folder`; return it."""
    listing = ["git", "-C", str(PROJECT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split("\0"):
        if name and (PROJECT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name, follow_symlinks=False)
    return folder


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run make there as a user does who has set up nothing, and return what came of it."""
    return typed(folder, "make", *words)


def typed(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command there as a user does, without what the tests' own make has set."""
    theirs = ("MAKE", "MFLAGS", "ANSIBLE_", "KUBECONFIG", "VIRTUAL_ENV", "PYTHON")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    return subprocess.run(
        words,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
