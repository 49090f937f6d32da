"""A Node's status is right again as soon as somebody else has made it wrong."""

import asyncio
from typing import Any, cast

import pytest

from virtual_cluster.virtual_pi.api import Link
from virtual_cluster.virtual_pi.config import Pi
from virtual_cluster.virtual_pi.node_agent import NodeAgent

PI = Pi("pi-1", "127.0.10.1", 0.5, 4 << 30, "arm64", True)


class Recorder:
    """In the API server's place: it takes everything, and remembers each status that it was sent later on."""

    def __init__(self) -> None:
        self.node: dict[str, Any] = {}
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def call(self, method: str, path: str, body: dict[str, Any], **_: object) -> dict[str, Any]:
        if (method, path) == ("POST", "/api/v1/nodes"):
            self.node = {**body, "metadata": {**body["metadata"], "uid": "u-1"}}
        if path.endswith("/status"):
            self.sent.put_nowait(body["status"])
        return self.node


def changed(node: dict[str, Any], kind: str, status: str) -> dict[str, Any]:
    """Return the Node with another status of one condition."""
    conditions = [
        {**each, "status": status} if each["type"] == kind else each for each in node["status"]["conditions"]
    ]
    return {**node, "status": {**node["status"], "conditions": conditions}}


@pytest.mark.parametrize("kind", ["Ready", "MemoryPressure"])
def test_a_condition_that_the_node_controller_made_unknown_is_sent_again(kind: str) -> None:
    async def play() -> dict[str, Any]:
        recorder = Recorder()
        agent = NodeAgent(PI, 1, "v1.34.4", "boxed", cast(Link, recorder))
        await agent.register()
        running = asyncio.create_task(agent.run())
        agent.observe(recorder.node)
        agent.observe(changed(recorder.node, kind, "Unknown"))
        found = await asyncio.wait_for(recorder.sent.get(), 5)
        agent.observe(recorder.node)
        running.cancel()
        await asyncio.wait([running])
        assert recorder.sent.empty(), "what is right is not sent again"
        return found

    conditions = {each["type"]: each["status"] for each in asyncio.run(play())["conditions"]}
    assert conditions == {
        "Ready": "True",
        "MemoryPressure": "False",
        "DiskPressure": "False",
        "PIDPressure": "False",
    }
