"""Faults between a client and the real API server: a proxy on loopback that spoils chosen requests."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

# These belong to one connection or to the client's identity; the API server gets ours.
_NOT_PASSED_ON = {"host", "authorization", "content-length", "transfer-encoding", "connection"}
ALWAYS = 10**9


@dataclass(frozen=True, eq=False)
class Exchange:
    """A request on its way to the API server; `line` is "GET /path?query", or WATCH in place of GET."""

    line: str
    request: web.BaseRequest
    body: bytes
    upstream: aiohttp.ClientSession
    server: str

    @property
    def json(self) -> Any:
        """Return the request's body, parsed."""
        return json.loads(self.body)

    def ask(self) -> Any:
        """Return the API server's answer, a context manager."""
        url = self.server + self.request.raw_path
        headers = _passed_on(self.request.headers.items())
        # Without a body there shall be no Content-Type either, which aiohttp would add to empty bytes.
        return self.upstream.request(self.request.method, url, headers=headers, data=self.body or None)

    async def forward(self, cut_after: int | None = None) -> web.StreamResponse:
        """Pass the API server's answer on as it grows, at most so many bytes of it."""
        async with self.ask() as answer:
            response = web.StreamResponse(status=answer.status, headers=_passed_on(answer.headers.items()))
            await response.prepare(self.request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk[:cut_after])
                if cut_after is not None and (cut_after := cut_after - len(chunk)) <= 0:
                    break
        return response

    def reset(self) -> web.StreamResponse:
        """Break the connection as the kernel of a server that was killed does."""
        if transport := self.request.transport:
            not_lingering = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, not_lingering)
            transport.abort()
        return web.Response()


def _passed_on(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers if name.lower() not in _NOT_PASSED_ON}


Action = Callable[[Exchange], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Fault:
    """The first `times` requests whose line has all of `words` in it fare so."""

    words: str
    act: Action
    times: int = 1


def answers(status: int, content: object = "", **headers: str) -> Action:
    """Answer in the API server's place, with a line of JSON or text as it is; headers as Retry_After="0"."""

    async def act(_exchange: Exchange) -> web.StreamResponse:
        text = content if isinstance(content, str) else json.dumps(content) + "\n"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, headers=named)

    return act


def does_it_but(act: Action) -> Action:
    """Let the API server do what was asked before the fault hides that from the client."""

    async def do_and_act(exchange: Exchange) -> web.StreamResponse:
        async with exchange.ask() as answer:
            assert answer.status < 300, await answer.text()
        return await act(exchange)

    return do_and_act


def cuts(after_bytes: int) -> Action:
    """Pass on the answer's first bytes, then end it as if that were all."""
    return lambda exchange: exchange.forward(after_bytes)


def breaks(after_bytes: int) -> Action:
    """Pass on the answer's first bytes, then break the connection."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        await exchange.forward(after_bytes)
        return exchange.reset()

    return act


async def resets(exchange: Exchange) -> web.StreamResponse:
    """Break the connection without an answer."""
    return exchange.reset()


async def hangs(exchange: Exchange) -> web.StreamResponse:
    """Say nothing until the client goes."""
    await asyncio.Event().wait()
    return exchange.reset()


@dataclass(eq=False)
class FaultProxy:
    """A running proxy: where it is, what it shall spoil, what came by and what it did spoil."""

    kubeconfig: Path
    token: str
    faults: list[Fault] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    injected: list[Fault] = field(default_factory=list)

    def asked(self, words: str) -> list[Exchange]:
        """Return the exchanges whose line has all of these words in it."""
        return [exchange for exchange in self.exchanges if _has(exchange.line, words)]

    async def handle(self, exchange: Exchange) -> web.StreamResponse:
        """Answer one request, honestly or not."""
        self.exchanges.append(exchange)
        for fault in self.faults:
            if _has(exchange.line, fault.words) and self.injected.count(fault) < fault.times:
                self.injected.append(fault)
                return await fault.act(exchange)
        return await exchange.forward()


def _has(line: str, words: str) -> bool:
    return all(word in line for word in words.split())


@contextmanager
def fault_proxy(lab_kubeconfig: Path, folder: Path) -> Iterator[FaultProxy]:
    """Run a proxy with the lab's identity; its own kubeconfig, in `folder`, holds a token only it accepts."""
    server, trust = _identity(lab_kubeconfig, folder)
    proxy = FaultProxy(folder / "kubeconfig.proxy", secrets.token_hex())
    loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    async def serve() -> None:
        connector = aiohttp.TCPConnector(ssl=trust, limit=0)
        no_limit = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(
            connector=connector, timeout=no_limit, auto_decompress=False
        ) as upstream:

            async def answer(request: web.BaseRequest) -> web.StreamResponse:
                if request.headers.get("Authorization") != f"Bearer {proxy.token}":
                    return web.Response(status=401)
                method = "WATCH" if "watch=true" in request.query_string else request.method
                line = f"{method} {request.raw_path}"
                return await proxy.handle(Exchange(line, request, await request.read(), upstream, server))

            runner = web.ServerRunner(web.Server(answer, handler_cancellation=True), shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            _write_kubeconfig(proxy.kubeconfig, f"http://127.0.0.1:{runner.addresses[0][1]}", proxy.token)
            ready.set()
            await stop.wait()
            await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def _identity(kubeconfig: Path, folder: Path) -> tuple[str, ssl.SSLContext]:
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    trust = ssl.create_default_context(cadata=authority)
    pem = folder / "admin.pem"
    pem.touch(0o600)
    pem.write_bytes(
        b"\n".join(base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key"))
    )
    trust.load_cert_chain(pem)
    pem.unlink()
    return cluster["server"], trust


def _write_kubeconfig(path: Path, server: str, token: str) -> None:
    config = {
        "current-context": "faults",
        "contexts": [{"name": "faults", "context": {"cluster": "faults", "user": "faults"}}],
        "clusters": [{"name": "faults", "cluster": {"server": server}}],
        "users": [{"name": "faults", "user": {"token": token}}],
    }
    path.touch(0o600)
    path.write_text(json.dumps(config))
