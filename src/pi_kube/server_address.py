"""Find the address under which this machine reaches a K3s server whose certificate is valid for that address.

Only a TLS handshake with the kubeconfig's own authority can tell: no list of addresses says what a firewall
lets through, and none says what stands in the certificate.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence

from urllib3.util.ssl_ import create_urllib3_context

from pi_kube.errors import KubeError
from pi_kube.server_kubeconfig import ServerKubeconfig, in_url
from pi_speedup.plain import one_line

CONNECT_SECONDS = 4.0

# OpenSSL's numbers (openssl/x509_vfy.h): the certificate names another host, e-mail, IP address.
_WRONG_NAME = (62, 63, 64)
# It has expired, or is not valid yet.
_WRONG_TIME = (9, 10)


class _NoAddress(Exception):
    """Why one candidate will not do; the higher the rank, the nearer it came."""

    def __init__(self, rank: int, text: str) -> None:
        super().__init__(text)
        self.rank = rank


def find_server_address(kubeconfig: ServerKubeconfig, candidates: Sequence[str], *, pi: str) -> str:
    """Return the first candidate that answers and that the API server's certificate is valid for.

    KubeError (one line) if there is none: the cause of the candidate that came nearest.
    """
    nearest: _NoAddress | None = None
    for address in candidates:
        try:
            _handshake(kubeconfig, address, pi)
        except _NoAddress as problem:
            if nearest is None or problem.rank > nearest.rank:
                nearest = problem
        else:
            return address
    raise KubeError(str(nearest or f"{pi}: no address to try. Next: set ansible_host in the inventory"))


def _handshake(kubeconfig: ServerKubeconfig, address: str, pi: str) -> None:
    where = f"{in_url(address)}:{kubeconfig.port}"
    # The settings of all later requests, so that what passes here passes there.
    context = create_urllib3_context()
    try:
        context.load_verify_locations(cadata=kubeconfig.authority_pem)
    except ssl.SSLError:
        raise _NoAddress(
            9,
            f"{pi}: the authority in its kubeconfig is no certificate. Next: on {pi}, sudo systemctl restart "
            "k3s writes it anew; or give benchmark_kubeconfig",
        ) from None
    try:
        with (
            socket.create_connection((address, kubeconfig.port), CONNECT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=address),
        ):
            return
    except ssl.SSLCertVerificationError as error:
        raise _wrong_certificate(error, address, where, pi) from None
    except ssl.SSLError as error:
        raise _NoAddress(
            4,
            f"{pi}: what listens on {where} does not speak TLS as an API server does "
            f"({one_line(error.reason or error, 80)}). Next: ssh {pi} sudo systemctl status k3s, and see "
            "what else uses that port",
        ) from None
    except socket.gaierror:
        raise _NoAddress(
            1,
            f"{pi}: this machine cannot resolve {address}. Next: set ansible_host for {pi} to its IP "
            "address, or k3s_kubeconfig_server_address to an address of it",
        ) from None
    except ConnectionRefusedError:
        raise _NoAddress(
            3,
            f"{pi}: nothing listens on {where} (connection refused). "
            f"Next: ssh {pi} sudo systemctl status k3s",
        ) from None
    except TimeoutError:
        raise _NoAddress(
            2,
            f"{pi}: {where} does not answer within {CONNECT_SECONDS:g} s. Next: let this machine through to "
            f"port {kubeconfig.port} in the firewall of {pi}, or set k3s_kubeconfig_server_address to an "
            "address that it reaches",
        ) from None
    except (OSError, ValueError) as error:
        raise _NoAddress(
            2,
            f"{pi}: {where} cannot be reached ({one_line(error, 120)}). Next: check ansible_host and the "
            "network, or set k3s_kubeconfig_server_address to an address that this machine reaches",
        ) from None


def _wrong_certificate(error: ssl.SSLCertVerificationError, address: str, where: str, pi: str) -> _NoAddress:
    if error.verify_code in _WRONG_NAME:
        return _NoAddress(
            8,
            f"{pi}: the certificate of its API server is not valid for {address}. Next: on {pi} add "
            f"`tls-san: [{address}]` to /etc/rancher/k3s/config.yaml, then sudo systemctl restart k3s",
        )
    if error.verify_code in _WRONG_TIME:
        return _NoAddress(
            7,
            f"{pi}: the certificate of its API server is not valid now "
            f"({one_line(error.verify_message, 80)}). Next: compare the clocks (date here, ssh {pi} date); "
            "sudo systemctl restart k3s renews it",
        )
    return _NoAddress(
        6,
        f"{pi}: the API server at {where} shows a certificate of another authority than its kubeconfig names "
        f"({one_line(error.verify_message, 80)}). Next: see that {address} is {pi} and nothing stands in "
        f"between; on {pi}, sudo systemctl restart k3s writes the kubeconfig anew",
    )
