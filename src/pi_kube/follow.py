"""Follow a Job to its end: three watches, one deadline, whatever the API server does in between."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from pi_kube.client import Json, KubeClient, Query, Watch
from pi_kube.errors import KubeError
from pi_kube.ours import Place
from pi_kube.tracker import Ending, Tracker

# A K3s server may restart under the run; its pods work on. A refusal may pass while it starts.
OUTAGE_SECONDS = 120.0
REFUSED_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 5.0
_SHORTEST_PAUSE_SECONDS = 0.1

Item = tuple[str, str, Json | KubeError]
# By source: since when (monotonic seconds) its watch fails, and how it first failed.
Trouble = dict[str, tuple[float, KubeError]]


class _Watcher(threading.Thread):
    """Feeds one collection's events into a queue, over as many watches as it takes.

    Each watch begins with all objects that are there, so a broken one loses nothing but a deletion.
    """

    def __init__(
        self, client: KubeClient, source: str, path: str, query: Query, into: queue.Queue[Item]
    ) -> None:
        super().__init__(name=f"watch {source}", daemon=True)
        self._client, self._source, self._path, self._query, self._into = client, source, path, query, into
        self._stopped = threading.Event()
        self._watch: Watch | None = None

    def run(self) -> None:
        pause = 0.0
        while not self._stopped.wait(pause):
            try:
                self._watch = self._client.open_watch(self._path, self._query)
                self._into.put((self._source, "OPEN", {}))
                for event in self._watch:
                    self._into.put((self._source, event["type"], event["object"]))
                # The server ends a watch now and then; one that does so at once shall not be run hot.
                pause = _SHORTEST_PAUSE_SECONDS
            except KubeError as error:
                pause = min(_LONGEST_PAUSE_SECONDS, 2 * pause or _SHORTEST_PAUSE_SECONDS)
                self._into.put((self._source, "TROUBLE", error))

    def stop(self) -> None:
        self._stopped.set()
        if self._watch:
            self._watch.close()


def follow(
    client: KubeClient,
    place: Place,
    tracker: Tracker,
    pod_selector: str,
    deadline: float,
    report: Callable[[str], None],
) -> Ending | None:
    """Return how the Job ended, None if `deadline` (seconds of time.monotonic) came first.

    Each change of a pod goes to `report` as one line. KubeError if the API server stays away, is
    away at the deadline, or refuses.
    """
    into: queue.Queue[Item] = queue.Queue()
    name = tracker.job["metadata"]["name"]
    watchers = [
        _Watcher(client, "job", place.jobs, {"fieldSelector": f"metadata.name={name}"}, into),
        _Watcher(client, "pods", place.pods, {"labelSelector": pod_selector}, into),
        _Watcher(client, "events", f"{place.namespace_path}/events", {"fieldSelector": "type=Warning"}, into),
    ]
    for watcher in watchers:
        watcher.start()
    trouble: Trouble = {}
    try:
        while (now := time.monotonic()) < deadline:
            ending = tracker.ending(now)
            if ending:
                return ending
            try:
                item = into.get(timeout=tracker.next_check(now, longest=deadline - now))
            except queue.Empty:
                continue
            _take(item, tracker, trouble, report)
        if lost := [error for source, (_, error) in trouble.items() if source != "events"]:
            raise lost[0]
        return None
    finally:
        for watcher in watchers:
            watcher.stop()


def _take(item: Item, tracker: Tracker, trouble: Trouble, report: Callable[[str], None]) -> None:
    source, kind, content = item
    if isinstance(content, KubeError):
        now = time.monotonic()
        if content.status is None and not trouble:
            report(f"the API server is away, waiting for it: {content}")
        since, _ = trouble.setdefault(source, (now, content))
        # Events are only there to explain: without the right to read them the run goes on.
        allowed = REFUSED_SECONDS if content.status in (401, 403) else OUTAGE_SECONDS
        if source != "events" and now - since > allowed:
            raise content
        return
    trouble.pop(source, None)
    if kind == "OPEN":
        return
    if source == "job":
        tracker.see_job(content, deleted=kind == "DELETED")
    elif source == "events":
        tracker.see_event(content)
    else:
        line = tracker.see_pod(content, deleted=kind == "DELETED")
        if line:
            report(line)
