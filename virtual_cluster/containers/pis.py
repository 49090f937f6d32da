"""What makes a container a Raspberry Pi with K3s: the services of each, and the files they read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from virtual_cluster import control_plane, kubeconfig
from virtual_cluster.containers.images import PAUSE
from virtual_cluster.folder import write_private
from virtual_cluster.pki import Pki

API_PORT = 6443
_CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
_ETCD_FOLDER = Path("/run/pi-speedup/etcd")
# A lost Pi shows after some 20 s instead of 50: the reason why kubelets renew their leases as often as ever.
_NODE_FAULT_FLAGS = ("--node-monitor-grace-period=16s", "--node-monitor-period=2s")


@dataclass(frozen=True, slots=True)
class ContainerPi:
    """One Pi: `container` is what Docker calls it, `name` its hostname and node; pods get `pod_network`."""

    name: str
    container: str
    address: str
    cpus: float
    pod_network: str
    is_server: bool


@dataclass(frozen=True, slots=True)
class Files:
    """Where the cluster's files lie; every Pi sees its own under the same paths as the host."""

    path: Path

    @property
    def control_plane(self) -> Path:
        """Keys, certificates and kubeconfigs; only the server mounts it."""
        return self.path / "control-plane"

    def of_pi(self, pi: ContainerPi) -> Path:
        """What one Pi mounts."""
        return self.path / pi.name


def write(
    files: Files,
    pi: ContainerPi,
    server: ContainerPi,
    pki: Pki,
    commands: Mapping[str, tuple[str, ...]],
    archive: Path,
    authorized_key: str,
) -> Path:
    """Write one Pi's files into its existing private folder; returns the path of what pi-init reads."""
    folder = files.of_pi(pi)
    keys = pki.kubelets[pi.name]
    api = f"https://{server.address}:{API_PORT}"
    own = {
        "ca.crt": pki.authority.read_text(),
        "kubelet-client-ca.crt": pki.kubelet_client_authority.read_text(),
        "serving.crt": keys.serving.certificate.read_text(),
        "serving.key": keys.serving.key.read_text(),
        "kubelet.kubeconfig": kubeconfig.render(api, pki.authority, kubeconfig.certificate_user(keys.client)),
        "kubelet.yaml": yaml.safe_dump(_kubelet(folder)),
        "containerd.toml": _containerd(folder),
        "cni/10-pods.conflist": json.dumps(_pod_network(pi)),
        "docker.json": json.dumps(_DOCKER),
    }
    (folder / "cni").mkdir(mode=0o700)
    for name, text in own.items():
        write_private(folder / name, text)

    stages = _stages(files, folder, pi, api, pki, commands, archive)
    admin = files.control_plane / "k3s.yaml"
    if pi.is_server:
        # As on a K3s server: its own view of itself.
        on_server = f"https://127.0.0.1:{API_PORT}"
        write_private(
            admin, kubeconfig.render(on_server, pki.authority, kubeconfig.certificate_user(pki.admin))
        )
    config = folder / "pi.json"
    content = {
        "cpus": pi.cpus,
        "kubeconfig": str(admin) if pi.is_server else None,
        "authorized_key": authorized_key,
        "stages": stages,
    }
    write_private(config, json.dumps(content, indent=1))
    return config


