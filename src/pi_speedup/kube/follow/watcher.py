"""One collection's changes as they come, over as many watches and lists as it takes."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import Any

from pi_speedup.clock import boot_seconds
from pi_speedup.kube.access.client import KubeClient, Query, Watch
from pi_speedup.kube.access.errors import KubeError

_LONGEST_PAUSE_SECONDS = 5.0
_SHORTEST_PAUSE_SECONDS = 0.1
# A watch that lasted so long was a good one: the next may begin at once.
_GOOD_WATCH_SECONDS = 10.0
# One that the server ends before, without a word, tells nothing.
_LEAST_WATCH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Item:
    """What a watcher met, and when (boot_seconds).

    `kind` and `content`: ADDED, MODIFIED, DELETED, BOOKMARK and the object; LISTED and all objects of the
    collection; OPEN and None, a watch has begun; TROUBLE and the KubeError with which asking has failed.
    """

    source: str
    kind: str
    content: Any
    at: float


class Watcher(threading.Thread):
    """Feeds one collection's changes into a queue.

    The first watch begins with all objects that are there, or after `version` if given. A watch that the
    server ends is continued where it ended. After any error the collection is listed anew, without a resource
    version: whatever state the server has come back with, that is what it is now. Only if that fails is there
    trouble. An `optional` collection that cannot be watched is listed from time to time; one that may not be
    listed is only watched, and one that may not be watched is given up.
    """

    def __init__(
        self,
        client: KubeClient,
        source: str,
        path: str,
        query: Query,
        into: queue.Queue[Item],
        *,
        version: str = "",
        optional: bool = False,
    ) -> None:
        super().__init__(name=f"watch {source}", daemon=True)
        self._client, self._source, self._path, self._query, self._into = client, source, path, query, into
        self._version, self._optional = version, optional
        self._anew, self._may_list = False, True
        self._stopped = threading.Event()
        self._watch: Watch | None = None

    def run(self) -> None:
        """Watch until stopped."""
        pause = 0.0
        while not self._stopped.wait(pause):
            began = boot_seconds()
            trouble = False
            try:
                if self._anew:
                    trouble = True  # if even this fails
                    self._list()
                    trouble = False
                told = self._follow()
                if self._optional and not told and boot_seconds() - began < _LEAST_WATCH_SECONDS:
                    self._anew = self._may_list
                    pause = min(_LONGEST_PAUSE_SECONDS, 2 * pause or _SHORTEST_PAUSE_SECONDS)
                else:
                    pause = _SHORTEST_PAUSE_SECONDS
            except KubeError as error:
                if self._stopped.is_set():
                    return
                # A watch that breaks is no trouble as long as a list, asked for at once, tells what is there.
                if trouble or (self._optional and (error.refused or not self._may_list)):
                    self._put("TROUBLE", error)
                if self._optional and error.refused:
                    if not trouble:
                        return
                    self._may_list = False
                self._anew, self._version = self._may_list, ""
                good = boot_seconds() - began > _GOOD_WATCH_SECONDS
                pause = 0.0 if good else min(_LONGEST_PAUSE_SECONDS, 2 * pause or _SHORTEST_PAUSE_SECONDS)

    def renew(self) -> None:
        """List anew, since the present watch seems to be deaf."""
        self._anew = True
        if self._watch:
            self._watch.close()

    def stop(self) -> None:
        """End soon; nothing that comes after this is worth reading."""
        self._stopped.set()
        if self._watch:
            self._watch.close()

    def _list(self) -> None:
        items, self._version = self._client.list_all(self._path, self._query)
        self._anew = False
        self._put("LISTED", items)

    def _follow(self) -> bool:
        """Follow one watch to its end; return whether it told anything."""
        told = False
        since = {"resourceVersion": self._version} if self._version else {}
        self._watch = self._client.open_watch(self._path, {**self._query, **since})
        if self._stopped.is_set():
            self._watch.close()
        self._put("OPEN", None)
        for event in self._watch:
            told = True
            self._version = str(event["object"].get("metadata", {}).get("resourceVersion") or self._version)
            self._put(event["type"], event["object"])
            if self._anew:
                self._watch.close()
        return told

    def _put(self, kind: str, content: Any) -> None:
        self._into.put(Item(self._source, kind, content, boot_seconds()))
