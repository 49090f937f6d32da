"""Following a Job over watches that break, lie or say nothing: each watch and each list is scripted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from pi_speedup.clock import boot_seconds
from pi_speedup.codes import Code
from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.follow import follow as follow_module
from pi_speedup.kube.follow import outages as outages_module
from pi_speedup.kube.follow import watcher as watcher_module
from pi_speedup.kube.follow.follow import NODE_LEASES, Follower
from pi_speedup.kube.follow.outages import Outages
from pi_speedup.kube.follow.tracker import CONTROLLERS, JobEnding, Tracker
from pi_speedup.kube.owned.owned import Place
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
            "lease_lists": [FORBIDDEN],
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
        if path == NODE_LEASES:
            return self._next("lease_lists"), "5"
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
        self.ending: JobEnding | None = None
        self.error: KubeError | None = None
        outages = Outages(self.lines.append)
        started = boot_seconds()
        self.tracker = Tracker(a_job(), expected, started)
        with Follower(api, PLACE, "run", "job", PIS, outages) as follower:  # type: ignore[arg-type]
            try:
                self.ending = follower.follow(self.tracker, started + seconds)
            except KubeError as error:
                self.error = error
            self.unheard = follower.unheard()
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
    assert found.ending == JobEnding("Complete"), found.error


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
    assert found.ending == JobEnding("Complete")
    first, last = found.lines
    assert first == "API server x is away (connection refused); waiting for it"
    assert last.startswith("API server x answers again after ")
    (outage,) = found.outages
    assert outage.what == "API server x (connection refused)"
    assert outage.lasted_seconds > 0.3


@pytest.mark.fault("API answers after 5 s", "survived", kept="all; the outage is in the trial")
def test_an_answer_that_takes_long_is_an_outage() -> None:
    def slowly() -> Any:
        time.sleep(0.4)
        return COMPLETE

    found = Followed(ScriptedApi(jobs=[[added(a_job()), ...]], gets=[slowly], lists=[[COMPLETE]]))
    assert found.ending == JobEnding("Complete")
    (outage,) = found.outages
    assert outage.what == "API server x (no answer)"
    assert outage.lasted_seconds > 0.4
    # The quiet before it was asked belongs to the pods that compute.
    assert outage.began_seconds >= follow_module.FIRST_QUIET_SECONDS


def test_a_job_that_is_gone_when_asked_for_was_deleted() -> None:
    gone = KubeError(Code.OBJECT_GONE_OR_CHANGED, "API server x", "answered 404", status=404)
    found = Followed(ScriptedApi(jobs=[[...]], gets=[gone]))
    assert found.ending is not None and found.ending.reason == "Deleted"


def test_a_controller_that_is_late_is_told_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pi_speedup.kube.follow.tracker.LATE_SECONDS", 0.1)
    awake = threading.Event()
    threading.Timer(0.8, awake.set).start()
    ended = [added(a_pod(0, "Succeeded")), ...]
    found = Followed(ScriptedApi(jobs=[[added(a_job()), awake, added(COMPLETE)]], pods=[ended]))
    assert found.ending == JobEnding("Complete")
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
    assert found.ending == JobEnding("Complete")
    first, last = (line for line in found.lines if line.startswith("pi-1"))
    assert first.startswith("pi-1 stopped answering at ") and first.endswith("; waiting for it")
    assert last.startswith("pi-1 answers again after ")
    assert [outage.what.partition(" at ")[0] for outage in found.outages] == ["pi-1 (stopped answering"]
    # It is back: nothing shall be blamed on it any more.
    assert found.tracker.silent == {}


def test_while_the_api_was_away_no_pi_was_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_module, "OUTAGE_SECONDS", 1000.0)
    monkeypatch.setattr(follow_module, "SILENT_SECONDS", 30.0)
    passed = 0.0
    for module in (follow_module, watcher_module):
        monkeypatch.setattr(module, "boot_seconds", lambda: boot_seconds() + passed)

    def after_a_long_outage() -> Any:
        nonlocal passed
        passed = 100.0
        return [a_job(5)]

    api = ScriptedApi(
        jobs=[[added(a_job()), away()], [...]],
        leases=[[lease("pi-1"), lease("pi-1"), ...]],
        lists=[away(), after_a_long_outage, [COMPLETE]],
        gets=[a_job(5), a_job(5), a_job(5), COMPLETE],
    )
    found = Followed(api, seconds=1000)
    assert found.ending == JobEnding("Complete"), found.error
    assert [line for line in found.lines if line.startswith("pi-1")] == []


@pytest.mark.fault(
    "control host suspended within a trial",
    "survived",
    kept="all; the wall time counts it, and the check outages is flagged",
)
def test_a_suspended_control_host_is_told_and_no_pi_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = 0.0
    for module in (follow_module, watcher_module, outages_module):
        monkeypatch.setattr(module, "boot_seconds", lambda: boot_seconds() + slept)
    monkeypatch.setattr(follow_module, "suspended_seconds", lambda: slept)

    def asleep() -> Any:
        nonlocal slept
        slept = 3600.0
        return a_job(5)

    api = ScriptedApi(
        jobs=[[added(a_job()), ...]],
        leases=[[lease("pi-1"), lease("pi-1"), ...]],
        gets=[asleep, a_job(5), COMPLETE],
        lists=[[COMPLETE]],
    )
    found = Followed(api, seconds=60)
    assert found.ending == JobEnding("Complete"), found.error
    assert "this machine was suspended, and answers again after 3600 s" in found.lines
    assert [line for line in found.lines if line.startswith("pi-1")] == []
    away = [outage.what for outage in found.outages if round(outage.lasted_seconds) == 3600]
    assert away == ["this machine (was suspended)"]


def test_leases_that_never_came_a_second_time_say_nothing_about_a_pi() -> None:
    found = Followed(ScriptedApi(jobs=[[added(a_job()), ...]], leases=[[lease("pi-1"), ...]]), seconds=1.5)
    assert found.lines == [] and found.outages == ()


def listed_lease(version: int) -> Any:
    return {"metadata": {"name": "pi-1", "resourceVersion": str(version)}}


# How a server that cannot watch Leases says so, after it has told of those that are there.
DEAF: dict[str, list[Step]] = {
    "a watch ends at once, without a word": [],
    "a watch fails at once": [EXPIRED],
    "a watch fails once it has told what is there": [added(listed_lease(2)), EXPIRED],
}


@pytest.mark.fault(
    "Leases of nodes cannot be watched, and a Pi is silent",
    "survived",
    kept="all",
    row="a watch fails at once",
)
@pytest.mark.parametrize("watch", DEAF.values(), ids=DEAF)
def test_where_leases_cannot_be_watched_a_silent_pi_is_told_all_the_same(watch: list[Step]) -> None:
    """Its Lease is there in each list, and does not change."""
    api = ScriptedApi(
        jobs=[[added(a_job()), ...]],
        leases=[watch],
        lease_lists=[[listed_lease(1)], [listed_lease(2)]],
    )
    found = Followed(api, seconds=2.5)
    assert [line.partition(" at ")[0] for line in found.lines if line.startswith("pi-1")] == [
        "pi-1 stopped answering"
    ]
    assert "leases" not in found.unheard


@pytest.mark.parametrize(
    ("script", "unheard"),
    [
        ({}, ("events", "leases")),
        ({"leases": [[EXPIRED]]}, ("events", "leases")),
        ({"leases": [[lease("pi-1"), ...]], "events": [[...]]}, ("leases",)),
        ({"leases": [[]], "lease_lists": [[listed_lease(1)]], "events": [[...]]}, ()),
    ],
    ids=["neither may be read", "watched in vain, not to be listed", "a deaf watch", "listed"],
)
def test_what_was_not_heard_is_known(script: dict[str, list[Step]], unheard: tuple[str, ...]) -> None:
    found = Followed(ScriptedApi(jobs=[[added(a_job()), ...]], **script), seconds=1.0)
    assert found.unheard == unheard


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
