"""Linux processes: spawned so that they die with their parent, recognised again later, stopped."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Identity:
    """A process; the start time (clock ticks since boot) tells it from a later one with the same pid."""

    pid: int
    start_ticks: int


def parse_stat(stat: str) -> tuple[str, int]:
    """State letter and start time (clock ticks since boot) from the text of /proc/PID/stat."""
    # The second field is the program's name and may itself hold spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def identify(pid: int) -> Identity | None:
    """The identity of a live process; None if there is none, or only a zombie."""
    try:
        state, start_ticks = parse_stat(Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else Identity(pid, start_ticks)


def is_running(process: Identity) -> bool:
    """Whether exactly this process still lives."""
    return identify(process.pid) == process


def set_death_signal(number: int) -> None:
    """Let the kernel send this signal to the calling process when its parent dies; 0 for none."""
    if _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


def restore_signals() -> None:
    """Before an exec without subprocess: Python ignores these two, and the program would inherit that."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)


def adopt_orphans() -> None:
    """Make each descendant whose parent dies a child of the calling process."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def kill_descendants() -> None:
    """SIGKILL and reap all descendants of the calling process, which has one thread and adopts orphans."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while pids := children.read_text().split():
        for pid in map(int, pids):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def before_exec(death_signal: int) -> Callable[[], None]:
    """What a child does between fork and exec so that it never outlives the calling process."""
    parent = os.getpid()

    def prepare() -> None:
        set_death_signal(death_signal)
        if os.getppid() != parent:  # the parent died before the line above
            os._exit(1)

    return prepare


def spawn(
    arguments: Sequence[str],
    *,
    death_signal: int,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
    cwd: Path,
    new_session: bool = False,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a child without standard input that gets `death_signal` when this process dies."""
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        start_new_session=new_session,
        pass_fds=pass_fds,
        preexec_fn=before_exec(death_signal),
    )


def send(process: Identity, number: int) -> None:
    """Signal exactly this process; nothing if it is gone."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        # Checked after the handle was opened: from here on the pid cannot be another's.
        if is_running(process):
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def await_end(processes: Sequence[Identity], timeout_seconds: float) -> bool:
    """Wait until all of them are gone; False if one is left at the timeout. They need not be children."""
    deadline = time.monotonic() + timeout_seconds
    for process in processes:
        try:
            handle = os.pidfd_open(process.pid)
        except ProcessLookupError:
            continue
        try:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            if is_running(process) and not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return False
        finally:
            os.close(handle)
    return True


def kill(processes: Sequence[Identity], timeout_seconds: float = 10.0) -> bool:
    """SIGKILL all of them and wait; False if one is left at the timeout."""
    for process in processes:
        send(process, signal.SIGKILL)
    return await_end(processes, timeout_seconds)
