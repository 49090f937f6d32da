"""K3s' kubeconfig with another address and nothing else changed; anything else is one line."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.access.server import parse_server_kubeconfig

SECRET = base64.b64encode(b"-----BEGIN EC PRIVATE KEY-----\nsecret\n").decode()
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
SOURCE = "/etc/rancher/k3s/k3s.yaml"


def k3s(server: str = "https://127.0.0.1:6443") -> dict[str, Any]:
    """As K3s 1.33 writes it."""
    authority = base64.b64encode(PEM.encode()).decode()
    return {
        "apiVersion": "v1",
        "clusters": [
            {"cluster": {"certificate-authority-data": authority, "server": server}, "name": "default"}
        ],
        "contexts": [{"context": {"cluster": "default", "user": "default"}, "name": "default"}],
        "current-context": "default",
        "kind": "Config",
        "preferences": {},
        "users": [
            {"name": "default", "user": {"client-certificate-data": SECRET, "client-key-data": SECRET}}
        ],
    }


@pytest.mark.parametrize(
    ("server", "address", "wanted"),
    [
        ("https://127.0.0.1:6443", "192.168.1.101", "https://192.168.1.101:6443"),
        ("https://127.0.0.1:16443", "pi-1", "https://pi-1:16443"),
        ("https://[::1]:6443", "fd00::101", "https://[fd00::101]:6443"),
        ("https://127.0.0.1", "pi-1.local", "https://pi-1.local:443"),
    ],
    ids=["an address", "another port", "IPv6", "no port"],
)
def test_only_the_server_changes(server: str, address: str, wanted: str) -> None:
    document = k3s(server)
    found = parse_server_kubeconfig(yaml.safe_dump(document), pi="pi-1", path=SOURCE)
    document["clusters"][0]["cluster"]["server"] = wanted
    assert yaml.safe_load(found.pointing_to(address)) == document
    assert found.authority_pem == PEM


def test_only_the_cluster_of_the_current_context_changes() -> None:
    document = k3s()
    document["clusters"].insert(0, {"name": "other", "cluster": {"server": "https://other:1"}})
    rewritten = yaml.safe_load(
        parse_server_kubeconfig(yaml.safe_dump(document), pi="pi-1", path=SOURCE).pointing_to("pi-1")
    )
    assert [entry["cluster"]["server"] for entry in rewritten["clusters"]] == [
        "https://other:1",
        "https://pi-1:6443",
    ]


def without(*path: Any) -> str:
    document: Any = k3s()
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return yaml.safe_dump(document)


INVALID: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "text": lambda: f"hello {SECRET}",
    "a list": lambda: f"- {SECRET}",
    "not YAML": lambda: f"client-key-data: [{SECRET}\n  x: {{",
    "cut off": lambda: yaml.safe_dump(k3s())[:200],
    "no current context": lambda: without("current-context"),
    "no context": lambda: without("contexts", 0),
    "no cluster": lambda: without("clusters", 0),
    "no server": lambda: without("clusters", 0, "cluster", "server"),
    "no authority": lambda: without("clusters", 0, "cluster", "certificate-authority-data"),
    "no user": lambda: without("users", 0),
    "no https": lambda: yaml.safe_dump(k3s("http://127.0.0.1:8080")),
    "no port number": lambda: yaml.safe_dump(k3s("https://127.0.0.1:x")),
    "the authority is not base64": lambda: yaml.safe_dump(k3s()).replace("LS0t", "?"),
    "the authority is not a certificate": lambda: yaml.safe_dump(k3s()).replace(
        base64.b64encode(PEM.encode()).decode(), base64.b64encode(b"x").decode()
    ),
}


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID)
def test_what_is_not_a_kubeconfig_is_one_line_without_its_content(text: Callable[[], str]) -> None:
    with pytest.raises(KubeError) as caught:
        parse_server_kubeconfig(text(), pi="pi-1", path=SOURCE)
    said = str(caught.value)
    assert (
        said.startswith(f"pi-1: {SOURCE} is not a valid kubeconfig")
        and "Next: " in said
        and said.isprintable()
    )
    assert SECRET[:16] not in said
    # Nor in a traceback: what YAML said quotes the line it stumbled over.
    assert caught.value.__suppress_context__


def test_it_is_not_shown_by_accident() -> None:
    found = parse_server_kubeconfig(yaml.safe_dump(k3s()), pi="pi-1", path=SOURCE)
    assert SECRET[:16] not in repr(found)
