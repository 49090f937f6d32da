"""A kubeconfig that cannot be used is one line; one that can leaves no key behind."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from pi_speedup.kube.client import KubeClient
from pi_speedup.kube.errors import KubeError


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


KUBECONFIGS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (
        lambda folder: folder / "none",
        "does not exist [PS-431]. Next: copy /etc/rancher/k3s/k3s.yaml",
    ),
    "a folder": (lambda folder: folder, ": not a file"),
    "empty": (lambda folder: write(folder / "k", ""), ": malformed: "),
    "not YAML": (lambda folder: write(folder / "k", "a: ["), ": malformed: "),
    "text": (lambda folder: write(folder / "k", "hello"), ": malformed: it isn't built like one"),
    "no cluster": (lambda folder: write(folder / "k", "current-context: x\n"), ": malformed: "),
    "open to all": (lambda folder: write(folder / "k", "", 0o644), "(mode 0644) [PS-433]. Next: chmod 600 "),
    "open to a group": (
        lambda folder: write(folder / "k", "", 0o640),
        "(mode 0640) [PS-433]. Next: chmod 600 ",
    ),
}


@pytest.mark.parametrize(("make", "words"), KUBECONFIGS.values(), ids=KUBECONFIGS)
def test_unusable_kubeconfig_is_one_line(make: Callable[[Path], Path], words: str, tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(KubeError) as caught:
        KubeClient(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()


def tls_kubeconfig(folder: Path, key: bytes | None = None) -> Path:
    authority = trustme.CA()
    client = authority.issue_cert("client@test")
    text = {
        "certificate-authority-data": authority.cert_pem.bytes(),
        "client-certificate-data": client.cert_chain_pems[0].bytes(),
        "client-key-data": key or client.private_key_pem.bytes(),
    }
    data = {name: base64.b64encode(value).decode() for name, value in text.items()}
    cluster = {"server": "https://127.0.0.1:1"} | {
        name: data.pop(name) for name in ("certificate-authority-data",)
    }
    config = {
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": data}],
    }
    return write(folder / "kubeconfig", json.dumps(config))


def test_unpacked_keys_are_gone_once_the_client_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with KubeClient(tls_kubeconfig(tmp_path)):
        assert list(scratch.iterdir()) == []


def test_broken_key_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(KubeError, match="certificate or key that cannot be read") as caught:
        KubeClient(tls_kubeconfig(tmp_path, key=b"no key"))
    assert str(caught.value).isprintable()
