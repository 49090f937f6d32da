"""The folder that holds all of one lab's state, and the lock that says whether somebody works in it.

The lock is a flock that `up` takes and hands to the supervisor: the kernel frees it when its last holder
dies, however that happens. So a folder whose lock is free is at rest or stale, whatever pids it names.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from virtual_cluster.errors import LabError
from virtual_cluster.processes import Identity

_LOCK = "lab.lock"
# sun_path is 108 bytes with its closing zero.
_LONGEST_SOCKET_PATH = 107
_LONGEST_SOCKET_NAME = "virtual-pi.sock"
_PLAIN_PATH = re.compile(r"[A-Za-z0-9._/-]+")
_PARTIAL_PREFIX = ".lab-partial-"
_TEMPORARY_PREFIX = "pi-speedup-lab-"


@dataclass(frozen=True, slots=True)
class LabFolder:
    """Where each thing of a lab lies; `path` is absolute."""

    path: Path

    @property
    def spec(self) -> Path:
        """What was asked for; its presence marks the folder as a lab's."""
        return self.path / "lab.json"

    @property
    def state(self) -> Path:
        """What runs, written by the supervisor."""
        return self.path / "state.json"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; the other identities' have a suffix."""
        return self.path / "kubeconfig"

    @property
    def inventory(self) -> Path:
        """The inventory for Ansible."""
        return self.path / "inventory.yml"

    @property
    def audit_log(self) -> Path:
        """One line of JSON per request to the API server."""
        return self.path / "audit.log"

    @property
    def control_plane(self) -> Path:
        """Keys, certificates and the components' own kubeconfigs."""
        return self.path / "control-plane"

    @property
    def etcd(self) -> Path:
        """etcd's data and, unless the path is too long, its sockets."""
        return self.path / "etcd"

    @property
    def pis_config(self) -> Path:
        """What the virtual Pis' daemon reads."""
        return self.path / "virtual-pis.json"

    @property
    def pis(self) -> Path:
        """The virtual Pis' work folder."""
        return self.path / "virtual-pi"

    def log(self, component: str) -> Path:
        """The log of a component."""
        return self.path / "logs" / f"{component}.log"


@dataclass(frozen=True, slots=True)
class Spec:
    """What `up` asks of the supervisor. `sockets` is the folder of all unix sockets."""

    pis: int
    cpus: float
    architecture: str
    version: str
    commands: Mapping[str, tuple[str, ...]]
    etcd_sockets: str
    control_socket: str


@dataclass(frozen=True, slots=True)
class Component:
    """A process of the lab; `exit_code` as in subprocess (negative: signal), None while it runs."""

    process: Identity
    log: str
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What the supervisor has started. `server` is the API server's URL."""

    ready: bool
    server: str
    supervisor: Identity
    components: Mapping[str, Component]


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 so that a reader sees the old or the new text, never half of it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=_PARTIAL_PREFIX)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(temporary).replace(path)


def write_spec(folder: LabFolder, spec: Spec) -> None:
    """Mark the folder as a lab's and say what it shall become."""
    write_private(folder.spec, json.dumps(asdict(spec), indent=1))


def read_spec(folder: LabFolder) -> Spec | None:
    """What was asked for; None if the folder holds no lab."""
    content = _read_json(folder.spec)
    if content is None:
        return None
    commands = {name: tuple(words) for name, words in content["commands"].items()}
    return Spec(**{**content, "commands": commands})


def write_state(folder: LabFolder, state: State) -> None:
    """Say what runs."""
    write_private(folder.state, json.dumps(asdict(state), indent=1))


def read_state(folder: LabFolder) -> State | None:
    """What was last said to run; None before the first process."""
    content = _read_json(folder.state)
    if content is None:
        return None
    components = {
        name: Component(Identity(**component["process"]), component["log"], component["exit_code"])
        for name, component in content["components"].items()
    }
    return State(content["ready"], content["server"], Identity(**content["supervisor"]), components)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise LabError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise LabError(
            f"{path} is damaged: {error}. Next: stop its processes by hand and remove the folder"
        ) from error
    assert isinstance(content, dict)
    return content


class FolderLock:
    """The right to change a lab's folder; also says whose it is."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def try_acquire(cls, folder: LabFolder) -> FolderLock | None:
        """Take the lock of an existing folder; None if somebody has it."""
        path = folder.path / _LOCK
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            try:
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return cls(descriptor)
            except FileNotFoundError:
                pass
            # `down` removed the file between the open and the flock: this one is nobody's lock any more.
            os.close(descriptor)

    def sign(self, owner: Identity) -> None:
        """Say whom to ask to stop."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, json.dumps(asdict(owner)).encode(), 0)

    def release(self) -> None:
        """Give it up; a process that shares it keeps it."""
        os.close(self.descriptor)


def lock_owner(folder: LabFolder) -> Identity | None:
    """Who last took the lock; None if that is not (yet) said."""
    try:
        return Identity(**json.loads((folder.path / _LOCK).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def place_sockets(folder: LabFolder) -> tuple[Path, Path]:
    """(Folder for etcd's sockets, path of the virtual Pis' control socket), within Linux' limit on length.

    They lie in the lab's folder, or in a new private one for temporary files if its path is too long or holds
    characters that an URL would escape.
    """
    if _fits(folder.path):
        return folder.etcd, folder.path / _LONGEST_SOCKET_NAME
    temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY_PREFIX))
    if not _fits(temporary):
        temporary.rmdir()
        raise LabError(
            f"no path for sockets: {folder.path} and {temporary} are too long or not plain. "
            "Next: name a short --dir"
        )
    return temporary, temporary / _LONGEST_SOCKET_NAME


def _fits(folder: Path) -> bool:
    path = str(folder / _LONGEST_SOCKET_NAME)
    return len(path) <= _LONGEST_SOCKET_PATH and _PLAIN_PATH.fullmatch(path) is not None


def is_foreign(folder: LabFolder) -> bool:
    """Whether an existing folder holds something and no lab."""
    return not folder.spec.exists() and any(entry.name != _LOCK for entry in folder.path.iterdir())


def remove_contents(folder: LabFolder) -> None:
    """Remove what a lab writes, and nothing else; the lock's holder calls this."""
    spec = read_spec(folder)
    if spec is not None:
        sockets = Path(spec.etcd_sockets)
        if sockets != folder.etcd and sockets.name.startswith(_TEMPORARY_PREFIX):
            shutil.rmtree(sockets, ignore_errors=True)
    try:
        for directory in (folder.control_plane, folder.etcd, folder.pis, folder.path / "logs"):
            if directory.exists():
                shutil.rmtree(directory)
        # The mark, lab.json, goes last: so a removal that is cut short can be repeated.
        files = (
            "kubeconfig*",
            "audit*.log",
            "inventory.yml",
            "virtual-pi*",
            f"{_PARTIAL_PREFIX}*",
            "state.json",
        )
        for pattern in (*files, "lab.json"):
            for path in folder.path.glob(pattern):
                path.unlink()
    except OSError as error:
        raise LabError(
            f"cannot remove {error.filename}: {error.strerror}. Next: remove {folder.path} by hand"
        ) from error


def remove(folder: LabFolder, lock: FolderLock) -> None:
    """Remove the lab's files and the lock, and the folder if nothing else is in it; releases the lock."""
    remove_contents(folder)
    (folder.path / _LOCK).unlink(missing_ok=True)
    lock.release()
    if not any(folder.path.iterdir()):
        folder.path.rmdir()
