"""kubectl as administrator of a virtual cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from virtual_cluster import processes
from virtual_cluster.errors import LabError


def become(command: Sequence[str], kubeconfig: Path, arguments: Sequence[str]) -> NoReturn:
    """Replace this process by kubectl; LabError if it cannot be run."""
    program, *words = command
    processes.restore_signals()
    try:
        os.execve(
            program,
            [Path(program).name, *words, *arguments],
            {**os.environ, "KUBECONFIG": str(kubeconfig)},
        )
    except OSError as error:
        raise LabError(
            f"cannot run {program}: {error.strerror}. Next: take the cluster down and up again"
        ) from error
