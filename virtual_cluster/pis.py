"""The virtual Pis of a lab, and what their daemon is told about them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from virtual_cluster.virtual_pi.config import Pi

if TYPE_CHECKING:
    from virtual_cluster.pki import KubeletKeys, Pki  # costly to import for the command line

MAXIMUM = 300
_MEMORY_BYTES = 4 * 1024**3
# Room for the addresses of MAXIMUM Pis and more: the last 9 bits of an address.
_BLOCK_BITS = 9


def create(count: int, cpus: float, architecture: str, port: int) -> tuple[Pi, ...]:
    """pi-1 … pi-N, the first one being the K3s server.

    Addresses are loopback ones from a block that follows from the API server's port, so that labs side
    by side, whose ports differ, do not share addresses. The first and last block of 127.0.0.0/8 are left out.
    """
    block = (127 << 24) + (1 + port % (2 ** (24 - _BLOCK_BITS) - 2) << _BLOCK_BITS)
    return tuple(
        Pi(
            f"pi-{number}",
            str(ipaddress.IPv4Address(block + number)),
            cpus,
            _MEMORY_BYTES,
            architecture,
            number == 1,
        )
        for number in range(1, count + 1)
    )


def daemon_config(
    pis: Sequence[Pi],
    pki: Pki,
    keys: KubeletKeys,
    *,
    server: str,
    control_socket: Path,
    folder: Path,
    kubernetes_version: str,
) -> dict[str, object]:
    """What `python -m virtual_cluster.virtual_pi --config FILE` reads, ready for JSON."""
    return {
        "server": server,
        "ca": str(pki.authority),
        "client_cert": str(keys.client.certificate),
        "client_key": str(keys.client.key),
        "serving_cert": str(keys.serving.certificate),
        "serving_key": str(keys.serving.key),
        "client_ca": str(pki.kubelet_client_authority),
        "control_socket": str(control_socket),
        "dir": str(folder),
        "kubernetes_version": kubernetes_version,
        "pis": [asdict(pi) for pi in pis],
    }
