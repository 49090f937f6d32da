"""The control socket: a local process asks for a Pi's CPU budget, as `exec` does."""

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

from .cpu_budget import CpuBudget, TokenBucket


async def serve_control(path: Path, budget: CpuBudget, buckets: Mapping[str, TokenBucket]) -> asyncio.Server:
    """Listen on ``path`` (mode 0600). One line {"pi", "pid"}; the budget holds until the client hangs up."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        member = None
        try:
            _check_peer(writer.get_extra_info("socket"))
            pid, bucket = parse_request(await reader.readline(), buckets)
            _check_owner(pid)
            member = budget.add(pid, [bucket])
            answer: dict[str, object] = {"ok": True}
        except (ValueError, OSError) as error:
            answer = {"ok": False, "error": str(error)}
        try:
            with contextlib.suppress(ConnectionError):
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
                while member and await reader.read(4096):
                    pass
        finally:
            if member:
                budget.remove(member)
            writer.close()

    path.unlink(missing_ok=True)
    umask = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(handle, path)
    finally:
        os.umask(umask)


def parse_request(line: bytes, buckets: Mapping[str, TokenBucket]) -> tuple[int, TokenBucket]:
    """One request line → (pid, the Pi's bucket); ValueError with one line for the asker."""
    try:
        request = json.loads(line)
        name, pid = request["pi"], request["pid"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError('expected one line {"pi": NAME, "pid": NUMBER}') from error
    if name not in buckets:
        raise ValueError(f"no Pi {name!r} here; there are {', '.join(buckets)}")
    if type(pid) is not int or pid < 2:
        raise ValueError(f"pid {pid!r} is not a process to put under a budget")
    return pid, buckets[name]


def _check_peer(peer: socket.socket) -> None:
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid not in (0, os.geteuid()):
        raise ValueError(f"user {uid} may not use the virtual Pis of user {os.geteuid()}")


def _check_owner(pid: int) -> None:
    try:
        owner = Path(f"/proc/{pid}").stat().st_uid
    except FileNotFoundError as error:
        raise ValueError(f"no process {pid}") from error
    if owner != os.geteuid():
        raise ValueError(f"process {pid} belongs to user {owner}, the virtual Pis to {os.geteuid()}")
