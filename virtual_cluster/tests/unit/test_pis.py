"""Addresses of virtual Pis."""

from __future__ import annotations

import ipaddress

import pytest

from virtual_cluster import pis

LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


@pytest.mark.parametrize("port", [1024, 32765, 32766, 32768, 60999, 65535])
def test_addresses_are_distinct_loopback_ones(port: int) -> None:
    addresses = [ipaddress.ip_address(pi.address) for pi in pis.create(pis.MAXIMUM, 0.5, "arm64", port)]
    assert len(set(addresses)) == pis.MAXIMUM
    assert all(address in LOOPBACK for address in addresses)
    assert not any(address in ipaddress.ip_network("127.0.0.0/24") for address in addresses)


def test_labs_side_by_side_share_no_address() -> None:
    # Neighbouring ports, and the two ends of Linux' default range of ephemeral ones.
    ports = [32768, 32769, 60998, 60999]
    addresses = [pi.address for port in ports for pi in pis.create(pis.MAXIMUM, 0.5, "arm64", port)]
    assert len(set(addresses)) == len(ports) * pis.MAXIMUM


def test_first_pi_is_the_server() -> None:
    assert [(pi.name, pi.server) for pi in pis.create(3, 0.5, "arm64", 40000)] == [
        ("pi-1", True),
        ("pi-2", False),
        ("pi-3", False),
    ]
