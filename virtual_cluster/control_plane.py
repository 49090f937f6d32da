"""How the components of the control plane are started, and the objects that a lab begins with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from virtual_cluster.pki import Pki

# One line per request. A watch is one line too, written when it ends; with ResponseStarted it would be two.
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - level: Metadata
"""

_SERVICE_NETWORK = "10.43.0.0/16"

# etcd insists on host:port in its URLs, so the sockets in its working directory bear such names.
_CLIENT_SOCKET = "etcd:0"
_PEER_SOCKET = "peer:0"

# What Jobs, pods and nodes need. The others would watch resources that a lab has none of.
_CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "taint-eviction-controller",
    "ttl-after-finished-controller",
)


def etcd_flags(data: Path) -> list[str]:
    """Flags of etcd, which serves unix sockets in its working directory.

    A TCP port on loopback would let every local user read and write the state past all authorization.
    """
    client, peer = f"unix://{_CLIENT_SOCKET}", f"unix://{_PEER_SOCKET}"
    return [
        f"--data-dir={data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # a lab's state need not outlive a power cut
        "--log-level=error",
    ]


def api_server_flags(
    pki: Pki, sockets: Path, address: str, port: int, audit_policy: Path, audit_log: Path
) -> list[str]:
    """Flags of kube-apiserver, with etcd's socket in the folder `sockets`.

    It listens on `address`, and where that is not 127.0.0.1 on loopback as well.
    """
    return [
        f"--etcd-servers=unix://{sockets / _CLIENT_SOCKET}",
        f"--bind-address={address if address == '127.0.0.1' else '0.0.0.0'}",  # nosec B104
        f"--advertise-address={address}",
        f"--secure-port={port}",
        "--permit-port-sharing",  # the supervisor holds the port until the lab's end, so nobody else gets it
        "--endpoint-reconciler-type=none",  # an endpoint on a loopback address is refused
        f"--tls-cert-file={pki.api_server.certificate}",
        f"--tls-private-key-file={pki.api_server.key}",
        f"--client-ca-file={pki.authority}",
        "--authorization-mode=Node,RBAC",
        f"--kubelet-certificate-authority={pki.authority}",
        f"--kubelet-client-certificate={pki.kubelet_client.certificate}",
        f"--kubelet-client-key={pki.kubelet_client.key}",
        "--kubelet-preferred-address-types=InternalIP",  # the default would resolve the node's name
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki.service_accounts.key}",
        f"--service-account-signing-key-file={pki.service_accounts.key}",
        f"--service-cluster-ip-range={_SERVICE_NETWORK}",
        "--allow-privileged",  # else a privileged pod is refused before Pod Security sees it
        f"--audit-policy-file={audit_policy}",
        f"--audit-log-path={audit_log}",
        "--audit-log-maxsize=1024",  # MB; a rotated log would lose requests for who counts them
    ]


def _client_flags(kubeconfig: Path) -> list[str]:
    # With the default rates 1,000 pods take 100 s. Nobody scrapes these two, so they need no port.
    rates = ["--kube-api-qps=1000", "--kube-api-burst=2000"]
    return [f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0", *rates]


def controller_manager_flags(pki: Pki, kubeconfig: Path, *extra: str) -> list[str]:
    """Flags of kube-controller-manager."""
    return [
        *_client_flags(kubeconfig),
        *extra,
        "--use-service-account-credentials",
        f"--service-account-private-key-file={pki.service_accounts.key}",
        f"--root-ca-file={pki.authority}",
        f"--controllers={','.join(_CONTROLLERS)}",
    ]


def scheduler_flags(kubeconfig: Path) -> list[str]:
    """Flags of kube-scheduler."""
    return _client_flags(kubeconfig)


def initial_objects() -> Iterator[tuple[str, dict[str, object]]]:
    """(Path to post to, object): the rights of the lab's own identities."""
    group = "rbac.authorization.k8s.io"
    path = f"/apis/{group}/v1"

    def binding(user: str, role: str) -> tuple[str, dict[str, object]]:
        return f"{path}/clusterrolebindings", {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"pi-speedup-lab:{user}"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        }

    readonly = "pi-speedup-lab:readonly"
    yield (
        f"{path}/clusterroles",
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": readonly},
            "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}],
        },
    )
    yield binding("readonly", readonly)
    yield binding("virtual-pis", "system:node")
