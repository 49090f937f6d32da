"""Kubeconfig files: the administrator's, and those that make a test meet a real refusal."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from virtual_cluster.pki import KeyPair


def _embedded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def certificate_user(pair: KeyPair) -> dict[str, str]:
    """Credentials of a user who shows a client certificate."""
    return {"client-certificate-data": _embedded(pair.certificate), "client-key-data": _embedded(pair.key)}


def render(server: str, authority: Path, user: dict[str, str]) -> str:
    """A kubeconfig with one cluster, one user and one context, all contents embedded."""
    name = "pi-speedup-lab"
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": name,
                    "cluster": {"server": server, "certificate-authority-data": _embedded(authority)},
                }
            ],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        },
        sort_keys=False,
    )
