"""A kubeconfig file, checked before anything is sent with it."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import Configuration
from kubernetes.config import ConfigException
from kubernetes.config.kube_config import load_kube_config
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from pi_speedup.codes import Code
from pi_speedup.kube.errors import KubeError
from pi_speedup.text import one_line


def load_kubeconfig(path: Path, scratch_folder: str) -> Configuration:
    """Return the client configuration a kubeconfig describes.

    `scratch_folder` takes the files into which the Kubernetes client unpacks certificates and keys; the
    caller removes it. KubeError if the file is missing, unreadable, open to others or malformed.
    """
    _refuse_open_file(path)
    configuration = Configuration()
    try:
        load_kube_config(  # type: ignore[no-untyped-call]
            config_file=str(path),
            client_configuration=configuration,
            persist_config=False,
            temp_file_path=scratch_folder,
        )
    except (ConfigException, yaml.YAMLError) as error:
        raise _malformed(path, one_line(error, 160)) from None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        # The Kubernetes client takes the file's structure for granted.
        raise _malformed(path, "it isn't built like one") from None
    if not _is_url(configuration.host):
        raise _malformed(path, "its cluster has no server such as https://192.168.1.101:6443")
    if configuration.proxy and not _is_url(configuration.proxy):
        raise _malformed(path, "its proxy-url is not a valid one")
    return configuration


def _is_url(text: object) -> bool:
    try:
        url = parse_url(str(text))
    except LocationParseError:
        return False
    return url.scheme in ("http", "https") and bool(url.host)


def current_cluster(path: Path) -> dict[str, Any]:
    """Return how a kubeconfig's current context reaches its cluster, a certificate's file as data.

    Nothing of it is secret. KubeError if the file is malformed; see load_kubeconfig for all else.
    """
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
        contexts = {each["name"]: each["context"] for each in document["contexts"]}
        clusters = {each["name"]: dict(each["cluster"]) for each in document["clusters"]}
        cluster = clusters[contexts[document["current-context"]]["cluster"]]
        if authority := cluster.pop("certificate-authority", None):
            # A path is relative to the kubeconfig.
            pem = (path.parent / authority).read_bytes()
            cluster.setdefault("certificate-authority-data", base64.b64encode(pem).decode())
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError, yaml.YAMLError):
        raise _malformed(path, "its current context names no cluster that can be read") from None
    return cluster


def _malformed(path: Path, why: str) -> KubeError:
    return KubeError(
        Code.KUBECONFIG_MALFORMED,
        f"kubeconfig {path}",
        f"malformed: {why}",
        "fetch it again from the K3s server (/etc/rancher/k3s/k3s.yaml)",
    )


def _refuse_open_file(path: Path) -> None:
    subject = f"kubeconfig {path}"
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise KubeError(
                Code.KUBECONFIG_UNREADABLE, subject, "not a file", "give the path of a kubeconfig file"
            )
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise KubeError(
            Code.KUBECONFIG_MISSING,
            subject,
            "does not exist",
            "copy /etc/rancher/k3s/k3s.yaml from the K3s server there, set its server address, chmod 600",
        ) from None
    except OSError as error:
        raise KubeError(
            Code.KUBECONFIG_UNREADABLE,
            subject,
            f"cannot be read: {error.strerror}",
            "make it yours, chown and chmod 600",
        ) from None
    # Whoever reads this file is cluster admin.
    if mode & 0o077:
        raise KubeError(
            Code.KUBECONFIG_OPEN_TO_OTHERS,
            subject,
            f"open to other users (mode {stat.S_IMODE(mode):04o})",
            f"chmod 600 {path}",
        )
