"""Ways to kill a run, and what must be true of it afterwards."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pi_speedup.model.trial import Trial
from pi_speedup.store import RunStore
from tests.virtual import Playing


def _descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        direct = [int(child) for child in children.read_text().split()]
    except FileNotFoundError:
        return []
    return [*direct, *(found for child in direct for found in _descendants(child))]


def tree_of(playing: Playing) -> list[int]:
    """Return Ansible's process and all it started, while it runs."""
    if playing.process.poll() is not None:
        return []
    return [playing.process.pid, *_descendants(playing.process.pid)]


def kill_tree(playing: Playing) -> None:
    """SIGKILL for Ansible and all it started, at once: nobody is left to end anything."""
    for pid in tree_of(playing):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def kill_group(playing: Playing) -> None:
    """SIGKILL for Ansible's own process group; its worker has another one and lives on."""
    os.killpg(playing.process.pid, signal.SIGKILL)


def terminate(playing: Playing) -> None:
    """SIGTERM, as a service manager sends it."""
    playing.process.send_signal(signal.SIGTERM)


def interrupt(playing: Playing) -> None:
    """SIGINT to the whole group, as a terminal sends Ctrl-C."""
    os.killpg(playing.process.pid, signal.SIGINT)


WAYS: dict[str, Callable[[Playing], None]] = {
    "SIGKILL to all": kill_tree,
    "SIGKILL to Ansible": kill_group,
    "SIGTERM": terminate,
    "Ctrl-C": interrupt,
}


def good_trials(folder: Path) -> dict[str, Trial]:
    """Return the trials on disk that went well, by name."""
    if not (folder / "plan.json").exists():
        return {}
    return {trial.name: trial for trial in RunStore(folder).trials() if trial.outcome == "ok"}


def processes_of(run_id: str) -> dict[int, str]:
    """Return all that a run has started, workers and Ansible's own processes: command lines by pid."""
    ansible = f"benchmark_run_id={run_id}".encode()
    return {pid: line for pid, line in _workers_and(ansible, run_id)}


def workers_of(run_id: str) -> dict[int, str]:
    """Return the workers that compute for a run: command lines by pid."""
    return {pid: line for pid, line in _workers_and(None, run_id)}


def _workers_and(argument: bytes | None, run_id: str) -> Iterator[tuple[int, str]]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if f"--run-id={run_id}".encode() in words or argument in words:
            yield int(path.parent.name), b" ".join(word[:60] for word in words).decode("utf-8", "replace")


def assert_as_undisturbed(report: dict[str, Any], undisturbed: dict[str, Any]) -> None:
    """Hold a report to that of a run which nobody disturbed, in all that noise does not change."""
    assert report["progress"]["ending"]["kind"] == "complete"
    for name in ("rounds_complete", "trials_ok"):
        assert report["progress"][name] == undisturbed["progress"][name]
    for name in ("pis", "base_pi", "settings", "used"):
        assert report[name] == undisturbed[name]
    shapes = [
        {each["name"]: len(each["rounds"]) for each in found["comparisons"]}
        for found in (report, undisturbed)
    ]
    assert shapes[0] == shapes[1]
    assert report["result"]["samples"] == undisturbed["result"]["samples"]
    flags = {check["code"] for check in report["checks"] if check["status"] == "flag"}
    # These would mean that a trial counted twice, or ran beside what a killed run had left.
    assert not flags & {"duplicate_streams", "streams", "overlap", "order_done", "rounds_alike", "incomplete"}
    assert not flags & {"planned", "chain"}
