"""The few requests a kubelet makes of the API server: call, and follow (list, then watch, for ever)."""

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from .config import Config

Json = dict[str, Any]

STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"

_REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=15)
_WATCH_SECONDS = 240
# A silent connection is given up after the server should have ended the watch by itself.
_WATCH_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=_WATCH_SECONDS + 30)


class ApiError(Exception):
    """The API server's refusal: ``status`` is the HTTP code, the text its own message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """The API server, reached with the virtual Pis' client certificate. Close ``session`` at the end."""

    def __init__(self, config: Config) -> None:
        context = ssl.create_default_context(cafile=str(config.ca))
        context.load_cert_chain(config.client_cert, config.client_key)
        # Beyond this, 300 Pis would open 300 TLS connections at once and starve everything else.
        connector = aiohttp.TCPConnector(ssl=context, limit=32)
        self.session = aiohttp.ClientSession(config.server, connector=connector, timeout=_REQUEST_TIMEOUT)

    async def call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        params: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Json:
        """One request, repeated until the server answers with something else than 429, 5xx or "no right".

        A kubelet has no better idea than to try again; what it must not do is give up. Raises ApiError for
        other refusals. A POST whose answer was lost may come back as 409.
        """
        pause = 0.2
        while True:
            try:
                async with self.session.request(
                    method,
                    path,
                    params=params,
                    data=None if body is None else json.dumps(body),
                    headers={"Content-Type": content_type},
                ) as response:
                    text = await response.read()
                    if response.status < 400:
                        result: Json = json.loads(text)
                        return result
                    message = _message(text)
                    # An API server that has just started knows nobody's rights: that passes.
                    rights_unknown = response.status == 403 and 'User "' in message
                    if response.status != 429 and response.status < 500 and not rights_unknown:
                        raise ApiError(response.status, message)
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(pause)
            pause = min(2 * pause, 5.0)

    async def follow(self, path: str, params: dict[str, str]) -> AsyncIterator[tuple[str, Json]]:
        """Yield ("SYNC", list object) and then ("ADDED" | "MODIFIED" | "DELETED", object) for ever.

        Whenever the watch cannot be continued (410, 504, a broken connection) there is a new SYNC.
        """
        complaint = ""
        while True:
            try:
                listing = await self.call("GET", path, params=params)
                version = listing["metadata"]["resourceVersion"]
                yield "SYNC", listing
                while True:
                    async for kind, found in self._watch(path, params, version):
                        version = found["metadata"]["resourceVersion"]
                        if kind != "BOOKMARK":
                            yield kind, found
            except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                if str(error) != complaint:
                    complaint = str(error)
                    print(f"watch of {path}: {complaint}; listing again", file=sys.stderr)
                await asyncio.sleep(0.5)

    async def _watch(
        self, path: str, params: dict[str, str], version: str
    ) -> AsyncIterator[tuple[str, Json]]:
        query = params | {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        async with self.session.get(path, params=query, timeout=_WATCH_TIMEOUT) as response:
            if response.status != 200:
                raise ApiError(response.status, _message(await response.read()))
            buffer = bytearray()
            # Not `async for line`: aiohttp's lines end at 64 KiB, and objects are larger.
            async for chunk in response.content.iter_any():
                buffer += chunk
                *lines, rest = buffer.split(b"\n")
                buffer = bytearray(rest)
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise ApiError(event["object"].get("code", 500), event["object"].get("message", ""))
                    yield event["type"], event["object"]


class Link:
    """One Pi's line to the API server; cut (requests wait) while the Pi plays *lost*."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.up = asyncio.Event()
        self.up.set()

    async def call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        params: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Json:
        """``Api.call``, once the line is up."""
        await self.up.wait()
        return await self._api.call(method, path, body, params=params, content_type=content_type)


def _message(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.decode(errors="replace")[:200]
