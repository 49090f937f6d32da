"""The supervisor's pure parts, and the port it keeps."""

from __future__ import annotations

import socket

import pytest

from virtual_cluster import supervisor
from virtual_cluster.api import filter_ready


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", "it said nothing"),
        ("Starting\nbye\n\n", "bye"),
        ("I1 start\nE1 bind: address already in use\nI1 stopping\n", "E1 bind: address already in use"),
        ("Usage: …\n  --flag\nError: unknown flag: --x\n", "Error: unknown flag: --x"),
    ],
    ids=["silent", "no error", "error before the end", "usage text"],
)
def test_last_words(log: str, words: str) -> None:
    assert supervisor.last_words(log) == words


def test_last_words_are_short() -> None:
    assert len(supervisor.last_words("x" * 5000)) == 300


def test_reserved_port_goes_to_who_shares_and_to_nobody_else() -> None:
    with supervisor.reserve_port() as reserved, socket.socket() as other, socket.socket() as sharing:
        address = reserved.getsockname()
        with pytest.raises(OSError, match="in use"):
            other.bind(address)
        sharing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sharing.bind(address)
        sharing.listen()
        with socket.create_connection(address) as client, sharing.accept()[0] as accepted:
            client.sendall(b"x")
            assert accepted.recv(1) == b"x"


def test_filter_ready() -> None:
    def node(name: str, *conditions: tuple[str, str]) -> dict[str, object]:
        status = {"conditions": [{"type": kind, "status": value} for kind, value in conditions]}
        return {"metadata": {"name": name}, "status": status}

    nodes = [
        node("ready", ("MemoryPressure", "False"), ("Ready", "True")),
        node("not-ready", ("Ready", "False")),
        node("lost", ("Ready", "Unknown")),
        node("new"),
        {"metadata": {"name": "bare"}},
    ]
    assert filter_ready({"items": nodes}) == ["ready"]
