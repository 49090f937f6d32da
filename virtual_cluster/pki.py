"""Keys and certificates of one virtual cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme

# The first address of the service network, under which pods would reach the API server.
_API_SERVICE = "10.43.0.1"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Paths of a certificate and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Kubelet:
    """Who a kubelet is: what its files are called, its user and group, and the addresses it serves on."""

    name: str
    user: str
    group: str
    addresses: Sequence[str]


@dataclass(frozen=True, slots=True)
class KubeletKeys:
    """What a kubelet shows to the API server, and to those that ask it for logs."""

    client: KeyPair
    serving: KeyPair


@dataclass(frozen=True, slots=True)
class Pki:
    """Paths of all certificates and keys (PEM); keys have mode 0600."""

    authority: Path
    # A second authority, so that nobody but the API server may ask kubelets for logs.
    kubelet_client_authority: Path
    kubelet_client: KeyPair
    api_server: KeyPair
    service_accounts: KeyPair
    kubelets: Mapping[str, KubeletKeys]
    admin: KeyPair
    readonly: KeyPair
    controller_manager: KeyPair
    scheduler: KeyPair


def create(folder: Path, kubelets: Sequence[Kubelet], api_names: Sequence[str] = ()) -> Pki:
    """Write the cluster's certificates into an existing private folder.

    The API server's is valid for 127.0.0.1 and `api_names`, and not for localhost, so that a client can meet
    a real mismatch.
    """
    authority = trustme.CA(organization_name="pi-speedup lab")
    kubelet_client_authority = trustme.CA(organization_name="pi-speedup lab kubelet clients")

    def write(name: str, certificate: trustme.LeafCert) -> KeyPair:
        pair = KeyPair(folder / f"{name}.crt", folder / f"{name}.key")
        pair.key.touch(mode=0o600)
        certificate.private_key_pem.write_to_path(pair.key)
        certificate.cert_chain_pems[0].write_to_path(pair.certificate)
        return pair

    def client(name: str, user: str, group: str, signer: trustme.CA = authority) -> KeyPair:
        # Go refuses an empty list of alternative names, so it gets one that nobody resolves.
        return write(name, signer.issue_cert("client.invalid", common_name=user, organization_name=group))

    def authority_file(name: str, signer: trustme.CA) -> Path:
        path = folder / f"{name}.crt"
        signer.cert_pem.write_to_path(path)
        return path

    always = ["127.0.0.1", _API_SERVICE, "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    api_server = authority.issue_cert(*always, *api_names, common_name="kube-apiserver")
    return Pki(
        authority=authority_file("ca", authority),
        kubelet_client_authority=authority_file("kubelet-client-ca", kubelet_client_authority),
        kubelet_client=client("kubelet-client", "kube-apiserver", "pi-speedup", kubelet_client_authority),
        api_server=write("kube-apiserver", api_server),
        service_accounts=client("service-accounts", "service-accounts", "pi-speedup"),
        kubelets={
            kubelet.name: KubeletKeys(
                client=client(kubelet.name, kubelet.user, kubelet.group),
                serving=write(
                    f"{kubelet.name}-serving",
                    authority.issue_cert(*kubelet.addresses, common_name=kubelet.user),
                ),
            )
            for kubelet in kubelets
        },
        admin=client("admin", "admin", "system:masters"),
        readonly=client("readonly", "readonly", "pi-speedup"),
        controller_manager=client("kube-controller-manager", "system:kube-controller-manager", "pi-speedup"),
        scheduler=client("kube-scheduler", "system:kube-scheduler", "pi-speedup"),
    )
