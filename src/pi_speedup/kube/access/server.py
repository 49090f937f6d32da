"""The kubeconfig that K3s writes on its server, with an address under which this machine reaches the API.

It holds the key of a cluster admin: no text of it is ever put into an error. Only a TLS handshake with the
kubeconfig's own authority can tell whether an address will do: no list of addresses says what a firewall lets
through, and none says what stands in the certificate.
"""

from __future__ import annotations

import base64
import binascii
import copy
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml
from urllib3.util.ssl_ import create_urllib3_context

from pi_speedup.codes import Code
from pi_speedup.kube.access.errors import KubeError
from pi_speedup.text import one_line

_HTTPS_PORT = 443
CONNECT_SECONDS = 4.0

# OpenSSL's numbers (openssl/x509_vfy.h): the certificate names another host, e-mail, IP address.
_WRONG_NAME = (62, 63, 64)
# It has expired, or is not valid yet.
_WRONG_TIME = (9, 10)


@dataclass(frozen=True, slots=True)
class ServerKubeconfig:
    """A kubeconfig of one K3s server: the port of its API, and who signed the API server's certificate."""

    port: int
    authority_pem: str = field(repr=False)
    _cluster: str = field(repr=False)
    _document: Mapping[str, Any] = field(repr=False)

    def pointing_to(self, address: str) -> str:
        """Return the kubeconfig's text with this address in its `server`, and nothing else changed."""
        document = copy.deepcopy(dict(self._document))
        server = f"https://{in_url(address)}:{self.port}"
        _named(document["clusters"], self._cluster)["cluster"]["server"] = server
        return yaml.safe_dump(document, sort_keys=False)


def in_url(address: str) -> str:
    """Return an address as a URL holds it: an IPv6 address stands in brackets."""
    return f"[{address}]" if ":" in address else address


def parse_server_kubeconfig(text: str, *, pi: str, path: str) -> ServerKubeconfig:
    """Return the kubeconfig of the current context; KubeError, with nothing of the text in it."""
    try:
        document = yaml.safe_load(text)
        context = _named(document["contexts"], document["current-context"])["context"]
        cluster = _named(document["clusters"], context["cluster"])["cluster"]
        user = _named(document["users"], context["user"])["user"]
        server = urlsplit(cluster["server"])
        authority = base64.b64decode(cluster["certificate-authority-data"], validate=True).decode("ascii")
        if server.scheme != "https" or "BEGIN CERTIFICATE" not in authority or not user:
            raise ValueError
        return ServerKubeconfig(server.port or _HTTPS_PORT, authority, context["cluster"], document)
    except (
        yaml.YAMLError,
        binascii.Error,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RecursionError,
    ):
        # YAML's own message would quote the line that it stumbled over.
        raise KubeError(
            Code.KUBECONFIG_MALFORMED,
            pi,
            f"{path} is not a valid kubeconfig as K3s writes it",
            _look_at_it(pi, path),
        ) from None


def _named(entries: Any, name: str) -> Any:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise LookupError


def _look_at_it(pi: str, path: str) -> str:
    return (
        f"ssh {pi} sudo kubectl --kubeconfig {path} config view, which shows it without its keys; or give "
        "benchmark_kubeconfig"
    )


class _NoAddress(KubeError):
    """Why one candidate will not do; the higher the rank, the nearer it came."""

    def __init__(self, code: Code, rank: int, pi: str, what: str, next_step: str) -> None:
        super().__init__(code, pi, what, next_step)
        self.rank = rank


def find_server_address(kubeconfig: ServerKubeconfig, candidates: Sequence[str], *, pi: str) -> str:
    """Return the first candidate that answers and that the API server's certificate is valid for.

    KubeError if there is none: the cause of the candidate that came nearest.
    """
    nearest = _NoAddress(
        Code.API_UNREACHABLE, 0, pi, "no address to try", "set ansible_host in the inventory"
    )
    for address in _with_what_they_resolve_to(candidates):
        try:
            _handshake(kubeconfig, address, pi)
        except _NoAddress as problem:
            if problem.rank > nearest.rank:
                nearest = problem
        else:
            return address
    raise nearest


