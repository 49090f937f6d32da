"""One process per lab: it starts the components, owns them and takes them with it, however it dies.

`up` starts it as `python -m virtual_cluster.supervisor DIR LOCK_DESCRIPTOR` and reads from its standard
output one line of JSON per step: {"progress": TEXT}, then {"ready": true} or {"error": TEXT}.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType

from virtual_cluster import control_plane, inventory, kubeconfig, pis, pki, processes
from virtual_cluster.api import Api
from virtual_cluster.errors import LabError, last_line
from virtual_cluster.folder import (
    Component,
    FolderLock,
    LabFolder,
    Spec,
    State,
    read_spec,
    write_private,
    write_state,
)

_API_SERVER_TIMEOUT_SECONDS = 120.0
_NODES_TIMEOUT_SECONDS = 60.0
_POLL_SECONDS = 0.05
# The virtual Pis end their pods in this time; the control plane has nothing to save and is killed at once.
_PIS_STOP_TIMEOUT_SECONDS = 5.0
_REPOSITORY = inventory.PACKAGE.parent


class _Stop(BaseException):
    """Somebody asked the lab to end."""


def _on_signal(number: int, frame: FrameType | None) -> None:
    raise _Stop


def _report(**line: object) -> None:
    try:
        print(json.dumps(line), flush=True)
    except BrokenPipeError as error:  # `up` is gone
        raise _Stop from error


def last_words(log: str) -> str:
    """The line of a component's log that best says why it ended: the last error, else the last line."""
    lines = [line.strip() for line in log.splitlines()]
    errors = [line for line in lines if line.startswith(("E", "F")) or '"level":"fatal"' in line]
    return last_line("\n".join(errors or lines))


