"""A kubeconfig that cannot be used is one line; one that can leaves no key behind."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
import yaml

from pi_speedup.kube.access.client import KubeClient
from pi_speedup.kube.access.errors import KubeError


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def with_exec(program: str) -> str:
    """Return a kubeconfig whose identity is what a program prints."""
    run = {"apiVersion": "client.authentication.k8s.io/v1", "command": program, "interactiveMode": "Never"}
    return yaml.safe_dump(
        {
            "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:9"}}],
            "users": [{"name": "x", "user": {"exec": run}}],
        }
    )


KUBECONFIGS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (
        lambda folder: folder / "none",
        "does not exist [PS-431]. Next: name another with -e benchmark_kubeconfig=FILE",
    ),
    "a folder": (lambda folder: folder, ": a folder, not a file"),
    "empty": (lambda folder: write(folder / "k", ""), ": malformed: "),
    "not YAML": (lambda folder: write(folder / "k", "a: ["), ": malformed: "),
    "text": (lambda folder: write(folder / "k", "hello"), ": malformed: it isn't built like one"),
    "no cluster": (lambda folder: write(folder / "k", "current-context: x\n"), ": malformed: "),
    "a program for the identity that is not there": (
        lambda folder: write(folder / "k", with_exec("kubelogin-not-here")),
        "No such file or directory: 'kubelogin-not-here') [PS-434]. Next: install that program; or ",
    ),
    "a program for the identity that fails": (
        lambda folder: write(folder / "k", with_exec("false")),
        "does not work here (exec: process returned 1",
    ),
    "open to all": (lambda folder: write(folder / "k", "", 0o644), "(mode 0644) [PS-433]. Next: chmod 600 "),
    "open to a group": (
        lambda folder: write(folder / "k", "", 0o640),
        "(mode 0640) [PS-433]. Next: chmod 600 ",
    ),
}


@pytest.mark.parametrize(("make", "words"), KUBECONFIGS.values(), ids=KUBECONFIGS)
def test_unusable_kubeconfig_is_one_line(
    make: Callable[[Path], Path], words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = make(tmp_path)
    with pytest.raises(KubeError) as caught:
        KubeClient(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()
    assert capfd.readouterr() == ("", "")


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
