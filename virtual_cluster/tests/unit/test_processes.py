"""Processes are recognised by pid and start time."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace

import pytest

from virtual_cluster import processes


@pytest.mark.parametrize(
    "name",
    ["sh", "a b", "a) R (b", "((("],
    ids=["plain", "space", "looks like the next field", "parentheses"],
)
def test_parse_stat(name: str) -> None:
    later_fields = " ".join(str(number) for number in range(4, 53))
    assert processes.parse_stat(f"17 ({name}) S {later_fields}\n") == ("S", 22)


def test_only_the_very_process_is_signalled() -> None:
    with subprocess.Popen(["sleep", "600"]) as child:
        process = processes.identify(child.pid)
        assert process is not None
        later = replace(process, start_ticks=process.start_ticks + 1)
        assert not processes.is_running(later)
        processes.send(later, signal.SIGKILL)
        assert processes.await_end([later], 0)
        assert not processes.await_end([process], 0)
        assert processes.kill([process])
        assert child.wait() == -signal.SIGKILL
    assert processes.identify(child.pid) is None


def test_zombie_does_not_count_as_running() -> None:
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert processes.identify(child.pid) is None
