"""Follow one trial's Job to its end, whatever the API server does in between.

Four watches tell what happens: the Job's, its pods', the namespace's events', and the Leases that each Pi's
kubelet renews every 10 s. The Leases say within 25 s that a Pi stopped answering, some 20 s before Kubernetes
does, and as long as they come the API server is there. When nothing at all comes, the Job is asked for.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

from pi_speedup.clock import boot_seconds, suspended_seconds
from pi_speedup.codes import Code
from pi_speedup.kube.access.client import ONCE, Json, KubeClient
from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.follow.outages import Outages
from pi_speedup.kube.follow.states import PodState
from pi_speedup.kube.follow.tracker import CONTROLLERS, SCHEDULER, JobEnding, Tracker
from pi_speedup.kube.follow.watcher import Item, Watcher
from pi_speedup.kube.nodes.nodes import NODE_LEASE_NAMESPACE
from pi_speedup.kube.owned.owned import RUN_ID_LABEL, Place

NODE_LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NODE_LEASE_NAMESPACE}/leases"
# A K3s server may restart under the run; its pods work on. A refusal may pass while it starts.
OUTAGE_SECONDS = 120.0
REFUSED_SECONDS = 30.0
# The first quiet moment of a trial is not trusted for long: in a short trial, a server that hangs would never
# be noticed. It is one more request, which a healthy cluster answers at once.
FIRST_QUIET_SECONDS = 4.0
# Kubelets renew their Lease every 10 s: so long it may be quiet in a healthy cluster.
BEAT_SECONDS = 12.0
# Without Leases to read, a healthy cluster is quiet while pods compute.
QUIET_SECONDS = 40.0
# Two renewals missed.
SILENT_SECONDS = 25.0
# An answer that took longer is an outage of that time.
SLOW_SECONDS = 2.0
_STEP_SECONDS = 0.5
_OPTIONAL = frozenset({"events", "leases"})
_PROBE = "probe"
_THIS_MACHINE = "this machine"


class Follower:
    """The watches of one trial, in a `with` block; what they tell, and what is judged by it.

    `pis` run a pod each, `job_name` need not exist yet. Times are boot_seconds.
    """

    def __init__(
        self,
        client: KubeClient,
        place: Place,
        run_id: str,
        job_name: str,
        pis: Sequence[str],
        outages: Outages,
    ) -> None:
        self._client, self._place, self._outages = client, place, outages
        self._job_path = f"{place.jobs}/{job_name}"
        self._into: queue.Queue[Item] = queue.Queue()
        job = {"fieldSelector": f"metadata.name={job_name}"}
        # Those of the trial before too: that they are gone is waited for.
        pods = {"labelSelector": f"{RUN_ID_LABEL}={run_id}"}
        self._watchers = {
            "job": Watcher(client, "job", place.jobs, job, self._into),
            "pods": Watcher(client, "pods", place.pods, pods, self._into),
            "leases": Watcher(client, "leases", NODE_LEASES, {}, self._into, optional=True),
        }
        self._api = f"API server {client.server}"
        self._tracker: Tracker | None = None
        self._trouble: dict[str, tuple[float, KubeError]] = {}
        self._beats = dict.fromkeys(pis, 0.0)
        self._lease_versions: dict[str, str] = {}
        self._has_beats = False
        self._heard = boot_seconds()
        self._probed = 0.0
        self._suspended = suspended_seconds()
        self._opened: set[str] = set()
        # The optional sources that fail now: what they would tell is not known.
        self._deaf: set[str] = set()
        # Moments without the Leases for longer than a Pi may be silent.
        self._unheard: set[str] = set()
        self._told = dict.fromkeys(_OPTIONAL, self._heard)
        self._stand: set[PodState] = set()
        self._gone: set[str] = set()
        self._there: set[str] | None = None

    def __enter__(self) -> Self:
        for watcher in self._watchers.values():
            watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for watcher in self._watchers.values():
            watcher.stop()

    def await_watches(self, seconds: float) -> None:
        """Wait until Job and pods are watched, so that nothing of the trial is missed; at most so long."""
        self._pump(lambda: {"job", "pods"} <= self._opened, seconds)

    def await_gone(self, uids: Iterable[str], seconds: float) -> bool:
        """Wait until the pods with these uids are gone, at most so long; return whether they are."""
        wanted = set(uids)
        return self._pump(lambda: not self._left_of(wanted), seconds)

    def _left_of(self, uids: set[str]) -> set[str]:
        left = uids - self._gone
        return left if self._there is None else left & self._there

    def follow(self, tracker: Tracker, deadline: float) -> JobEnding | None:
        """Return how the Job ended, None if `deadline` came first.

        KubeError if the API server stays away, is away at the deadline, or refuses.
        """
        self._tracker = tracker
        # From the Job's creation on: of an hour's events in the namespace none is read a second time.
        version = str(tracker.job["metadata"].get("resourceVersion", ""))
        kinds = ",".join(
            f"reason!={each}" for each in ("Scheduled", "Created", "Started", "SuccessfulCreate")
        )
        events = Watcher(
            self._client,
            "events",
            self._place.events,
            {"fieldSelector": kinds},
            self._into,
            version=version,
            optional=True,
        )
        self._watchers["events"] = events
        events.start()
        awake = deadline - suspended_seconds()
        while (now := boot_seconds()) < (deadline := awake + suspended_seconds()):
            self._wake_up(now)
            self._look_around(now)
            if ending := tracker.ending(now):
                # Whoever told of it, the API server is there.
                self._outages.ended(self._api, now, source=None)
                return ending
            self._probe_if_quiet(now, deadline)
            self._take_all(min(_STEP_SECONDS, max(0.0, deadline - now)))
        if self._trouble:
            raise next(iter(self._trouble.values()))[1]
        return None

    def _wake_up(self, now: float) -> None:
        """Note where this machine was suspended: what it heard late, nobody said late."""
        if (slept := suspended_seconds() - self._suspended) < SLOW_SECONDS:
            return
        self._suspended += slept
        self._outages.began(_THIS_MACHINE, "was suspended", now - slept)
        self._outages.ended(_THIS_MACHINE, now)
        self._heard, self._beats = now, {pi: now if beat else 0.0 for pi, beat in self._beats.items()}
        self._renew()

    def unheard(self) -> tuple[str, ...]:
        """Return which optional sources did not tell all the time: nothing follows from their silence."""
        self._note_deafness(boot_seconds())
        missing = {"leases"} if any(beat == 0 for beat in self._beats.values()) else set()
        if "events" not in self._opened:
            missing.add("events")
        deaf = self._deaf - ({"leases"} if not self._is_deaf(boot_seconds()) else set())
        return tuple(sorted(missing | deaf | self._unheard))

    def _is_deaf(self, now: float) -> bool:
        """Say whether the Leases cannot be watched, and were not told otherwise of late."""
        return "leases" in self._deaf and now - self._told["leases"] > BEAT_SECONDS

    def _note_deafness(self, now: float) -> None:
        if now - self._told["leases"] > SILENT_SECONDS:
            self._unheard.add("leases")

    def await_event(self, seconds: float) -> None:
        """Wait until a warning about the Job or a pod has come, at most so long."""
        self._pump(lambda: bool(self._tracker and self._tracker.warnings), seconds)

    def _pump(self, done: Callable[[], bool], seconds: float) -> bool:
        deadline = boot_seconds() + seconds
        while not done():
            left = deadline - boot_seconds()
            if left <= 0:
                return False
            self._take_all(min(_STEP_SECONDS, left))
            self._outages.tell_new(boot_seconds())
        return True

    def _take_all(self, seconds: float) -> None:
        """Take in what has come, or wait for something to come; judging each single one would cost a core."""
        try:
            self._take(self._into.get(timeout=seconds))
            while True:
                self._take(self._into.get_nowait())
        except queue.Empty:
            pass

    def _take(self, item: Item) -> None:
        if item.kind == "TROUBLE":
            if item.source in _OPTIONAL:
                self._deaf.add(item.source)
            else:
                self._in_trouble(item.source, item.content, item.at)
            return
        if item.kind == "OPEN":
            # No success yet: a watch may answer 200 and then that it cannot.
            self._opened.add(item.source)
            return
        self._heard = item.at
        if item.source in _OPTIONAL:
            self._note_deafness(item.at)
            self._deaf.discard(item.source)
            self._told[item.source] = item.at
        self._out_of_trouble(item.source, item.at)
        if _PROBE in self._trouble and item.at > self._probed:
            self._out_of_trouble(_PROBE, item.at)
        if item.kind != "BOOKMARK":
            getattr(self, f"_take_{item.source}")(item)

    def _take_job(self, item: Item) -> None:
        if self._tracker is None:
            return
        if item.kind == "LISTED":
            self._tracker.see_jobs(item.content, item.at)
        else:
            self._tracker.see_job(item.content, item.at, deleted=item.kind == "DELETED")

    def _take_pods(self, item: Item) -> None:
        if item.kind == "LISTED":
            self._there = {pod["metadata"]["uid"] for pod in item.content}
            if self._tracker:
                self._tracker.see_pods(item.content, item.at)
            return
        if item.kind == "DELETED":
            self._gone.add(item.content["metadata"]["uid"])
        if self._tracker:
            self._tracker.see_pod(item.content, item.at, deleted=item.kind == "DELETED")

    def _take_events(self, item: Item) -> None:
        if self._tracker and item.kind != "DELETED":
            for event in item.content if item.kind == "LISTED" else [item.content]:
                self._tracker.see_event(event, item.at)

    def _take_leases(self, item: Item) -> None:
        if item.kind != "DELETED":
            for lease in item.content if item.kind == "LISTED" else [item.content]:
                self._take_lease(lease, item)

    def _take_lease(self, lease: Json, item: Item) -> None:
        pi, version = lease["metadata"]["name"], str(lease["metadata"].get("resourceVersion"))
        before = self._lease_versions.get(pi)
        self._lease_versions[pi] = version
        # A list, or a watch that begins anew, tells once more what a Pi said that may have fallen silent.
        if pi not in self._beats or (item.kind != "MODIFIED" and version == before):
            return
        # The first word is what the Lease was; the Pi itself speaks from the second on.
        self._has_beats = self._has_beats or self._beats[pi] > 0
        self._beats[pi] = item.at
        self._outages.ended(pi, item.at)
        if self._tracker:
            self._tracker.silent.pop(pi, None)

    def _in_trouble(self, source: str, error: KubeError, at: float) -> None:
        since, _ = self._trouble.setdefault(source, (at, error))
        self._outages.began(self._api, _away(error), at, source)
        allowed = REFUSED_SECONDS if error.refused else OUTAGE_SECONDS
        if at - since > allowed:
            raise error

    def _out_of_trouble(self, source: str, at: float) -> None:
        if self._trouble.pop(source, None):
            self._outages.ended(self._api, at, source)
            if not self._trouble:
                # While the API was away no Pi could be heard.
                self._beats = {pi: max(at, beat) if beat else 0.0 for pi, beat in self._beats.items()}

    def _look_around(self, now: float) -> None:
        self._outages.tell_new(now)
        if self._trouble or self._tracker is None:
            return
        self._look_at_controllers(self._tracker, now)
        for state in self._tracker.standing(now):
            if state not in self._stand:
                self._stand.add(state)
                self._outages.say(f"{state} is still {state.phase}; waiting for it")
        self._note_deafness(now)
        if now - self._heard > BEAT_SECONDS or self._is_deaf(now):
            return
        for pi in sorted(self._tracker.waited_for):
            beat = self._beats.get(pi, 0.0)
            if self._has_beats and beat and now - beat > SILENT_SECONDS and not self._outages.is_going_on(pi):
                when = datetime.fromtimestamp(time.time() - (now - beat)).strftime("%H:%M:%S")
                self._tracker.silent[pi] = when
                self._outages.began(pi, f"stopped answering at {when}", beat)

    def _look_at_controllers(self, tracker: Tracker, now: float) -> None:
        late = tracker.late(now, after=self._outages.last_end(self._api))
        for who in (CONTROLLERS, SCHEDULER):
            if late and late.who == who:
                self._outages.began(who, late.what, late.since)
            else:
                self._outages.ended(who, now)

    def _probe_if_quiet(self, now: float, deadline: float) -> None:
        """Ask for the Job where nothing was heard for too long: no silence is taken for health."""
        quiet = BEAT_SECONDS if self._has_beats else QUIET_SECONDS
        quiet = quiet if self._probed else FIRST_QUIET_SECONDS
        if self._tracker is None or now - max(self._heard, self._probed) < quiet:
            return
        before = self._tracker.job["metadata"].get("resourceVersion")
        once = self._client.with_patience(ONCE)
        # Where Pis are heard, their silence is the server's; else it had nothing to say until it was asked.
        since, slept = self._heard if self._has_beats else now, suspended_seconds()
        try:
            job = once.get(self._job_path, read_seconds=max(0.5, deadline - now))
        except KubeError as error:
            self._probed = boot_seconds()
            if error.status == 404:
                self._tracker.see_jobs([], self._probed)
            else:
                self._in_trouble(_PROBE, error, since)
                self._renew()
            return
        self._probed = answered = boot_seconds()
        if answered - now - (suspended_seconds() - slept) > SLOW_SECONDS and not self._trouble:
            self._in_trouble(_PROBE, _silence(self._api), since)
        self._heard = answered
        self._out_of_trouble(_PROBE, answered)
        self._tracker.see_job(job, answered)
        if job["metadata"].get("resourceVersion") != before:
            self._renew()

    def _renew(self) -> None:
        """Begin the watches anew: what they should have told was not heard."""
        for source in ("job", "pods"):
            self._watchers[source].renew()


def _silence(api: str) -> KubeError:
    return KubeError(Code.API_UNREACHABLE, api, "cannot be reached: no answer", passes_by_itself=True)


def _away(error: KubeError) -> str:
    """Return in a few words how the API server fails."""
    what = error.problem.what
    if error.status is None:
        return f"is away ({what.removeprefix('cannot be reached: ')})"
    return what


def listed_pods(client: KubeClient, place: Place, run_id: str) -> list[Json]:
    """Return the run's pods."""
    return client.list_all(place.pods, {"labelSelector": f"{RUN_ID_LABEL}={run_id}"})[0]
