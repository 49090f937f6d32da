"""Following a Job over watches that break, lie or say nothing: each watch and each list is scripted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from pi_speedup.codes import Code
from pi_speedup.kube import follow as follow_module
from pi_speedup.kube import outages as outages_module
from pi_speedup.kube import watcher as watcher_module
from pi_speedup.kube.errors import KubeError
from pi_speedup.kube.follow import NODE_LEASES, Follower
from pi_speedup.kube.outages import Outages
from pi_speedup.kube.owned import Place
from pi_speedup.kube.tracker import CONTROLLERS, Ending, Tracker
from tests.unit.kube.objects import a_job, a_pod

PLACE = Place("ns")
PIS = ("pi-1",)
RUNNING = a_pod(0)
COMPLETE = a_job(9, "Complete")


def away(what: str = "cannot be reached: connection refused") -> KubeError:
    return KubeError(Code.API_UNREACHABLE, "API server x", what, "next", passes_by_itself=True)


TOO_LARGE = KubeError(
    Code.API_FAILED,
    "API server x",
    "ended a watch: Too large resource version: 7, current: 5",
    status=504,
    passes_by_itself=True,
)
EXPIRED = KubeError(
    Code.API_FAILED, "API server x", "ended a watch: too old", status=410, passes_by_itself=True
)
FORBIDDEN = KubeError(Code.API_RIGHT_MISSING, "API server x", "forbids it", status=403)

# What a watch or list does, one after the other; the last for ever. A watch: its events, and then an error,
# nothing for the server's own end, or ... for silence until it is closed.
Step = Any


def added(item: Any, kind: str = "ADDED") -> Any:
    return {"type": kind, "object": item}


class ScriptedWatch:
    """Events, then an end."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Any]:
        for each in self._step:
            if each is ...:
                self._closed.wait()
            elif isinstance(each, KubeError):
                raise each
            elif isinstance(each, threading.Event):
                each.wait()
            else:
                yield each

    def close(self) -> None:
        self._closed.set()


