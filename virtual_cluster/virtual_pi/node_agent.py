"""One Pi's Node: registered, kept alive by its Lease, and made to show the fault its annotation names."""

import asyncio
import contextlib
import random
import sys
import time

from .api import STRATEGIC, ApiError, Json, Link
from .config import Pi
from .node import FAULT_ANNOTATION, FAULTS, lease_object, node_object, node_status

_RENEW_SECONDS = 10.0
# As a kubelet: without changes the status itself is sent only this often, the Lease says "alive".
_STATUS_SECONDS = 300.0
# An API server that has just started says 403 until its RBAC rules are loaded.
_FORBIDDEN_TRIES = 20
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class NodeAgent:
    """Registers and renews one Node."""

    def __init__(self, pi: Pi, port: int, version: str, file_system: str, link: Link) -> None:
        self._pi, self._port, self._version, self._link = pi, port, version, link
        self._file_system = file_system
        self._path = f"/api/v1/nodes/{pi.name}"
        self._uid = ""
        self._fault: str | None = None
        self._conditions: dict[str, Json] = {}
        self._changed = asyncio.Event()

    async def register(self) -> None:
        """Create the Node, or take over the one an earlier run left behind."""
        node = node_object(self._pi, self._file_system)
        try:
            created = await self._create(node | {"status": self._status()})
        except ApiError as error:
            if error.status != 409:
                raise
            created = await self._link.call("PATCH", self._path, node, content_type=STRATEGIC)
            await self._send_status()
        self._uid = created["metadata"]["uid"]
        self.observe(created)

    async def _create(self, node: Json) -> Json:
        for _ in range(_FORBIDDEN_TRIES):
            try:
                return await self._link.call("POST", "/api/v1/nodes", node)
            except ApiError as error:
                if error.status != 403:
                    raise
                await asyncio.sleep(0.5)
        return await self._link.call("POST", "/api/v1/nodes", node)

    def observe(self, node: Json) -> None:
        """Obey the Node's fault annotation, and contradict what another says of it.

        That is the node controller's Unknown, after an outage in which the Lease ran out: a kubelet compares
        at each of its rounds, and does not wait until its status is due.
        """
        said = {each["type"]: each["status"] for each in node.get("status", {}).get("conditions") or ()}
        if any(said.get(kind) != ours["status"] for kind, ours in self._conditions.items()):
            self._changed.set()
        fault = (node["metadata"].get("annotations") or {}).get(FAULT_ANNOTATION) or None
        if fault == self._fault:
            return
        if fault is not None and fault not in FAULTS:
            known = ", ".join(FAULTS)
            print(f"{self._pi.name}: unknown {FAULT_ANNOTATION} {fault!r}; known: {known}", file=sys.stderr)
            return
        self._fault = fault
        if fault == "lost":
            self._link.up.clear()
        else:
            self._link.up.set()
        self._changed.set()

    async def run(self) -> None:
        """Renew for ever."""
        await self._renew()
        # 300 Pis should not all renew in the same moment.
        pause = random.uniform(0, _RENEW_SECONDS)
        status_sent = time.monotonic()
        while True:
            try:
                await asyncio.wait_for(self._changed.wait(), pause)
                self._changed.clear()
                await self._send_status()
                status_sent = time.monotonic()
            except TimeoutError:
                await self._renew()
                if time.monotonic() - status_sent > _STATUS_SECONDS:
                    self._changed.set()
            pause = _RENEW_SECONDS

    def _status(self) -> Json:
        status = node_status(self._pi, self._port, self._version, self._fault, self._conditions, time.time())
        self._conditions = {condition["type"]: condition for condition in status["conditions"]}
        return status

    async def _send_status(self) -> None:
        try:
            body = {"status": self._status()}
            await self._link.call("PATCH", f"{self._path}/status", body, content_type=STRATEGIC)
        except ApiError as error:
            print(f"{self._pi.name}: the API server refused its status: {error}", file=sys.stderr)

    async def _renew(self) -> None:
        lease = lease_object(self._pi, self._uid, time.time())
        path = f"{_LEASES}/{self._pi.name}"
        try:
            await self._link.call("PATCH", path, {"spec": lease["spec"]}, content_type=STRATEGIC)
        except ApiError:
            # Not there yet, nor perhaps its namespace, which the API server makes a while after its start:
            # then the next renewal creates it.
            with contextlib.suppress(ApiError):
                await self._link.call("POST", _LEASES, lease)
