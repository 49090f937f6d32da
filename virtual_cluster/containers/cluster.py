"""Start, stop and look at the containers. Docker is the only memory: what carries our label is ours."""

from __future__ import annotations

import hashlib
import ipaddress
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from virtual_cluster import kubeconfig, pki
from virtual_cluster.api import Api
from virtual_cluster.binary import NAMES_WITH_KUBELET, Components, find_components
from virtual_cluster.containers import inventory, pis
from virtual_cluster.containers.docker import attempt, docker, require_daemon
from virtual_cluster.containers.images import Images, find_images
from virtual_cluster.containers.pis import API_PORT, ContainerPi, Files
from virtual_cluster.errors import LabError, last_line
from virtual_cluster.folder import write_private
from virtual_cluster.kubectl import become
from virtual_cluster.progress import Progress

_LABEL = "pi-speedup.cluster"
_READY_TIMEOUT_SECONDS = 120.0
_POLL_SECONDS = 0.1
# Enough for a kubelet and its pods. Neither --privileged nor ALL: machines may lack some of those rights.
_RIGHTS = (
    *(f"--cap-add={name}" for name in ("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "MKNOD", "SYSLOG")),
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",
    "--cgroupns=host",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
    "--device=/dev/kmsg",
)
# overlay on overlay fails, and a memory is faster than a disk.
_IN_MEMORY = tuple(
    f"--tmpfs={path}:exec,suid,dev"
    for path in ("/run", "/var/lib/containerd", "/var/lib/docker", "/var/lib/kubelet")
)


@dataclass(frozen=True, slots=True)
class Request:
    """What `up` was asked for."""

    pis: int
    cpus: float
    base: str | None


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster: its folder, from which its names in Docker follow, so that no two clusters share one."""

    path: Path

    @property
    def _id(self) -> str:
        return hashlib.sha256(str(self.path).encode()).hexdigest()[:8]

    @property
    def label(self) -> str:
        """What Docker knows all of it by."""
        return f"{_LABEL}={self._id}"

    @property
    def network(self) -> str:
        """The name of its Docker network."""
        return f"pi-speedup-{self._id}"

    def container(self, pi: str) -> str:
        """What Docker calls a Pi."""
        return f"{pi}-{self._id}"

    @property
    def inventory(self) -> Path:
        """The inventory for Ansible."""
        return self.path / "inventory.yml"

    @property
    def key(self) -> Path:
        """The SSH key that may log in as pi."""
        return self.path / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The Pis' SSH host keys."""
        return self.path / "known_hosts"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, for tests and for kubectl; the product fetches its own."""
        return self.path / "kubeconfig"

    def containers(self) -> dict[str, str]:
        """Container name -> state, in Docker's words."""
        lines = docker("ps", "--all", f"--filter=label={self.label}", "--format={{.Names}}\t{{.State}}")
        return dict(sorted(line.split("\t") for line in lines.splitlines()))


def up(cluster: Cluster, request: Request, progress: Progress) -> None:
    """Start the containers and wait until each Pi is Ready; leaves nothing behind if that fails.

    Raises LabError.
    """
    require_daemon()
    if "running" in cluster.containers().values():
        raise LabError(
            f"the cluster of {cluster.path} runs already. "
            f"Next: python -m virtual_cluster containers down --dir {cluster.path}"
        )
    components = find_components(progress, NAMES_WITH_KUBELET)
    images = find_images(request.base, progress)
    down(cluster)
    _claim(cluster.path)
    try:
        _start(cluster, request, components, images, progress)
    except BaseException:
        down(cluster)
        raise


def _claim(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise LabError(f"{path} holds something that is not ours. Next: name another --dir")
    path.chmod(0o700)
    (path / "containers.json").touch(mode=0o600)


def _start(
    cluster: Cluster, request: Request, components: Components, images: Images, progress: Progress
) -> None:
    progress.step(f"Starting {request.pis} Pis with Kubernetes {components.version}")
    network = _make_network(cluster)
    members = _plan(cluster, request, network)
    server = members[0]
    files = Files(cluster.path)
    for folder in (files.control_plane, *(files.of_pi(pi) for pi in members)):
        folder.mkdir(mode=0o700)
    keys = pki.create(
        files.control_plane,
        [pki.Kubelet(pi.name, f"system:node:{pi.name}", "system:nodes", [pi.address]) for pi in members],
        api_names=[server.address, server.name],
    )
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "pi-speedup", "-f", str(cluster.key)],
        check=True,
    )
    authorized_key = cluster.key.with_suffix(".pub").read_text()
    for pi in members:
        config = pis.write(files, pi, server, keys, components.commands, images.archive, authorized_key)
        _run(cluster, pi, files, components, images, config)

    api = Api(server.address, API_PORT, keys.authority, keys.admin)
    _await_ready(members, api)
    write_private(
        cluster.kubeconfig,
        kubeconfig.render(
            f"https://{server.address}:{API_PORT}", keys.authority, kubeconfig.certificate_user(keys.admin)
        ),
    )
    write_private(cluster.known_hosts, "".join(_host_keys(pi) for pi in members))
    architecture = docker("image", "inspect", "--format={{.Architecture}}", images.pi).strip()
    write_private(
        cluster.inventory, inventory.render(members, architecture, cluster.key, cluster.known_hosts)
    )
    for pi in members:
        progress.step(f"{pi.name} is Ready: ssh pi@{pi.address}, host key {_fingerprint(pi)}")


def _plan(cluster: Cluster, request: Request, network: ipaddress.IPv4Network) -> tuple[ContainerPi, ...]:
    return tuple(
        ContainerPi(
            name=f"pi-{number}",
            container=cluster.container(f"pi-{number}"),
            address=str(network[10 + number]),
            cpus=request.cpus,
            pod_network=f"10.42.{number}.0/24",  # K3s' own range; seen by this Pi alone
            is_server=number == 1,
        )
        for number in range(1, request.pis + 1)
    )


def _make_network(cluster: Cluster) -> ipaddress.IPv4Network:
    """A network where Docker finds room; made twice, for fixed addresses need a subnet that is named."""
    words = ("network", "create", f"--label={cluster.label}")
    docker(*words, cluster.network)
    subnet = docker(
        "network", "inspect", "--format={{(index .IPAM.Config 0).Subnet}}", cluster.network
    ).strip()
    docker("network", "rm", cluster.network)
    docker(*words, f"--subnet={subnet}", cluster.network)
    network = ipaddress.ip_network(subnet)
    assert isinstance(network, ipaddress.IPv4Network)
    return network


def _run(
    cluster: Cluster, pi: ContainerPi, files: Files, components: Components, images: Images, config: Path
) -> None:
    # Under the host's own paths, so that a path means the same inside and outside.
    binaries = {words[0] for words in components.commands.values()}
    mounts = [*sorted(binaries), str(images.archive), str(files.of_pi(pi))]
    if pi.is_server:
        mounts.append(str(files.control_plane))
    started = attempt(
        "run",
        "--detach",
        f"--name={pi.container}",
        f"--hostname={pi.name}",
        f"--label={cluster.label}",
        f"--network={cluster.network}",
        f"--ip={pi.address}",
        *_RIGHTS,
        *_IN_MEMORY,
        *(f"--volume={path}:{path}:ro" for path in mounts),
        images.pi,
        str(config),
    )
    if started.returncode != 0:
        problem = last_line(started.stderr)
        if "is already in use by container" in started.stderr:
            problem = (
                f"there is a container {pi.container} already. Next: docker rm it if it is of no use, "
                "or name another --dir"
            )
        raise LabError(f"{pi.name} does not start: {problem}")


def _await_ready(members: Sequence[ContainerPi], api: Api) -> None:
    wanted = frozenset(pi.name for pi in members)
    deadline = time.monotonic() + _READY_TIMEOUT_SECONDS
    while True:
        ready = api.ready_nodes()
        if wanted <= ready and api.succeeds("GET", "/api/v1/namespaces/default/serviceaccounts/default"):
            break
        for pi in members:
            if docker("inspect", "--format={{.State.Running}}", pi.container).strip() != "true":
                raise LabError(f"{pi.name} ended: {_console(pi)}")
        if time.monotonic() > deadline:
            missing = ", ".join(sorted(wanted - ready)) or "the API server"
            raise LabError(
                f"not ready after {_READY_TIMEOUT_SECONDS:.0f} s: {missing}. Last on the console of "
                f"{members[0].name}: {_console(members[0])}"
            )
        time.sleep(_POLL_SECONDS)
    for pi in members:
        while True:
            try:
                socket.create_connection((pi.address, 22), timeout=5).close()
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise LabError(f"{pi.name}: no SSH server at {pi.address}: {error}") from error
                time.sleep(_POLL_SECONDS)


def _console(pi: ContainerPi) -> str:
    logs = attempt("logs", "--tail=5", pi.container)
    return last_line(logs.stderr or logs.stdout)


def _host_keys(pi: ContainerPi) -> str:
    """Lines for known_hosts. Read through Docker, not over the network: nobody can stand in between."""
    keys = docker("exec", pi.container, "sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub")
    return "".join(f"{pi.address} {' '.join(line.split()[:2])}\n" for line in keys.splitlines())


def _fingerprint(pi: ContainerPi) -> str:
    line = docker("exec", pi.container, "ssh-keygen", "-l", "-f", "/etc/ssh/ssh_host_ed25519_key.pub")
    return line.split()[1]


def down(cluster: Cluster) -> bool:
    """Remove containers, network and files; False if there was nothing."""
    require_daemon()
    containers = cluster.containers()
    if containers:
        docker("rm", "--force", "--volumes", *containers)
    networks = docker("network", "ls", f"--filter=label={cluster.label}", "--format={{.Name}}").split()
    if networks:
        docker("network", "rm", *networks)
    there = (cluster.path / "containers.json").exists()
    if there:
        shutil.rmtree(cluster.path)
    return bool(containers) or bool(networks) or there


def kubectl(cluster: Cluster, arguments: Sequence[str], progress: Progress) -> NoReturn:
    """Become kubectl, with the administrator's kubeconfig."""
    if not cluster.kubeconfig.exists():
        raise LabError(
            f"no Pis of {cluster.path}. Next: python -m virtual_cluster containers up --dir {cluster.path}"
        )
    become(find_components(progress).commands["kubectl"], cluster.kubeconfig, arguments)


@dataclass(frozen=True, slots=True)
class Status:
    """Containers by state, and which Pis are Ready."""

    dir: str
    containers: dict[str, str]
    ready: list[str]

    @property
    def well(self) -> bool:
        """Whether all run and all are Ready."""
        return len(self.containers) == len(self.ready) > 0 and set(self.containers.values()) == {"running"}


def status(cluster: Cluster) -> Status:
    """What Docker and the API server say now."""
    require_daemon()
    containers = cluster.containers()
    ready: list[str] = []
    files = Files(cluster.path)
    admin = pki.KeyPair(files.control_plane / "admin.crt", files.control_plane / "admin.key")
    if containers and cluster.inventory.exists():
        hosts = inventory.addresses(cluster.inventory.read_text())
        api = Api(next(iter(hosts.values())), API_PORT, files.control_plane / "ca.crt", admin)
        ready = sorted(api.ready_nodes())
    return Status(str(cluster.path), containers, ready)


def render_status(found: Status) -> str:
    """For people."""
    lines = [f"{'ready' if found.well else 'not ready' if found.containers else 'absent'}: {found.dir}"]
    lines += [f"  {name:<24} {state}" for name, state in found.containers.items()]
    if found.containers:
        lines.append(f"  Pis Ready                {len(found.ready)} of {len(found.containers)}")
    return "\n".join(lines)
