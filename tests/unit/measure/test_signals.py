"""Signals to the main process and to the measuring one, with real processes as Ansible has them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from pi_speedup.measure.signals import (
    Handover,
    Interrupts,
    end_workers_with_this_process,
    raise_swallowed_interrupts_again,
)
from pi_speedup.problem import Interrupted
from tests.virtual import await_that

FORK = multiprocessing.get_context("fork")
Talk = Connection


def measure(talk: Talk) -> None:
    """Be the measuring process: in a session of its own, and with handlers that would end it at once."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    with Interrupts() as interrupts:
        try:
            talk.send("measuring")
            if talk.recv() == "hold":
                with interrupts.held():
                    talk.send("holding")
                    talk.recv()
                    talk.send("whole")
            while True:
                time.sleep(60)
        except Interrupted as stop:
            talk.send(stop.by)
            # A second one while it ends what it started is no news.
            os.kill(os.getpid(), signal.SIGTERM)
            talk.send("ended in order")


def main(talk: Talk, inner: Talk) -> None:
    """Be Ansible's main process: hand over, fork, wait."""
    # Whatever the tests were started with, such as nohup.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    end_workers_with_this_process()
    handover = Handover()
    handover.begin()
    child = FORK.Process(target=measure, args=(inner,))
    child.start()
    talk.send(child.pid)
    child.join()
    handover.end()
    talk.send("report")


class Ansible:
    """Both processes, and the ends of the pipes by which they tell."""

    def __init__(self) -> None:
        self.main_talk, theirs = FORK.Pipe()
        self.talk, inner = FORK.Pipe()
        self.main = FORK.Process(target=main, args=(theirs, inner))
        self.main.start()
        theirs.close()
        inner.close()
        self.worker = int(self.main_talk.recv())
        assert self.talk.recv() == "measuring"

    def hears(self, talk: Talk | None = None) -> object:
        chosen = talk or self.talk
        assert chosen.poll(30), "not a word"
        return chosen.recv()


@pytest.fixture
def ansible() -> Iterator[Ansible]:
    running = Ansible()
    yield running
    for pid in (running.main.pid or 0, running.worker):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    running.main.join()


WAYS: dict[str, tuple[Callable[[Ansible], int], int, str]] = {
    "Ctrl-C": (lambda ansible: ansible.main.pid or 0, signal.SIGINT, "Ctrl-C"),
    "SIGTERM": (lambda ansible: ansible.main.pid or 0, signal.SIGTERM, "SIGTERM"),
    "closed terminal": (lambda ansible: ansible.main.pid or 0, signal.SIGHUP, "a closed terminal"),
    "SIGTERM to the measuring process itself": (lambda ansible: ansible.worker, signal.SIGTERM, "SIGTERM"),
}


@pytest.mark.parametrize(("whom", "number", "by"), WAYS.values(), ids=WAYS)
def test_the_measuring_process_ends_in_order_and_the_main_one_reports(
    ansible: Ansible, whom: Callable[[Ansible], int], number: int, by: str
) -> None:
    ansible.talk.send("go on")
    os.kill(whom(ansible), number)
    assert ansible.hears() == by
    assert ansible.hears() == "ended in order"
    assert ansible.hears(ansible.main_talk) == "report"


def test_a_signal_twice_within_a_moment_is_one(ansible: Ansible) -> None:
    ansible.talk.send("go on")
    for _ in range(3):
        os.kill(ansible.main.pid or 0, signal.SIGTERM)
    assert ansible.hears() == "SIGTERM"
    assert ansible.hears() == "ended in order"
    assert ansible.hears(ansible.main_talk) == "report"


def test_the_measuring_process_notices_that_the_main_one_was_killed(ansible: Ansible) -> None:
    ansible.talk.send("go on")
    os.kill(ansible.main.pid or 0, signal.SIGKILL)
    # Its parent is gone for good once it has been waited for.
    ansible.main.join()
    assert ansible.hears() == "the end of ansible-playbook"
    assert ansible.hears() == "ended in order"


def test_any_other_process_of_ansibles_is_killed_with_the_main_one() -> None:
    talk, theirs = FORK.Pipe()
    main = FORK.Process(target=main_with_a_worker, args=(theirs,))
    main.start()
    assert talk.poll(30)
    worker = int(talk.recv())
    os.kill(main.pid or 0, signal.SIGKILL)
    main.join()
    await_that(lambda: not runs(worker), "the worker is gone")


def main_with_a_worker(talk: Talk) -> None:
    """Stand for Ansible's main process, whose worker waits for ever, as with a result that nobody takes."""
    end_workers_with_this_process()
    worker = FORK.Process(target=time.sleep, args=(120,))
    worker.start()
    talk.send(worker.pid)
    worker.join()


def runs(pid: int) -> bool:
    """Say whether a process is there and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def main_that_is_interrupted_while_it_forks(talk: Talk) -> None:
    """Stand for Ansible's main process, whose handler is for one signal."""
    left = 1

    def handler(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    def interrupt() -> None:
        nonlocal left
        if left:
            left -= 1
            os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, handler)
    raise_swallowed_interrupts_again()
    os.register_at_fork(before=interrupt)
    try:
        while True:
            FORK.Process(target=int).start()
            if not left:
                time.sleep(60)
    except KeyboardInterrupt:
        talk.send("interrupted")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_ctrl_c_at_a_fork_is_not_lost() -> None:
    talk, theirs = FORK.Pipe()
    main = FORK.Process(target=main_that_is_interrupted_while_it_forks, args=(theirs,))
    main.start()
    try:
        assert talk.poll(30) and talk.recv() == "interrupted"
    finally:
        main.kill()
        main.join()


def test_what_is_held_is_done_whole(ansible: Ansible) -> None:
    ansible.talk.send("hold")
    assert ansible.hears() == "holding"
    os.kill(ansible.worker, signal.SIGTERM)
    ansible.talk.send("done")
    assert ansible.hears() == "whole"
    assert ansible.hears() == "SIGTERM"


def test_handlers_are_given_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    handover = Handover()
    handover.begin()
    handover.end()
    with Interrupts():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    handover = Handover()
    try:
        handover.begin()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        handover.end()
        signal.signal(signal.SIGHUP, before)
