"""Bringing a lab up, looking at it, taking it down."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from virtual_cluster import processes
from virtual_cluster.api import Api
from virtual_cluster.binary import find_components
from virtual_cluster.errors import LabError
from virtual_cluster.folder import (
    FolderLock,
    LabFolder,
    Spec,
    State,
    is_foreign,
    lock_owner,
    place_sockets,
    read_spec,
    read_state,
    remove,
    remove_contents,
    write_spec,
)
from virtual_cluster.inventory import PACKAGE
from virtual_cluster.kubectl import become
from virtual_cluster.pki import KeyPair
from virtual_cluster.progress import Progress

_SUPERVISOR_STOP_TIMEOUT_SECONDS = 15.0
_LOCK_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Request:
    """What `up` was asked for; `cpus` in cores for each Pi."""

    pis: int
    cpus: float
    architecture: str


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """A process of the lab."""

    pid: int
    running: bool
    exit_code: int | None
    log: str


@dataclass(frozen=True, slots=True)
class Status:
    """What is known about a lab.

    `state` is absent, starting, ready, degraded (a component or a Pi is not well) or stale (killed, not taken
    down); `pis` says which are Ready.
    """

    state: str
    dir: str
    server: str | None
    kubernetes_version: str | None
    supervisor_pid: int | None
    components: Mapping[str, ComponentStatus]
    pis: Mapping[str, bool]


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def up(folder: LabFolder, request: Request, progress: Progress) -> None:
    """Start a lab and return when all its Pis are Ready.

    Raises LabError, and leaves no process behind, if that fails. KeyboardInterrupt (also for SIGTERM)
    leaves no file either.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    _refuse_foreign_or_running(folder)
    components = find_components(progress)
    lock = _take_folder(folder, progress)
    supervisor: subprocess.Popen[bytes] | None = None
    try:
        etcd_sockets, control_socket = place_sockets(folder)
        spec = Spec(
            pis=request.pis,
            cpus=request.cpus,
            architecture=request.architecture,
            version=components.version,
            commands=components.commands,
            etcd_sockets=str(etcd_sockets),
            control_socket=str(control_socket),
        )
        write_spec(folder, spec)
        supervisor = _start_supervisor(folder, lock)
        _follow(supervisor, folder, progress)
        _print_next_steps(folder, request, components.version)
    except BaseException as error:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        if supervisor is not None:
            _end(supervisor)
        if isinstance(error, KeyboardInterrupt):
            remove(folder, lock)
        raise


def _refuse_foreign_or_running(folder: LabFolder) -> None:
    """The checks that cost nothing, before a build of minutes."""
    if not folder.path.exists():
        return
    if not folder.path.is_dir():
        raise LabError(f"{folder.path} is not a folder. Next: name another --dir")
    try:
        foreign = is_foreign(folder)
    except PermissionError as error:
        raise LabError(f"{folder.path} is not yours to read. Next: name another --dir") from error
    if foreign:
        raise LabError(f"{folder.path} holds files and no lab. Next: name another --dir")
    owner = lock_owner(folder)
    if owner is not None and processes.is_running(owner):
        raise _running(folder)


def _running(folder: LabFolder) -> LabError:
    return LabError(
        f"a lab is running in {folder.path}. "
        f"Next: take it down first ({_command('down', folder)}) or name another --dir"
    )


def _command(name: str, folder: LabFolder) -> str:
    return f"python -m virtual_cluster {name} --dir {folder.path}"


def _take_folder(folder: LabFolder, progress: Progress) -> FolderLock:
    try:
        folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.path.chmod(0o700)
        lock = FolderLock.try_acquire(folder)
    except OSError as error:
        raise LabError(
            f"cannot make {folder.path} a private folder: {error.strerror}. Next: name another --dir"
        ) from error
    if lock is None:
        raise _running(folder)
    me = processes.identify(os.getpid())
    assert me is not None
    lock.sign(me)
    if is_foreign(folder):
        raise LabError(f"{folder.path} holds files and no lab. Next: name another --dir")
    if folder.spec.exists():
        _kill_leftovers(folder)
        remove_contents(folder)
        progress.step(f"Cleaned up a stale lab in {folder.path}")
    return lock


def _kill_leftovers(folder: LabFolder) -> None:
    """End what is left of a dead supervisor's children: the kernel kills them too, but nobody awaits that."""
    state = read_state(folder)
    if state is not None and not processes.kill(
        [component.process for component in state.components.values()]
    ):
        raise LabError(
            f"processes of the lab in {folder.path} do not end; {_command('status', folder)} names them"
        )


def _start_supervisor(folder: LabFolder, lock: FolderLock) -> subprocess.Popen[bytes]:
    folder.log("supervisor").parent.mkdir(mode=0o700, exist_ok=True)
    command = [sys.executable, "-m", "virtual_cluster.supervisor", str(folder.path), str(lock.descriptor)]
    with folder.log("supervisor").open("ab") as log:
        return processes.spawn(
            command,
            # Orderly, if `up` is killed while the lab starts.
            death_signal=signal.SIGTERM,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=PACKAGE.parent,
            # Ctrl-C reaches `up` alone, which passes it on.
            new_session=True,
            pass_fds=[lock.descriptor],
        )


