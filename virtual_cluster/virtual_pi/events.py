"""Events about pods, posted in order beside the work; repeats are counted on one Event, as a kubelet does."""

import asyncio
import time
from dataclasses import dataclass

from .api import MERGE, ApiError, Json, Link
from .times import rfc3339


@dataclass(frozen=True, slots=True)
class _Event:
    pod: Json
    type: str
    reason: str
    message: str
    field_path: str
    seen_at: float

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.pod["metadata"]["uid"], self.reason, self.message, self.field_path


class EventRecorder:
    """The events of one Pi."""

    def __init__(self, link: Link, pi_name: str) -> None:
        self._link = link
        self._pi_name = pi_name
        self._queue: asyncio.Queue[_Event] = asyncio.Queue()
        self._posted: dict[tuple[str, str, str, str], tuple[str, int]] = {}

    def record(self, pod: Json, type: str, reason: str, message: str, container: str = "") -> None:
        """Note an event of type Normal or Warning; it is posted soon."""
        field_path = f"spec.containers{{{container}}}" if container else ""
        self._queue.put_nowait(_Event(pod, type, reason, message, field_path, time.time()))

    def forget(self, pod: Json) -> None:
        """The pod is gone: its events are never repeated."""
        uid = pod["metadata"]["uid"]
        self._posted = {key: value for key, value in self._posted.items() if key[0] != uid}

    async def run(self) -> None:
        """Post what is recorded, for ever."""
        while True:
            event = await self._queue.get()
            try:
                await self._post(event)
            except ApiError:
                # The namespace is being deleted, or the Event expired: a kubelet drops it, too.
                self._posted.pop(event.key, None)

    async def _post(self, event: _Event) -> None:
        meta = event.pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/events"
        seen = rfc3339(event.seen_at)
        # Named by its time, as by a kubelet: events of one second are listed by name.
        new = f"{meta['name'][:230]}.{int(event.seen_at * 1e9):x}"
        name, count = self._posted.get(event.key, (new, 0))
        self._posted[event.key] = (name, count + 1)
        if count:
            body: Json = {"count": count + 1, "lastTimestamp": seen}
            await self._link.call("PATCH", f"{path}/{name}", body, content_type=MERGE)
            return
        reference = {key: meta[key] for key in ("namespace", "name", "uid", "resourceVersion")}
        body = {
            "metadata": {"namespace": meta["namespace"], "name": name},
            "involvedObject": {"kind": "Pod", "apiVersion": "v1", "fieldPath": event.field_path} | reference,
            "type": event.type,
            "reason": event.reason,
            "message": event.message[:1024],
            "source": {"component": "kubelet", "host": self._pi_name},
            "reportingComponent": "kubelet",
            "reportingInstance": self._pi_name,
            "firstTimestamp": seen,
            "lastTimestamp": seen,
            "count": 1,
        }
        await self._link.call("POST", path, body)