class ScriptedApi:
    """An API server whose every answer is written down; what it was asked is kept."""

    server = "x"

    def __init__(self, **scripts: list[Step]) -> None:
        self._scripts = {
            "leases": [FORBIDDEN],
            "events": [FORBIDDEN],
            "lists": [away()],
            "gets": [a_job()],
        } | scripts
        self._lock = threading.Lock()
        self.asked: list[str] = []

    def _next(self, name: str) -> Step:
        with self._lock:
            self.asked.append(name)
            script = self._scripts[name]
            step = script.pop(0) if len(script) > 1 else script[0]
        if callable(step):
            step = step()
        if isinstance(step, KubeError):
            raise step
        return step

    def with_patience(self, _patience: object) -> ScriptedApi:
        return self

    def open_watch(self, path: str, query: Mapping[str, object]) -> ScriptedWatch:
        name = "leases" if path == NODE_LEASES else path.rsplit("/", 1)[1]
        if name == "pods" and "pods" not in self._scripts:
            return ScriptedWatch([added(RUNNING), ...])
        return ScriptedWatch(self._next(name))

    def list_all(self, path: str, query: Mapping[str, object]) -> tuple[list[Any], str]:
        if path.endswith("/pods"):
            return [RUNNING], "5"
        return self._next("lists"), "5"

    def get(self, path: str, read_seconds: float) -> Any:
        return self._next("gets")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rules with shorter times."""
    for name, seconds in {
        "OUTAGE_SECONDS": 1.0,
        "REFUSED_SECONDS": 0.3,
        "FIRST_QUIET_SECONDS": 0.3,
        "BEAT_SECONDS": 0.3,
        "QUIET_SECONDS": 0.4,
        "SILENT_SECONDS": 0.5,
        "SLOW_SECONDS": 0.2,
        "_STEP_SECONDS": 0.05,
    }.items():
        monkeypatch.setattr(follow_module, name, seconds)
    monkeypatch.setattr(watcher_module, "_LONGEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(watcher_module, "_SHORTEST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(outages_module, "TELL_AFTER_SECONDS", 0.1)


class Followed:
    """How following an API server ended."""

    def __init__(self, api: ScriptedApi, seconds: float = 20.0, expected: int = 1) -> None:
        self.lines: list[str] = []
        self.ending: Ending | None = None
        self.error: KubeError | None = None
        outages = Outages(self.lines.append)
        started = time.monotonic()
        self.tracker = Tracker(a_job(), expected, started)
        with Follower(api, PLACE, "run", "job", PIS, outages) as follower:  # type: ignore[arg-type]
            try:
                self.ending = follower.follow(self.tracker, started + seconds)
            except KubeError as error:
                self.error = error
        self.outages = outages.since(started)


SURVIVED: dict[str, dict[str, list[Step]]] = {
    "a healthy watch": {"jobs": [[added(a_job()), added(COMPLETE, "MODIFIED")]]},
    # The control plane came back with an older state: a watch opens, and then says that it cannot.
    "each watch is too far ahead": {
        "jobs": [[TOO_LARGE]],
        "lists": [[a_job(5)], [a_job(6)], [COMPLETE]],
    },
    "each watch has expired": {"jobs": [[EXPIRED]], "lists": [[a_job(5)], [COMPLETE]]},
    "the API is away for a while": {
        "jobs": [[added(a_job()), away()], away(), away(), [...]],
        "lists": [away(), away(), [COMPLETE]],
    },
    "a watch ends by itself each time": {"jobs": [[added(a_job())], [added(COMPLETE)]]},
    "a watch is deaf": {"jobs": [[...]], "gets": [COMPLETE], "lists": [[COMPLETE]]},
    "a watch is deaf, and the API was away when asked": {
        "jobs": [[...]],
        "gets": [away(), away(), COMPLETE],
        "lists": [away(), [a_job(5)]],
    },
    "a refusal passes": {"jobs": [FORBIDDEN, [...]], "lists": [FORBIDDEN, [COMPLETE]]},
}


@pytest.mark.parametrize("scripts", SURVIVED.values(), ids=SURVIVED)
def test_the_end_is_found_whatever_the_watches_do(scripts: dict[str, list[Step]]) -> None:
    found = Followed(ScriptedApi(**scripts))
    assert found.ending == Ending("Complete"), found.error


def test_a_watch_that_opens_and_fails_each_time_does_not_hide_that_lists_fail_too() -> None:
    found = Followed(ScriptedApi(jobs=[[TOO_LARGE]], lists=[away()], gets=[a_job()]))
    assert found.ending is None
    assert found.error is not None and "connection refused" in str(found.error)
    assert any("is away (connection refused); waiting for it" in line for line in found.lines)


def test_a_deadline_ends_the_wait_also_when_the_api_is_away() -> None:
    found = Followed(ScriptedApi(jobs=[away()], lists=[away()], gets=[away()]), seconds=0.5)
    assert found.error is not None and "connection refused" in str(found.error)


def test_a_deadline_ends_the_wait_for_a_job_that_goes_on() -> None:
    found = Followed(ScriptedApi(jobs=[[added(a_job()), ...]]), seconds=0.5)
    assert (found.ending, found.error) == (None, None)


def test_a_lasting_refusal_ends_the_trial() -> None:
    found = Followed(ScriptedApi(jobs=[FORBIDDEN], lists=[FORBIDDEN]))
    assert found.error is not None and found.error.status == 403


def test_an_outage_is_told_at_both_ends_and_kept() -> None:
    back = threading.Event()

    def lists() -> Any:
        if back.is_set():
            return [COMPLETE]
        return away()

    threading.Timer(0.6, back.set).start()
    found = Followed(ScriptedApi(jobs=[[added(a_job()), away()], [...]], lists=[lists], gets=[away()]))
    assert found.ending == Ending("Complete")
    first, last = found.lines
    assert first == "API server x is away (connection refused); waiting for it"
    assert last.startswith("API server x answers again after ")
    (outage,) = found.outages
    assert outage.what == "API server x (connection refused)"
    assert outage.lasted_seconds > 0.3


def test_an_answer_that_takes_long_is_an_outage() -> None:
    def slowly() -> Any:
        time.sleep(0.4)
        return COMPLETE

    found = Followed(ScriptedApi(jobs=[[added(a_job()), ...]], gets=[slowly], lists=[[COMPLETE]]))
    assert found.ending == Ending("Complete")
    (outage,) = found.outages
    assert outage.what == "API server x (no answer)"
    assert outage.lasted_seconds > 0.4


def test_a_job_that_is_gone_when_asked_for_was_deleted() -> None:
    gone = KubeError(Code.OBJECT_GONE_OR_CHANGED, "API server x", "answered 404", status=404)
    found = Followed(ScriptedApi(jobs=[[...]], gets=[gone]))
    assert found.ending is not None and found.ending.reason == "Deleted"


def test_a_controller_that_is_late_is_told_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pi_speedup.kube.tracker.LATE_SECONDS", 0.1)
    awake = threading.Event()
    threading.Timer(0.8, awake.set).start()
    ended = [added(a_pod(0, "Succeeded")), ...]
    found = Followed(ScriptedApi(jobs=[[added(a_job()), awake, added(COMPLETE)]], pods=[ended]))
    assert found.ending == Ending("Complete")
    assert found.lines[0].startswith(f"{CONTROLLERS} does not count the Job as complete")
    assert [outage.what.startswith(CONTROLLERS) for outage in found.outages] == [True]


def lease(pi: str) -> Any:
    return added({"metadata": {"name": pi, "resourceVersion": "1"}}, "MODIFIED")


def test_a_pi_that_stops_renewing_its_lease_is_told_and_kept() -> None:
    back = threading.Event()
    threading.Timer(1.2, back.set).start()
    beats = [lease("pi-1"), lease("pi-1"), back, lease("pi-1"), ...]
    done: Callable[[], Any] = lambda: COMPLETE if back.is_set() else a_job()  # noqa: E731
    found = Followed(
        ScriptedApi(jobs=[[added(a_job()), ...]], leases=[beats], gets=[done], lists=[[COMPLETE]])
    )
    assert found.ending == Ending("Complete")
    first, last = (line for line in found.lines if line.startswith("pi-1"))
    assert first.startswith("pi-1 stopped answering at ") and first.endswith("; waiting for it")
    assert last.startswith("pi-1 answers again after ")
    assert [outage.what.partition(" at ")[0] for outage in found.outages] == ["pi-1 (stopped answering"]
    # It is back: nothing shall be blamed on it any more.
    assert found.tracker.silent == {}


def test_leases_that_never_came_a_second_time_say_nothing_about_a_pi() -> None:
    found = Followed(ScriptedApi(jobs=[[added(a_job()), ...]], leases=[[lease("pi-1"), ...]]), seconds=1.5)
    assert found.lines == [] and found.outages == ()


def test_a_quiet_healthy_trial_costs_few_requests() -> None:
    api = ScriptedApi(jobs=[[added(a_job()), ...]])
    Followed(api, seconds=1.0)
    # Silence of 1 s, where 0.3 s and then 0.4 s are allowed.
    assert 1 <= api.asked.count("gets") <= 2
    assert api.asked.count("lists") == 0


def test_without_the_right_to_read_leases_and_events_they_are_asked_for_once() -> None:
    api = ScriptedApi(jobs=[[added(a_job()), ...]])
    Followed(api, seconds=0.5)
    assert (api.asked.count("leases"), api.asked.count("events")) == (1, 1)
