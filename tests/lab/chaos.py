"""What may happen to a run, drawn at random from a seed: the same seed draws the same again."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pi_speedup.kube.access.client import KubeClient
from pi_speedup.kube.owned.lease import hold
from pi_speedup.kube.owned.owned import Place
from pi_speedup.problem import ProblemError
from tests.containers.cluster import PIS, Cluster
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
from tests.lab.killed import WAYS, tree_of, workers_of
from tests.lab.lab import Lab
from tests.virtual import Outcome, Playing, await_that

# The lab, or containers, which have SSH, Docker and kubelets.
KIND = os.environ.get("CHAOS_KIND", "lab")
NAMESPACE = "pi-speedup"
# Of another team, which measures on the same Pis.
BESIDE = "chaos-beside"
_WHERE = f"--namespace={NAMESPACE}"
CLOCK_SET = "control host's clock set"


class HostClock:
    """The time of day that a run's processes see, while the kernel's clock stays everybody's."""

    def __init__(self, folder: Path) -> None:
        self._library, self._path = folder / "host_clock.so", folder / "ahead"
        self._path.write_bytes(struct.pack("l", 0))

    def environment(self) -> dict[str, str]:
        """Return the environment of what is to see it; needs a C compiler."""
        source = Path(__file__).with_name("host_clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self._library, source, "-ldl"], check=True)
        return {"LD_PRELOAD": str(self._library), "HOST_CLOCK": str(self._path)}

    def set(self, seconds: int) -> None:
        """Set it so far ahead of the kernel's."""
        # In place: it is mapped.
        with self._path.open("r+b") as file:
            file.write(struct.pack("l", seconds))


@dataclass(frozen=True)
class Scene:
    """A run on its way, and where it can be hurt; `chance` draws what a stroke leaves open.

    Strokes that met something say so in `met`: there may be no pod to delete, or no request to spoil.
    """

    lab: Lab | Cluster
    proxy: FaultProxy
    playing: Playing
    run_id: str
    clock: HostClock
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


def _always(words: str, action: Action, name: str) -> Happening:
    @contextmanager
    def spoilt(scene: Scene) -> Iterator[None]:
        with _in(scene, Fault(words, action, ALWAYS), name):
            yield

    return spoilt


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
        assert isinstance(scene.lab, Lab)
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


@contextmanager
def _claim_taken(scene: Scene) -> Iterator[None]:
    """Let somebody else have the claim, once it was taken away."""
    with _lease_deleted(scene), KubeClient(scene.lab.folder / "kubeconfig") as client:
        taken = contextlib.ExitStack()
        try:
            taken.enter_context(hold(client, Place(NAMESPACE), "bob@desk", "thief"))
            scene.met.append("claim taken")
        except ProblemError:
            # The run has it again, or there is no owner yet; or another stroke stopped the API server.
            pass
        with taken:
            yield


@contextmanager
def _measured_beside(scene: Scene) -> Iterator[None]:
    """Let another team measure in its namespace, with the same run id, and clean up after it."""
    theirs: dict[str, object] = {
        "benchmark_namespace": BESIDE,
        "benchmark_runs_dir": scene.lab.folder.parent / BESIDE,
    }
    few = {"benchmark_rounds": 1, "benchmark_long_rounds": 0, "benchmark_report_formats": "json"}
    other = scene.lab.start(
        "benchmark.yml",
        **theirs,
        **few,
        benchmark_run_id=scene.run_id,
        benchmark_samples_per_process=1_000_000,
        benchmark_timeout_seconds=30,
    )
    scene.met.append(f"a benchmark in {BESIDE}")
    try:
        yield
    finally:
        output = other.end(within_seconds=240).output
        assert "Traceback" not in output, output

        def cleaned() -> bool:
            # Another stroke may have stopped the API server; a killed one's claim runs out by itself.
            return scene.lab.play("cleanup.yml", **theirs, cleanup_running="true").exit_code == 0

        await_that(cleaned, f"{BESIDE} is cleaned up", within_seconds=120)


@contextmanager
def _suspended(scene: Scene) -> Iterator[None]:
    """Stop all processes of the control host, as they are when it is suspended."""
    pids = [pid for pid in tree_of(scene.playing) if _sent(pid, signal.SIGSTOP)]
    if pids:
        scene.met.append("control host suspended")
    try:
        yield
    finally:
        for pid in pids:
            _sent(pid, signal.SIGCONT)


@contextmanager
def _clock_set(scene: Scene) -> Iterator[None]:
    seconds = scene.chance.choice((-3600, -90, 3600))
    scene.clock.set(seconds)
    scene.met.append(f"control host's clock set by {seconds} s")
    try:
        yield
    finally:
        scene.clock.set(0)


def _sent(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def _frozen(scene: Scene) -> Iterator[None]:
    assert isinstance(scene.lab, Cluster)
    # Not the one on which the API server runs.
    pi = scene.chance.choice(PIS[1:])
    with scene.lab.frozen(pi):
        scene.met.append(f"{pi} frozen")
        yield


@contextmanager
def _without_sshd(scene: Scene) -> Iterator[None]:
    assert isinstance(scene.lab, Cluster)
    pi = scene.chance.choice(PIS)
    with scene.lab.without_sshd(pi):
        scene.met.append(f"no sshd on {pi}")
        yield


@contextmanager
def _connections_broken(scene: Scene) -> Iterator[None]:
    assert isinstance(scene.lab, Cluster)
    # There may be none.
    with contextlib.suppress(AssertionError):
        scene.lab.break_connections("pi-1")
        scene.met.append("connections of pi-1 broken")
    yield


@contextmanager
def _container_removed(scene: Scene) -> Iterator[None]:
    assert isinstance(scene.lab, Cluster)
    ours = ("--quiet", f"--filter=label=pi-speedup/run-id={scene.run_id}")
    while scene.playing.process.poll() is None:
        if ids := scene.lab.on("pi-1", "docker", "ps", *ours).split():
            with contextlib.suppress(AssertionError):
                scene.lab.on("pi-1", "docker", "rm", "--force", *ids)
                scene.met.append("base case's container removed")
            break
        time.sleep(_POLL_SECONDS)
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


def _among_the_trials(put: Callable[[Path], None]) -> Happening:
    @contextmanager
    def odd(scene: Scene) -> Iterator[None]:
        name = f"odd-{scene.chance.getrandbits(32)}.json"
        path = scene.playing.run_dir.with_name(scene.run_id) / "trials" / name
        while scene.playing.process.poll() is None and not path.parent.is_dir():
            time.sleep(_POLL_SECONDS)
        if not path.parent.is_dir():
            yield
            return
        put(path)
        scene.met.append(f"{path.name} among the trials")
        try:
            yield
        finally:
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()

    return odd


def _put_a_gib(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**30)


_OF_A_LAB: dict[str, Happening] = {
    **{
        f"{component} paused": _paused(component)
        for component in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
    },
    "Pi lost": _sick("lost"),
    "Pi not ready": _sick("not-ready"),
    "Pi short of disk space": _sick("pressure"),
}
_OF_CONTAINERS: dict[str, Happening] = {
    "Pi frozen": _frozen,
    "sshd ended": _without_sshd,
    "ssh connections broken": _connections_broken,
    "base case's container removed": _container_removed,
}
STROKES: dict[str, Happening] = {
    **{f"API: {name}": _spoilt(name) for name in _ANSWERS},
    "API: away": _always("/", resets, "away"),
    "API: watches of Leases end at once": _always("WATCH /leases", answers(200), "no word"),
    "API: nothing of other namespaces": _always("GET /api/v1/pods", answers(403), "403"),
    **(_OF_CONTAINERS if KIND == "containers" else _OF_A_LAB),
    "Pi cordoned": _cordoned,
    "pod deleted": _pod_deleted,
    "Job deleted": _job_deleted,
    "Job suspended": _job_suspended,
    "Lease deleted": _lease_deleted,
    "claim taken by another": _claim_taken,
    "a benchmark and a clean-up in another namespace": _measured_beside,
    "control host suspended": _suspended,
    CLOCK_SET: _clock_set,
    "worker killed": _worker_killed,
    **{f"playbook: {way}": _playbook_killed(way) for way in WAYS},
    "files: a pipe among the trials": _among_the_trials(os.mkfifo),
    "files: endless zeros among the trials": _among_the_trials(lambda path: path.symlink_to("/dev/zero")),
    "files: a GiB among the trials": _among_the_trials(_put_a_gib),
    "files: a loop among the trials": _among_the_trials(lambda path: path.symlink_to(path)),
    "files: a folder among the trials": _among_the_trials(os.mkdir),
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
