"""A kubeconfig file, checked before anything is sent with it."""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import Configuration
from kubernetes.config import ConfigException
from kubernetes.config.kube_config import load_kube_config
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from pi_speedup.codes import Code
from pi_speedup.files import UnfitFileError, open_file, read_file
from pi_speedup.kube.access.errors import KubeError
from pi_speedup.text import one_line

# Of a few clusters with their certificates it has some 10 KB.
MAX_KUBECONFIG_BYTES = 1024 * 1024
# What a step says where a playbook runs; a command has options of its own.
ANOTHER = (
    "name another with -e benchmark_kubeconfig=FILE; or name none and unset KUBECONFIG, and it is "
    "fetched from the K3s server, the inventory's group `server`"
)
FETCH_AGAIN = "fetch it again from the K3s server (/etc/rancher/k3s/k3s.yaml)"


def load_kubeconfig(path: Path, scratch_folder: str) -> Configuration:
    """Return the client configuration a kubeconfig describes.

    `scratch_folder` takes the files into which the Kubernetes client unpacks certificates and keys; the
    caller removes it. KubeError if the file is missing, unreadable, open to others or malformed.
    """
    _refuse_open_file(path)
    configuration = Configuration()
    try:
        with _logged() as complaints:
            load_kube_config(
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
    if complaints:
        # Of the program that it names for an identity (`exec`): the client goes on without one.
        raise KubeError(
            Code.KUBECONFIG_MALFORMED,
            f"kubeconfig {path}",
            f"the program that it names for an identity does not work here ({one_line(complaints[0], 160)})",
            f"install that program; or {ANOTHER}",
        )
    if not _is_url(configuration.host):
        raise _malformed(path, "its cluster has no server such as https://192.168.1.101:6443")
    if configuration.proxy and not _is_url(configuration.proxy):
        raise _malformed(path, "its proxy-url is not a valid one")
    return configuration


@contextlib.contextmanager
def _logged() -> Iterator[list[str]]:
    """Keep what the Kubernetes client would print beside our line."""
    kept: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record.getMessage())

    handler = Keep(logging.ERROR)
    logging.getLogger().addHandler(handler)
    try:
        yield kept
    finally:
        logging.getLogger().removeHandler(handler)


def _is_url(text: object) -> bool:
    try:
        url = parse_url(str(text))
    except LocationParseError:
        return False
    return url.scheme in ("http", "https") and bool(url.host)


def context_words(path: Path) -> str:
    """Return `, context NAME`, or nothing where the file does not tell."""
    try:
        name = yaml.safe_load(read_file(path, MAX_KUBECONFIG_BYTES, follow=True))["current-context"]
    except (OSError, ValueError, TypeError, LookupError, RecursionError, yaml.YAMLError):
        return ""
    return f", context {one_line(name, 60)}"


def current_cluster(path: Path) -> dict[str, Any]:
    """Return how a kubeconfig's current context reaches its cluster, a certificate's file as data.

    Nothing of it is secret. KubeError if the file is malformed; see load_kubeconfig for all else.
    """
    try:
        document = yaml.safe_load(read_file(path, MAX_KUBECONFIG_BYTES, follow=True))
        contexts = {each["name"]: each["context"] for each in document["contexts"]}
        clusters = {each["name"]: dict(each["cluster"]) for each in document["clusters"]}
        cluster = clusters[contexts[document["current-context"]]["cluster"]]
        if authority := cluster.pop("certificate-authority", None):
            # A path is relative to the kubeconfig.
            pem = read_file(path.parent / authority, MAX_KUBECONFIG_BYTES, follow=True)
            cluster.setdefault("certificate-authority-data", base64.b64encode(pem).decode())
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError, yaml.YAMLError):
        raise _malformed(path, "its current context names no cluster that can be read") from None
    return cluster


def _malformed(path: Path, why: str) -> KubeError:
    return KubeError(
        Code.KUBECONFIG_MALFORMED,
        f"kubeconfig {path}",
        f"malformed: {why}",
        FETCH_AGAIN,
    )


def _refuse_open_file(path: Path) -> None:
    subject = f"kubeconfig {path}"
    try:
        with open_file(path, follow=True) as file:
            found = os.fstat(file.fileno())
        if found.st_size > MAX_KUBECONFIG_BYTES:
            what = f"{found.st_size} bytes, more than the {MAX_KUBECONFIG_BYTES} expected"
            raise KubeError(Code.KUBECONFIG_UNREADABLE, subject, what, "give the path of a kubeconfig file")
    except UnfitFileError as error:
        raise KubeError(
            Code.KUBECONFIG_UNREADABLE, subject, str(error.strerror), "give the path of a kubeconfig file"
        ) from None
    except FileNotFoundError:
        raise KubeError(
            Code.KUBECONFIG_MISSING,
            subject,
            "does not exist",
            ANOTHER,
        ) from None
    except OSError as error:
        raise KubeError(
            Code.KUBECONFIG_UNREADABLE,
            subject,
            f"cannot be read: {error.strerror}",
            f"sudo chown $USER {shlex.quote(str(path))}; chmod 600 {shlex.quote(str(path))}",
        ) from None
    # Whoever reads this file is cluster admin.
    mode = found.st_mode
    if mode & 0o077:
        raise KubeError(
            Code.KUBECONFIG_OPEN_TO_OTHERS,
            subject,
            f"open to other users (mode {stat.S_IMODE(mode):04o})",
            f"chmod 600 {shlex.quote(str(path))}",
        )
