"""Certificates are what Kubernetes and the tests' identities need."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from virtual_cluster import pki


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> pki.Pki:
    addresses = [f"127.1.0.{number}" for number in range(1, 4)]
    return pki.create(
        tmp_path_factory.mktemp("pki"),
        [
            pki.Kubelet("virtual-pis", "virtual-pis", "pi-speedup", addresses),
            pki.Kubelet("pi-1", "system:node:pi-1", "system:nodes", ["10.0.0.11"]),
        ],
        api_names=["10.0.0.11", "pi-1"],
    )


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.mark.parametrize(
    ("name", "user", "group"),
    [
        ("admin", "admin", "system:masters"),
        ("kube-controller-manager", "system:kube-controller-manager", "pi-speedup"),
        ("kube-scheduler", "system:kube-scheduler", "pi-speedup"),
        ("virtual-pis", "virtual-pis", "pi-speedup"),
        ("pi-1", "system:node:pi-1", "system:nodes"),
        ("readonly", "readonly", "pi-speedup"),
    ],
)
def test_clients_say_user_and_group(keys: pki.Pki, name: str, user: str, group: str) -> None:
    subject = load(keys.authority.parent / f"{name}.crt").subject
    assert [name.value for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [user]
    assert [name.value for name in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == [group]


def alternative_names(path: Path) -> x509.SubjectAlternativeName:
    return load(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_api_server_is_valid_where_it_should_be_and_not_for_localhost(keys: pki.Pki) -> None:
    names = alternative_names(keys.api_server.certificate)
    addresses = names.get_values_for_type(x509.IPAddress)
    assert {ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("10.0.0.11")} <= set(addresses)
    assert "pi-1" in names.get_values_for_type(x509.DNSName)
    assert "localhost" not in names.get_values_for_type(x509.DNSName)


def test_pis_serve_on_all_their_addresses(keys: pki.Pki) -> None:
    names = alternative_names(keys.kubelets["virtual-pis"].serving.certificate)
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == [
        "127.1.0.1",
        "127.1.0.2",
        "127.1.0.3",
    ]


def test_only_the_api_server_is_a_kubelet_client(keys: pki.Pki) -> None:
    authority = load(keys.kubelet_client_authority)
    load(keys.kubelet_client.certificate).verify_directly_issued_by(authority)
    with pytest.raises(ValueError, match="does not match"):
        load(keys.admin.certificate).verify_directly_issued_by(authority)


def test_keys_are_private(keys: pki.Pki) -> None:
    folder = keys.authority.parent
    assert {path.stat().st_mode & 0o777 for path in folder.glob("*.key")} == {0o600}
