"""The kubelet's port, as far as `kubectl logs` needs it: /containerLogs over TLS with client certificates."""

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from aiohttp import web

from .config import Config
from .pod import PodRunner
from .status import Terminated, Waiting

_BLOCK = 1 << 16
_FOLLOW_SECONDS = 0.1

# (address of the Pi asked, namespace, pod) → the pod there; waits while the Pi is lost.
FindPod = Callable[[str, str, str], Awaitable[PodRunner | None]]


@dataclass(frozen=True, slots=True)
class LogRequest:
    """Which part of a log; None = no limit."""

    follow: bool
    tail_lines: int | None
    limit_bytes: int | None


def parse_query(query: Mapping[str, str]) -> LogRequest:
    """Kubernetes' log options; ValueError names those not implemented."""
    for option in ("sinceSeconds", "sinceTime", "timestamps"):
        if query.get(option) not in (None, "false"):
            raise ValueError(f"a virtual Pi keeps no times of log lines: {option} is not implemented")
    if query.get("stream", "All") != "All":
        raise ValueError("a virtual Pi keeps stdout and stderr together: stream is not implemented")
    numbers = {name: int(query[name]) if name in query else None for name in ("tailLines", "limitBytes")}
    return LogRequest(query.get("follow") == "true", numbers["tailLines"], numbers["limitBytes"])


def tail_offset(file: BinaryIO, lines: int) -> int:
    """Where the last ``lines`` lines begin; an unfinished last line counts as one."""
    position = file.seek(0, os.SEEK_END)
    if lines <= 0:
        return position
    end = position
    while position > 0:
        size = min(_BLOCK, position)
        position -= size
        file.seek(position)
        block = file.read(size)
        stop = len(block)
        if position + size == end and block.endswith(b"\n"):
            stop -= 1
        while (found := block.rfind(b"\n", 0, stop)) >= 0:
            lines -= 1
            if lines == 0:
                return position + found + 1
            stop = found
    return 0


class LogServer:
    """Serves all Pis, each on an ephemeral port of its own address."""

    def __init__(self, config: Config, find_pod: FindPod) -> None:
        self._config, self._find_pod = config, find_pod
        self._runner: web.AppRunner | None = None

    async def start(self) -> dict[str, int]:
        """Listen; the port of each Pi by name."""
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        app.router.add_route("*", "/{rest:.*}", _not_implemented)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await self._runner.setup()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self._config.client_ca))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self._config.serving_cert, self._config.serving_key)
        ports = {}
        for pi in self._config.pis:
            listener = socket.create_server((pi.address, 0))
            await web.SockSite(self._runner, listener, ssl_context=context).start()
            ports[pi.name] = int(listener.getsockname()[1])
        return ports

    async def close(self) -> None:
        """Stop listening and end what is being served."""
        if self._runner:
            await self._runner.cleanup()

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        namespace, name, container = (request.match_info[key] for key in ("namespace", "pod", "container"))
        assert request.transport
        address = request.transport.get_extra_info("sockname")[0]
        pod = await self._find_pod(address, namespace, name)
        if pod is None:
            return web.Response(status=404, text=f'pod "{name}" not found in namespace "{namespace}"\n')
        try:
            wanted = parse_query(request.query)
            view = pod.view(container)
        except ValueError as error:
            return web.Response(status=400, text=f"{error}\n")
        except KeyError:
            return web.Response(status=404, text=f'container "{container}" not found in pod "{name}"\n')
        where = f'container "{container}" in pod "{name}"'
        if request.query.get("previous") == "true":
            return web.Response(status=400, text=f"previous terminated {where} not found\n")
        path = pod.log(container)
        if path is None or isinstance(view.state, Waiting):
            reason = view.state.reason if isinstance(view.state, Waiting) else "it never started"
            return web.Response(status=400, text=f"{where} is waiting to start: {reason}\n")
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        await _send(response, path, wanted, lambda: isinstance(pod.view(container).state, Terminated))
        return response


async def _send(
    response: web.StreamResponse, path: Path, wanted: LogRequest, ended: Callable[[], bool]
) -> None:
    left = wanted.limit_bytes
    with path.open("rb") as file:
        if wanted.tail_lines is not None:
            file.seek(tail_offset(file, wanted.tail_lines))
        while True:
            over = ended()  # asked before reading: what was written until then is read below
            while block := file.read(_BLOCK if left is None else min(_BLOCK, left)):
                await response.write(block)
                left = None if left is None else left - len(block)
            if over or not wanted.follow or left == 0:
                return
            await asyncio.sleep(_FOLLOW_SECONDS)


async def _not_implemented(request: web.Request) -> web.Response:
    return web.Response(status=501, text=f"a virtual Pi does not implement {request.method} {request.path}\n")