def _follow(supervisor: subprocess.Popen[bytes], folder: LabFolder, progress: Progress) -> None:
    assert supervisor.stdout is not None
    for text in supervisor.stdout:
        line = json.loads(text)
        if "error" in line:
            raise LabError(line["error"])
        if "ready" in line:
            return
        progress.step(line["progress"])
    raise LabError(f"the supervisor ended before the lab was ready. Log: {folder.log('supervisor')}")


def _end(supervisor: subprocess.Popen[bytes]) -> None:
    supervisor.terminate()
    try:
        supervisor.wait(_SUPERVISOR_STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        supervisor.kill()  # takes its children with it
        supervisor.wait()


def _print_next_steps(folder: LabFolder, request: Request, version: str) -> None:
    print(
        f"Ready: Kubernetes {version}, {request.pis} virtual Pis ({request.architecture}) "
        f"of {request.cpus:g} CPU each."
    )
    print(f"  Benchmark: ansible-playbook -i {folder.inventory} benchmark.yml")
    print(f"  Look:      {_command('kubectl', folder)} -- get nodes -o wide")
    print(f"             or any kubectl, after export KUBECONFIG={folder.kubeconfig}")
    print(f"  End:       {_command('down', folder)}")


def down(folder: LabFolder) -> bool:
    """Stop the lab and remove its files; False if there was none.

    Works on a stale folder, and while `up` is at work.
    """
    if not folder.path.is_dir() or is_foreign(folder):
        return False
    was_there = folder.spec.exists()
    lock = _wrest_lock(folder)
    _kill_leftovers(folder)
    remove(folder, lock)
    return was_there


def _wrest_lock(folder: LabFolder) -> FolderLock:
    deadline = time.monotonic() + _LOCK_TIMEOUT_SECONDS
    asked: set[processes.Identity] = set()
    while folder.path.is_dir():
        try:
            lock = FolderLock.try_acquire(folder)
        except FileNotFoundError:  # an interrupted `up` has just removed the folder
            break
        if lock is not None:
            return lock
        owner = lock_owner(folder)
        if owner is not None and owner not in asked:
            asked.add(owner)
            processes.send(owner, signal.SIGTERM)
            if not processes.await_end([owner], _SUPERVISOR_STOP_TIMEOUT_SECONDS):
                processes.kill([owner])
        elif time.monotonic() > deadline:
            raise LabError(f"another command keeps {folder.path} locked. Next: end it and try again")
        else:
            time.sleep(0.05)
    return _empty_lock(folder)


def _empty_lock(folder: LabFolder) -> FolderLock:
    folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FolderLock.try_acquire(folder)
    if lock is None:
        raise _running(folder)
    return lock


def status(folder: LabFolder) -> Status:
    """What runs, by process identity, and which Pis are Ready, by asking the API server."""
    spec = read_spec(folder)
    state = read_state(folder)
    if spec is None:
        return Status("absent", str(folder.path), None, None, None, {}, {})
    names = [f"pi-{number}" for number in range(1, spec.pis + 1)]
    if state is None:
        owner = lock_owner(folder)
        starting = owner is not None and processes.is_running(owner)
        word = "starting" if starting else "stale"
        return Status(word, str(folder.path), None, spec.version, None, {}, dict.fromkeys(names, False))
    components = {
        name: ComponentStatus(
            component.process.pid, processes.is_running(component.process), component.exit_code, component.log
        )
        for name, component in state.components.items()
    }
    ready = _ready_nodes(folder, state) if state.ready else frozenset()
    pis = {name: name in ready for name in names}
    supervised = processes.is_running(state.supervisor)
    return Status(
        state=_word(state, supervised, components, pis),
        dir=str(folder.path),
        server=state.server,
        kubernetes_version=spec.version,
        supervisor_pid=state.supervisor.pid if supervised else None,
        components=components,
        pis=pis,
    )


def _word(
    state: State, supervised: bool, components: Mapping[str, ComponentStatus], pis: Mapping[str, bool]
) -> str:
    if not supervised:
        return "stale"
    if not state.ready:
        return "starting"
    well = all(component.running for component in components.values()) and all(pis.values())
    return "ready" if well else "degraded"


def _ready_nodes(folder: LabFolder, state: State) -> frozenset[str]:
    certificates = folder.control_plane
    admin = KeyPair(certificates / "admin.crt", certificates / "admin.key")
    try:
        return Api(
            "127.0.0.1", int(state.server.rpartition(":")[2]), certificates / "ca.crt", admin
        ).ready_nodes()
    except (OSError, http.client.HTTPException):
        return frozenset()


def kubectl(folder: LabFolder, arguments: list[str]) -> NoReturn:
    """Become kubectl, with the administrator's kubeconfig."""
    spec = read_spec(folder)
    if spec is None:
        raise LabError(f"no lab in {folder.path}. Next: {_command('up', folder)}")
    become(spec.commands["kubectl"], folder.kubeconfig, arguments)
