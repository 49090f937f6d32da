"""The token bucket's arithmetic, and processes really stopped and continued by it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from virtual_cluster.virtual_pi.cpu_budget import BURST_SECONDS, CpuBudget, Member, TokenBucket


@pytest.mark.parametrize(
    ("steps", "balance"),
    [
        ([(0.0, 0.0)], 0.0),
        ([(0.0, 0.0), (0.1, 0.0)], 0.05),
        ([(0.0, 0.0), (60.0, 0.0)], BURST_SECONDS),
        ([(0.0, 0.0), (0.1, 0.08)], -0.03),
        ([(0.0, 0.2), (0.2, 0.0)], -0.1),
    ],
    ids=[
        "starts empty",
        "fills at its rate",
        "saves no more than the burst",
        "runs into debt",
        "pays its debt",
    ],
)
def test_bucket(steps: list[tuple[float, float]], balance: float) -> None:
    bucket = TokenBucket(rate=0.5)
    for now, used in steps:
        bucket.fill(now)
        bucket.spend(used)
    assert bucket.balance == pytest.approx(balance)


@pytest.mark.parametrize("tick", [0.004, 0.05], ids=["ticks in time", "late ticks"])
def test_a_greedy_process_gets_its_rate(tick: float) -> None:
    bucket, used = TokenBucket(rate=0.5), 0.0
    for number in range(round(10 / tick)):
        bucket.fill(number * tick)
        if bucket.balance >= 0:
            bucket.spend(tick)
            used += tick
    assert used / 10 == pytest.approx(0.5, abs=0.005)


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    code = (
        "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        yield process
        os.killpg(process.pid, signal.SIGKILL)


def test_descendants_are_stopped_and_continued(sleeper: "subprocess.Popen[bytes]") -> None:
    assert sleeper.stdout
    child = int(sleeper.stdout.readline())
    member = Member(sleeper.pid, [])
    member.stop()
    assert {sleeper.pid, child} <= member.used.keys()
    _, status = os.waitpid(sleeper.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    member.go_on()
    _, status = os.waitpid(sleeper.pid, os.WCONTINUED)
    assert os.WIFCONTINUED(status)


def test_closing_leaves_nothing_stopped(sleeper: "subprocess.Popen[bytes]") -> None:
    bucket = TokenBucket(rate=0.0)
    budget = CpuBudget()
    budget.add(sleeper.pid, [bucket])
    bucket.spend(1000.0)
    _, status = os.waitpid(sleeper.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    budget.close()
    _, status = os.waitpid(sleeper.pid, os.WCONTINUED)
    assert os.WIFCONTINUED(status)
