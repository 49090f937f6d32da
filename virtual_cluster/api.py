"""Just enough of an API client to wait for the cluster and to give the lab's own identities their rights."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

from virtual_cluster.pki import KeyPair

_TIMEOUT_SECONDS = 5.0


class Api:
    """Requests to the API server, each over a connection of its own."""

    def __init__(self, address: str, port: int, authority: Path, user: KeyPair) -> None:
        self._address = address
        self._port = port
        self._context = ssl.create_default_context(cafile=str(authority))
        self._context.load_cert_chain(user.certificate, user.key)

    def request(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Status and body of the answer; OSError or HTTPException if there is none within 5 s."""
        connection = http.client.HTTPSConnection(
            self._address, self._port, timeout=_TIMEOUT_SECONDS, context=self._context
        )
        try:
            headers = {"Content-Type": "application/json", "Accept": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def succeeds(self, method: str, path: str, body: object = None) -> bool:
        """Whether the answer is a 2xx; False also if there is no answer (yet)."""
        try:
            status, _ = self.request(method, path, body)
        except (OSError, http.client.HTTPException):
            return False
        return 200 <= status < 300

    def ready_nodes(self) -> frozenset[str]:
        """Names of the nodes whose condition Ready is True; none if there is no answer (yet)."""
        try:
            # resourceVersion=0: from the API server's cache, as a client that asks often should.
            status, body = self.request("GET", "/api/v1/nodes?resourceVersion=0")
        except (OSError, http.client.HTTPException):
            return frozenset()
        return frozenset(filter_ready(json.loads(body))) if status == 200 else frozenset()


def filter_ready(node_list: dict[str, Any]) -> list[str]:
    """Names of the nodes of a NodeList whose condition Ready is True."""
    return [
        node["metadata"]["name"]
        for node in node_list["items"]
        if any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in node.get("status", {}).get("conditions") or ()
        )
    ]
