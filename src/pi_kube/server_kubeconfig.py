"""The kubeconfig that K3s writes on its server, and the same with an address that works from elsewhere.

It holds the key of a cluster admin: no text of it is ever put into an error.
"""

from __future__ import annotations

import base64
import binascii
import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml

from pi_kube.errors import KubeError

_HTTPS_PORT = 443


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
        for entry in document["clusters"]:
            if entry["name"] == self._cluster:
                entry["cluster"]["server"] = f"https://{in_url(address)}:{self.port}"
        return yaml.safe_dump(document, sort_keys=False)


def in_url(address: str) -> str:
    """Return an address as a URL holds it: an IPv6 address stands in brackets."""
    return f"[{address}]" if ":" in address else address


def parse_server_kubeconfig(text: str, *, pi: str, path: str) -> ServerKubeconfig:
    """Return the kubeconfig of the current context; KubeError (one line, nothing of the text in it)."""
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
    except (yaml.YAMLError, binascii.Error, ValueError, TypeError, LookupError, AttributeError):
        # YAML's own message would quote the line that it stumbled over.
        raise KubeError(
            f"{pi}: {path} is no kubeconfig as K3s writes it. Next: on {pi}, sudo systemctl restart k3s "
            "writes it anew; or give benchmark_kubeconfig"
        ) from None


def _named(entries: Any, name: str) -> Any:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise LookupError
