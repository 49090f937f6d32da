"""What may happen to a run, drawn at random from a seed: the same seed draws the same again."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tests.lab.fault_proxy import (
    ALWAYS,
    Action,
    Fault,
    FaultProxy,
    answers,
    breaks,
    cuts,
    does_it_but,
    hangs,
    resets,
)
from tests.lab.killed import WAYS, workers_of
from tests.lab.lab import Lab
from tests.virtual import Outcome, Playing, await_that

NAMESPACE = "pi-speedup"
_WHERE = f"--namespace={NAMESPACE}"


@dataclass(frozen=True)
class Scene:
    """A run on its way, and where it can be hurt; `chance` draws what a stroke leaves open.

    Strokes that met something say so in `met`: there may be no pod to delete, or no request to spoil.
    """

    lab: Lab
    proxy: FaultProxy
    playing: Playing
    run_id: str
    chance: random.Random
    met: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Stroke:
    """One thing that happens: so many seconds after the start, for so long; `what` is one of STROKES."""

    at: float
    what: str
    seconds: float
    seed: int

    def __str__(self) -> str:
        return f"{self.what} at {self.at:.1f} s for {self.seconds:.1f} s"


Happening = Callable[[Scene], AbstractContextManager[None]]

# A request of these kinds, whatever it is for; a base case asks for none.
_REQUESTS = (
    "GET",
    "POST",
    "PATCH",
    "DELETE",
    "WATCH",
    "/pods",
    "/jobs",
    "/leases",
    "WATCH /pods",
    "POST /jobs",
)
_HTML = "<html><body>welcome</body></html>"
_ANSWERS: dict[str, Action] = {
    "500": answers(500, "oops"),
    "503": answers(503),
    "504": answers(504),
    "429": answers(429, Retry_After="1"),
    "reset": resets,
    "reset after it was done": does_it_but(resets),
    "500 after it was done": does_it_but(answers(500)),
    "silence": hangs,
    "HTML": answers(200, _HTML),
    "JSON cut off": answers(200, '{"items": ['),
    "answer broken off": breaks(200),
    "answer cut": cuts(200),
}


def _spoilt(name: str) -> Happening:
    @contextmanager
    def spoilt(scene: Scene) -> Iterator[None]:
        fault = Fault(scene.chance.choice(_REQUESTS), _ANSWERS[name], scene.chance.randint(1, 3))
        with _in(scene, fault, name):
            yield

    return spoilt


@contextmanager
def _api_away(scene: Scene) -> Iterator[None]:
    with _in(scene, Fault("/", resets, ALWAYS), "away"):
        yield


@contextmanager
def _in(scene: Scene, fault: Fault, name: str) -> Iterator[None]:
    scene.proxy.faults.append(fault)
    try:
        yield
    finally:
        scene.proxy.faults.remove(fault)
        if times := scene.proxy.injected.count(fault):
            scene.met.append(f"{name} instead of {times} x {fault.words}")


def _paused(component: str) -> Happening:
    @contextmanager
    def paused(scene: Scene) -> Iterator[None]:
        pid = scene.lab.pid(component)
        os.kill(pid, signal.SIGSTOP)
        scene.met.append(f"{component} paused")
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    return paused


def _sick(fault: str) -> Happening:
    @contextmanager
    def sick(scene: Scene) -> Iterator[None]:
        pi = _some_pi(scene)
        _insist(scene, "annotate", "node", pi, f"virtual-pi/fault={fault}", "--overwrite")
        scene.met.append(f"{pi} {fault}")
        try:
            yield
        finally:
            _insist(scene, "annotate", "node", pi, "virtual-pi/fault-")

    return sick


@contextmanager
def _cordoned(scene: Scene) -> Iterator[None]:
    pi = _some_pi(scene)
    _insist(scene, "cordon", pi)
    scene.met.append(f"{pi} cordoned")
    try:
        yield
    finally:
        _insist(scene, "uncordon", pi)


def _insist(scene: Scene, *words: str) -> None:
    """Run kubectl until it goes well: another stroke may have stopped the API server."""
    await_that(lambda: scene.lab.attempt("kubectl", "--", *words).returncode == 0, f"kubectl {words[0]}")


def _some_pi(scene: Scene) -> str:
    return scene.chance.choice(("pi-1", "pi-2", "pi-3"))


@contextmanager
def _pod_deleted(scene: Scene) -> Iterator[None]:
    if name := _one_of_its(scene, "pods"):
        _delete(scene, "pod", name)
    yield


@contextmanager
def _job_deleted(scene: Scene) -> Iterator[None]:
    if name := _one_of_its(scene, "jobs"):
        _delete(scene, "job", name)
    yield


@contextmanager
def _job_suspended(scene: Scene) -> Iterator[None]:
    if name := _one_of_its(scene, "jobs"):
        _suspend(scene, name, True)
        yield
        _suspend(scene, name, False)
    else:
        yield


def _suspend(scene: Scene, job: str, suspended: bool) -> None:
    patch = json.dumps({"spec": {"suspend": suspended}})
    words = ("patch", "job", job, _WHERE, "--type=merge", f"--patch={patch}")
    # It may have ended by now, or be gone.
    if scene.lab.attempt("kubectl", "--", *words).returncode == 0 and suspended:
        scene.met.append(f"job {job} suspended")


@contextmanager
def _lease_deleted(scene: Scene) -> Iterator[None]:
    _delete(scene, "lease", "pi-speedup")
    yield


def _delete(scene: Scene, kind: str, name: str) -> None:
    if scene.lab.attempt("kubectl", "--", "delete", kind, name, _WHERE, "--wait=false").returncode == 0:
        scene.met.append(f"{kind} {name} deleted")


def _one_of_its(scene: Scene, kind: str) -> str | None:
    """Return one of the run's objects, once there is one; None if it ends before."""
    selector = f"--selector=pi-speedup/run-id={scene.run_id}"
    while scene.playing.process.poll() is None:
        done = scene.lab.attempt("kubectl", "--", "get", kind, _WHERE, selector, "--output=json")
        # No answer while the API server stands still.
        items: list[Any] = json.loads(done.stdout)["items"] if done.returncode == 0 else []
        if names := sorted(str(item["metadata"]["name"]) for item in items):
            return scene.chance.choice(names)
        time.sleep(_POLL_SECONDS)
    return None


