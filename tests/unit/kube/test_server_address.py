"""An address is taken if a TLS handshake with the kubeconfig's authority succeeds; else one line says why."""

from __future__ import annotations

import base64
import contextlib
import datetime
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest
import trustme
import yaml

from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.access.server import ServerKubeconfig, find_server_address, parse_server_kubeconfig

AUTHORITY = trustme.CA()


@contextlib.contextmanager
def listening(context: ssl.SSLContext | None) -> Iterator[int]:
    """Answer every connection to a port of 127.0.0.1: with TLS, or without a context with plain text."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                if context is None:
                    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                    connection.recv(1024)
                else:
                    with context.wrap_socket(connection, server_side=True) as encrypted:
                        encrypted.recv(1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        # Closing alone leaves accept() waiting.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def tls(*names: str, authority: trustme.CA = AUTHORITY, expired: bool = False) -> AbstractContextManager[int]:
    """Answer with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    authority.issue_cert(*names, not_after=past if expired else None).configure_cert(context)
    return listening(context)


@contextlib.contextmanager
def nobody() -> Iterator[int]:
    """Hold a port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


def kubeconfig(port: int) -> ServerKubeconfig:
    authority = base64.b64encode(AUTHORITY.cert_pem.bytes()).decode()
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": authority}
    document = {
        "current-context": "default",
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
        "clusters": [{"name": "default", "cluster": cluster}],
        "users": [{"name": "default", "user": {"token": "x"}}],
    }
    return parse_server_kubeconfig(yaml.safe_dump(document), pi="pi-1", path="k3s.yaml")


FOUND = {
    "the first": (("127.0.0.1",), ["127.0.0.1", "localhost"], "127.0.0.1"),
    "the first that the certificate names": (("localhost",), ["127.0.0.1", "localhost"], "localhost"),
    "the first that can be resolved": (("localhost",), ["no-such-pi.invalid", "localhost"], "localhost"),
    "the first that answers": (("127.0.0.1", "127.0.0.9"), ["127.0.0.9", "127.0.0.1"], "127.0.0.1"),
}


@pytest.mark.parametrize(("names", "candidates", "wanted"), FOUND.values(), ids=FOUND)
def test_the_address_that_works_is_taken(names: tuple[str, ...], candidates: list[str], wanted: str) -> None:
    with tls(*names) as port:
        assert find_server_address(kubeconfig(port), candidates, pi="pi-1") == wanted


NOT_FOUND: dict[str, tuple[AbstractContextManager[int], list[str], str]] = {
    "nobody listens": (nobody(), ["127.0.0.1"], r"nothing listens on 127\.0\.0\.1:\d+ .*Next: ssh pi-1 sudo"),
    "no such name": (
        nobody(),
        ["no-such-pi.invalid"],
        r"cannot resolve no-such-pi\.invalid \[PS-401\]\. Next: set ansible_host",
    ),
    "the certificate lacks the address": (
        tls("10.0.0.1"),
        ["127.0.0.1"],
        r"not valid for 127\.0\.0\.1 \[PS-402\]\. Next: set k3s_kubeconfig_server_address .* add "
        r"`tls-san: \[127\.0\.0\.1\]` to "
        r"/etc/rancher/k3s/config\.yaml, then sudo systemctl restart k3s",
    ),
    "the certificate lacks the name": (tls("pi-9"), ["localhost"], r"`tls-san: \[localhost\]`"),
    "another authority": (
        tls("127.0.0.1", authority=trustme.CA()),
        ["127.0.0.1"],
        r"certificate of another authority.*Next: see that 127\.0\.0\.1 is pi-1",
    ),
    "expired": (tls("127.0.0.1", expired=True), ["127.0.0.1"], r"not valid now .*Next: compare the clocks"),
    "no TLS": (listening(None), ["127.0.0.1"], r"does not use TLS.*Next: "),
    "no address at all": (nobody(), [], r"no address to try \[PS-401\]\. Next: set ansible_host"),
    "the nearest cause is told": (
        tls("10.0.0.1"),
        ["no-such-pi.invalid", "127.0.0.1", "127.0.0.9"],
        r"not valid for 127\.0\.0\.1",
    ),
}


@pytest.mark.fault(
    "certificate of another authority",
    "pi-1: the API server at 127.0.0.1:6443 shows a certificate of another authority than"
    " its kubeconfig names (…) [PS-402]. Next: see that 127.0.0.1 is pi-1 and nothing "
    "stands in between; perhaps K3s was installed anew there: ssh pi-1 sudo k3s kubectl get "
    "nodes shows whether its own kubeconfig still works",
    kept="nothing begun",
    row="another authority",
)
@pytest.mark.fault(
    "certificate that has run out",
    "pi-1: the certificate of its API server is not valid now (certificate has expired) "
    "[PS-403]. Next: compare the clocks (date here, ssh pi-1 date); if they agree, it has "
    "expired, and ssh pi-1 sudo systemctl restart k3s renews it",
    kept="nothing begun",
    row="expired",
)
@pytest.mark.parametrize(("server", "candidates", "line"), NOT_FOUND.values(), ids=NOT_FOUND)
def test_no_address_is_one_line(
    server: AbstractContextManager[int], candidates: list[str], line: str
) -> None:
    with server as port, pytest.raises(KubeError) as caught:
        find_server_address(kubeconfig(port), candidates, pi="pi-1")
    said = str(caught.value)
    assert said.startswith("pi-1: ") and said.isprintable()
    assert re.search(line, said)