def _with_what_they_resolve_to(candidates: Sequence[str]) -> Iterator[str]:
    """Give each candidate, and after all of them the addresses of those that are names: ssh takes both."""
    yield from candidates
    tried = set(candidates)
    for name in candidates:
        try:
            found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            continue
        for *_, place in found:
            address = str(place[0])
            if address not in tried:
                tried.add(address)
                yield address


def _handshake(kubeconfig: ServerKubeconfig, address: str, pi: str) -> None:
    where = f"{in_url(address)}:{kubeconfig.port}"
    # The settings of all later requests, so that what passes here passes there.
    context = create_urllib3_context()
    try:
        context.load_verify_locations(cadata=kubeconfig.authority_pem)
    except ssl.SSLError:
        what = "the authority in its kubeconfig is not a valid certificate"
        step = _look_at_it(pi, "/etc/rancher/k3s/k3s.yaml")
        raise _NoAddress(Code.KUBECONFIG_MALFORMED, 9, pi, what, step) from None
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
            Code.API_NOT_KUBERNETES,
            4,
            pi,
            f"what answers on {where} does not use TLS as an API server does "
            f"({one_line(error.reason or error, 80)})",
            f"ssh {pi} sudo systemctl status k3s, and see what else uses that port",
        ) from None
    except socket.gaierror:
        raise _NoAddress(
            Code.API_UNREACHABLE,
            1,
            pi,
            f"this machine cannot resolve {address}",
            f"set ansible_host for {pi}, or k3s_kubeconfig_server_address, to its IP address",
        ) from None
    except ConnectionRefusedError:
        raise _NoAddress(
            Code.API_UNREACHABLE,
            3,
            pi,
            f"nothing listens on {where} (connection refused)",
            f"ssh {pi} sudo systemctl status k3s",
        ) from None
    except TimeoutError:
        raise _NoAddress(
            Code.API_UNREACHABLE,
            2,
            pi,
            f"{where} does not answer within {CONNECT_SECONDS:g} s",
            f"let this machine through to port {kubeconfig.port} in the firewall of {pi}, or set "
            "k3s_kubeconfig_server_address to an address that it reaches",
        ) from None
    except (OSError, ValueError) as error:
        raise _NoAddress(
            Code.API_UNREACHABLE,
            2,
            pi,
            f"{where} cannot be reached ({one_line(error, 120)})",
            "check ansible_host and the network, or set k3s_kubeconfig_server_address to one that works",
        ) from None


def _wrong_certificate(error: ssl.SSLCertVerificationError, address: str, where: str, pi: str) -> _NoAddress:
    if error.verify_code in _WRONG_NAME:
        return _NoAddress(
            Code.API_CERTIFICATE,
            8,
            pi,
            f"the certificate of its API server is not valid for {address}",
            f"set k3s_kubeconfig_server_address to the address of {pi} by which its nodes know it "
            "(kubectl get "
            f"nodes -o wide); or on {pi} add `tls-san: [{address}]` to /etc/rancher/k3s/config.yaml, "
            "then sudo "
            "systemctl restart k3s",
        )
    said = one_line(error.verify_message, 80)
    if error.verify_code in _WRONG_TIME:
        return _NoAddress(
            Code.API_CERTIFICATE_EXPIRED,
            7,
            pi,
            f"the certificate of its API server is not valid now ({said})",
            f"compare the clocks (date here, ssh {pi} date); if they agree, it has expired, and ssh {pi} "
            "sudo "
            "systemctl restart k3s renews it",
        )
    return _NoAddress(
        Code.API_CERTIFICATE,
        6,
        pi,
        f"the API server at {where} shows a certificate of another authority than its kubeconfig names "
        f"({said})",
        f"see that {address} is {pi} and nothing stands in between; perhaps K3s was installed anew "
        "there: ssh "
        f"{pi} sudo k3s kubectl get nodes shows whether its own kubeconfig still works",
    )