@contextmanager
def _worker_killed(scene: Scene) -> Iterator[None]:
    while scene.playing.process.poll() is None and not (pids := sorted(workers_of(scene.run_id))):
        time.sleep(_POLL_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        if scene.playing.process.poll() is None:
            os.kill(scene.chance.choice(pids), signal.SIGKILL)
            scene.met.append("worker killed")
    yield


def _playbook_killed(way: str) -> Happening:
    @contextmanager
    def killed(scene: Scene) -> Iterator[None]:
        if scene.playing.process.poll() is None:
            WAYS[way](scene.playing)
            scene.met.append(way)
        yield

    return killed


STROKES: dict[str, Happening] = {
    **{f"API: {name}": _spoilt(name) for name in _ANSWERS},
    "API: away": _api_away,
    **{
        f"{component} paused": _paused(component)
        for component in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
    },
    "Pi lost": _sick("lost"),
    "Pi not ready": _sick("not-ready"),
    "Pi short of disk space": _sick("pressure"),
    "Pi cordoned": _cordoned,
    "pod deleted": _pod_deleted,
    "Job deleted": _job_deleted,
    "Job suspended": _job_suspended,
    "Lease deleted": _lease_deleted,
    "worker killed": _worker_killed,
    **{f"playbook: {way}": _playbook_killed(way) for way in WAYS},
}
_LONGEST_SECONDS = 15.0
_POLL_SECONDS = 0.05
_MOST = 3


def schedule(chance: random.Random, run_seconds: float) -> tuple[Stroke, ...]:
    """Draw one to three strokes for a run that takes so long where nothing happens, in order of time."""
    strokes = [
        Stroke(
            chance.uniform(0, run_seconds), what, chance.uniform(1, _LONGEST_SECONDS), chance.getrandbits(32)
        )
        for what in chance.sample(sorted(STROKES), chance.randint(1, _MOST))
    ]
    return tuple(sorted(strokes, key=lambda stroke: stroke.at))


def let_happen(scene: Scene, strokes: Sequence[Stroke], patience_seconds: float) -> tuple[Outcome, float]:
    """Let all strokes happen; return how the run ended, and after how many seconds.

    Each stroke is taken back at its end. What has not begun when the run ends does not happen.
    AssertionError if the run takes more than `patience_seconds`.
    """
    began = time.monotonic()
    with ThreadPoolExecutor(len(strokes)) as threads:
        happening = [threads.submit(_happen, scene, stroke, began) for stroke in strokes]
        outcome = scene.playing.end(within_seconds=patience_seconds)
        spent = time.monotonic() - began
    for each in happening:
        each.result()
    return outcome, spent


def _happen(scene: Scene, stroke: Stroke, began: float) -> None:
    own = replace(scene, chance=random.Random(stroke.seed))
    if not _ends_before(scene.playing, began + stroke.at):
        with STROKES[stroke.what](own):
            _ends_before(scene.playing, time.monotonic() + stroke.seconds)


def _ends_before(playing: Playing, moment: float) -> bool:
    """Wait for a moment, which is itself what is tested, or for the run's end; say which came first."""
    while time.monotonic() < moment:
        if playing.process.poll() is not None:
            return True
        time.sleep(_POLL_SECONDS)
    return False