def _stages(
    files: Files,
    folder: Path,
    pi: ContainerPi,
    api: str,
    pki: Pki,
    commands: Mapping[str, tuple[str, ...]],
    archive: Path,
) -> list[list[dict[str, Any]]]:
    def service(name: str, *command: str, ready: str | None = None) -> dict[str, Any]:
        return {"name": name, "command": list(command), "ready": ready}

    docker_socket = "/var/run/docker.sock"
    dockerd = ("dockerd", f"--config-file={folder}/docker.json", "--cgroup-parent={work}/docker")
    first = [
        service("sshd", "/usr/sbin/sshd", "-D", "-e"),
        service(
            "containerd",
            "containerd",
            f"--config={folder}/containerd.toml",
            ready=f"unix:{_CONTAINERD_SOCKET}",
        ),
        service("dockerd", *dockerd, ready=f"unix:{docker_socket}"),
    ]
    second = [
        service(
            "image-for-pods", "ctr", "--namespace=k8s.io", "images", "import", str(archive), ready="exit"
        ),
        service("image-for-docker", "docker", "load", f"--input={archive}", ready="exit"),
    ]
    kubelet = service(
        "kubelet",
        *commands["kubelet"],
        f"--config={folder}/kubelet.yaml",
        f"--kubeconfig={folder}/kubelet.kubeconfig",
        f"--hostname-override={pi.name}",
        f"--node-ip={pi.address}",
        "--node-labels=node.kubernetes.io/instance-type=k3s",
        "--cgroup-root={work}",
    )
    if not pi.is_server:
        # Names the API server once more, so that no kubelet spends its first seconds on refusals.
        return [first, second, [service("api-server", ready=f"{api}/readyz")], [kubelet]]

    def component(name: str, flags: list[str], ready: str | None = None) -> dict[str, Any]:
        return service(name, *commands[name], *flags, ready=ready)

    audit_policy = files.control_plane / "audit-policy.yaml"
    audit_policy.write_text(control_plane.AUDIT_POLICY)
    credentials = {}
    for name, user in (
        ("kube-controller-manager", pki.controller_manager),
        ("kube-scheduler", pki.scheduler),
    ):
        credentials[name] = files.control_plane / f"{name}.kubeconfig"
        write_private(
            credentials[name], kubeconfig.render(api, pki.authority, kubeconfig.certificate_user(user))
        )
    api_server = control_plane.api_server_flags(
        pki, _ETCD_FOLDER, pi.address, API_PORT, audit_policy, Path("/var/log/pi-speedup/audit.log")
    )
    manager = control_plane.controller_manager_flags(
        pki, credentials["kube-controller-manager"], *_NODE_FAULT_FLAGS
    )
    return [
        [
            *first,
            component("etcd", control_plane.etcd_flags(_ETCD_FOLDER / "data"), f"unix:{_ETCD_FOLDER}/etcd:0"),
        ],
        [*second, component("kube-apiserver", api_server, f"{api}/readyz")],
        [
            component("kube-controller-manager", manager),
            component("kube-scheduler", control_plane.scheduler_flags(credentials["kube-scheduler"])),
            kubelet,
        ],
    ]


# Its containers have no network, and their cgroup's parent comes on the command line.
_DOCKER = {
    "bridge": "none",
    "iptables": False,
    "ip6tables": False,
    # Lowering it needs a right that a container may lack.
    "oom-score-adjust": 0,
    "storage-driver": "overlay2",
}


def _kubelet(folder: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",  # nosec B104  # of its container, on a bridge of ours
        # The authority signs one client, the API server; who shows its certificate may do all.
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(folder / "kubelet-client-ca.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "tlsCertFile": str(folder / "serving.crt"),
        "tlsPrivateKeyFile": str(folder / "serving.key"),
        "containerRuntimeEndpoint": f"unix://{_CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        # The file systems are the host's and tmpfs: their fill says nothing about a Pi's card.
        "evictionHard": {"memory.available": "50Mi"},
        "featureGates": {"KubeletInUserNamespace": True},
        # Without it every pod gets an event that says so.
        "clusterDNS": ["10.43.0.10"],
        "clusterDomain": "cluster.local",
    }


def _containerd(folder: Path) -> str:
    return f"""\
version = 2
[grpc]
  address = "{_CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Both need rights that a container may lack.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
"""


def _pod_network(pi: ContainerPi) -> dict[str, Any]:
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods",
                "isGateway": True,
                "ipMasq": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": pi.pod_network}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": "/run/cni",
                },
            }
        ],
    }