def reserve_port() -> socket.socket:
    """A socket bound to a free port of 127.0.0.1 that does not listen.

    While it is open nobody else gets the port, and a server that permits port sharing can still listen there.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved


class Supervisor:
    """Starts and stops the components of one lab."""

    def __init__(self, folder: LabFolder, spec: Spec) -> None:
        me = processes.identify(os.getpid())
        assert me is not None
        self._folder = folder
        self._spec = spec
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._state = State(ready=False, server="", supervisor=me, components={})

    def start(self, port: int) -> None:
        """Start all components and wait until every virtual Pi is Ready; LabError if that fails."""
        folder, spec = self._folder, self._spec
        server = f"https://127.0.0.1:{port}"
        self._write_state(replace(self._state, server=server))
        for directory in (folder.control_plane, folder.etcd, folder.pis, folder.log("any").parent):
            directory.mkdir(mode=0o700, exist_ok=True)
        virtual_pis = pis.create(spec.pis, spec.cpus, spec.architecture, port)
        # One process plays all kubelets, under one identity.
        addresses = [pi.address for pi in virtual_pis]
        kubelets = pki.Kubelet("virtual-pis", "virtual-pis", "pi-speedup", addresses)
        keys = pki.create(folder.control_plane, [kubelets])
        api = Api("127.0.0.1", port, keys.authority, keys.admin)
        self._write_kubeconfigs(server, port, keys)

        _report(progress=f"Starting Kubernetes {spec.version}")
        audit_policy = folder.control_plane / "audit-policy.yaml"
        audit_policy.write_text(control_plane.AUDIT_POLICY)
        etcd_sockets = Path(spec.etcd_sockets)
        self._spawn("etcd", control_plane.etcd_flags(folder.etcd / "data"), cwd=etcd_sockets)
        flags = control_plane.api_server_flags(
            keys, etcd_sockets, "127.0.0.1", port, audit_policy, folder.audit_log
        )
        self._spawn("kube-apiserver", flags)
        self._await(
            lambda: api.succeeds("GET", "/readyz"),
            _API_SERVER_TIMEOUT_SECONDS,
            lambda: "kube-apiserver is not ready",
            "kube-apiserver",
        )
        for path, body in control_plane.initial_objects():
            status, answer = api.request("POST", path, body)
            if status != 201:
                raise LabError(f"the API server answered {status} to POST {path}: {answer[:300].decode()}")

        # Only now: while the API server is not ready the others meet refusals, back off and lose seconds.
        _report(progress=f"Starting {spec.pis} virtual Pis")
        manager = self._component_kubeconfig(
            "kube-controller-manager", server, keys.authority, keys.controller_manager
        )
        self._spawn("kube-controller-manager", control_plane.controller_manager_flags(keys, manager))
        scheduler = self._component_kubeconfig("kube-scheduler", server, keys.authority, keys.scheduler)
        self._spawn("kube-scheduler", control_plane.scheduler_flags(scheduler))
        config = pis.daemon_config(
            virtual_pis,
            keys,
            keys.kubelets[kubelets.name],
            server=server,
            control_socket=Path(spec.control_socket),
            folder=folder.pis,
            kubernetes_version=spec.version,
        )
        write_private(folder.pis_config, json.dumps(config, indent=1))
        self._spawn("virtual-pi", ["--config", str(folder.pis_config)], cwd=_REPOSITORY)
        self._await_nodes(api, frozenset(pi.name for pi in virtual_pis))
        write_private(folder.inventory, inventory.render(virtual_pis, folder.path, folder.kubeconfig))
        self._write_state(replace(self._state, ready=True))

    def watch(self) -> None:
        """Note in the state which component ends; the others go on: a fault is not the lab's end."""
        names = {child.pid: name for name, child in self._children.items()}
        while names:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            assert ended is not None
            name = names.pop(ended.si_pid)
            exit_code = self._children[name].wait()
            component = replace(self._state.components[name], exit_code=exit_code)
            self._write_state(replace(self._state, components={**self._state.components, name: component}))
            print(f"{name} ended with exit code {exit_code}", file=sys.stderr, flush=True)
        signal.pause()

    def stop(self) -> None:
        """End all components and wait until they are gone."""
        virtual_pi = self._children.get("virtual-pi")
        if virtual_pi is not None and virtual_pi.poll() is None:
            virtual_pi.terminate()
            try:
                virtual_pi.wait(_PIS_STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                print("virtual-pi did not end when asked", file=sys.stderr, flush=True)
        for child in self._children.values():
            child.kill()
        for child in self._children.values():
            child.wait()

    def _spawn(self, name: str, flags: list[str], cwd: Path | None = None) -> None:
        command = self._spec.commands.get(name, (sys.executable, "-m", "virtual_cluster.virtual_pi"))
        log = self._folder.log(name)
        with log.open("ab") as output:
            child = processes.spawn(
                [*command, *flags],
                death_signal=signal.SIGKILL,
                stdout=output,
                stderr=output,
                cwd=cwd or self._folder.path,
            )
        self._children[name] = child
        process = processes.identify(child.pid)
        if process is None:
            raise self._ended(name, child.wait())
        components = {**self._state.components, name: Component(process, str(log))}
        self._write_state(replace(self._state, components=components))

    def _write_state(self, state: State) -> None:
        self._state = state
        write_state(self._folder, state)

    def _write_kubeconfigs(self, server: str, port: int, keys: pki.Pki) -> None:
        admin = kubeconfig.certificate_user(keys.admin)
        files = {
            "": (server, admin),
            ".readonly": (server, kubeconfig.certificate_user(keys.readonly)),
            ".wrong-token": (server, {"token": "not-a-token"}),
            # The certificate names 127.0.0.1 only.
            ".wrong-address": (f"https://localhost:{port}", admin),
        }
        for suffix, (address, user) in files.items():
            path = self._folder.kubeconfig.with_name(f"{self._folder.kubeconfig.name}{suffix}")
            write_private(path, kubeconfig.render(address, keys.authority, user))

    def _component_kubeconfig(self, name: str, server: str, authority: Path, user: pki.KeyPair) -> Path:
        path = self._folder.control_plane / f"{name}.kubeconfig"
        write_private(path, kubeconfig.render(server, authority, kubeconfig.certificate_user(user)))
        return path

    def _ended(self, name: str, exit_code: int) -> LabError:
        log = self._folder.log(name)
        return LabError(
            f"{name} ended with exit code {exit_code}: "
            f"{last_words(log.read_text(errors='replace'))}. Log: {log}"
        )

    def _await_nodes(self, api: Api, wanted: frozenset[str]) -> None:
        ready: frozenset[str] = frozenset()

        def all_ready() -> bool:
            nonlocal ready
            ready = api.ready_nodes()
            return wanted <= ready

        def shortfall() -> str:
            missing = sorted(wanted - ready, key=lambda name: int(name.rpartition("-")[2]))
            others = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            return (
                f"{len(missing)} of {len(wanted)} virtual Pis are not Ready: {', '.join(missing[:3])}{others}"
            )

        self._await(all_ready, _NODES_TIMEOUT_SECONDS, shortfall, "virtual-pi")
        # Without it the first pods would be refused.
        self._await(
            lambda: api.succeeds("GET", "/api/v1/namespaces/default/serviceaccounts/default"),
            _NODES_TIMEOUT_SECONDS,
            lambda: "the service account default/default is missing",
            "kube-controller-manager",
        )

    def _await(
        self,
        condition: Callable[[], bool],
        timeout_seconds: float,
        shortfall: Callable[[], str],
        component: str,
    ) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            for name, child in self._children.items():
                if (exit_code := child.poll()) is not None:
                    raise self._ended(name, exit_code)
            if time.monotonic() > deadline:
                raise LabError(
                    f"{shortfall()} after {timeout_seconds:.0f} s. Log: {self._folder.log(component)}"
                )
            time.sleep(_POLL_SECONDS)


def main(arguments: list[str]) -> int:
    """Run a lab until somebody asks for its end; see the module's description."""
    path, lock_descriptor = arguments
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _on_signal)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    folder = LabFolder(Path(path))
    spec = read_spec(folder)
    me = processes.identify(os.getpid())
    assert spec is not None and me is not None
    FolderLock(int(lock_descriptor)).sign(me)
    supervisor = Supervisor(folder, spec)
    try:
        with reserve_port() as reserved:
            supervisor.start(reserved.getsockname()[1])
            processes.set_death_signal(0)  # from here on `up` may end without us
            _report(ready=True)
            _close_report()
            supervisor.watch()
    except _Stop:
        return 0
    except (LabError, OSError) as error:
        _report(error=str(error))
        return 1
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        supervisor.stop()
    return 0


def _close_report() -> None:
    """Let `up` see the end of our output; the stream stays usable."""
    sys.stdout.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
