"""Pure: a virtual Pi → the Node and Lease it registers, looking like K3s on a Raspberry Pi."""

import hashlib
import os
import uuid
from collections.abc import Mapping

from .api import Json
from .config import Pi
from .quantity import quantity
from .times import rfc3339, rfc3339_micro

FAULT_ANNOTATION = "virtual-pi/fault"
FAULTS = ("not-ready", "lost", "pressure")
LEASE_SECONDS = 40

# What pods may ask for and a virtual Pi does not show; accepted, because the restricted level or common
# manifests demand it, and written on each Node so that nobody takes it for shown.
NOT_SHOWN = (
    "memory and ephemeral-storage limits, seccomp filters, fsGroup and supplementalGroups (every file "
    "belongs to the pod's user), emptyDir size limits, updates of mounted ConfigMaps, pod network, "
    "cluster DNS and services"
)


def node_object(pi: Pi, file_system: str) -> Json:
    """The Node without its status; ``file_system`` says how pods see theirs."""
    labels = {
        "kubernetes.io/arch": pi.architecture,
        "kubernetes.io/hostname": pi.name,
        "kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": pi.architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/instance-type": "k3s",
        "node.kubernetes.io/instance-type": "k3s",
    }
    if pi.server:
        labels["node-role.kubernetes.io/control-plane"] = "true"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": pi.name,
            "labels": labels,
            "annotations": {
                "k3s.io/hostname": pi.name,
                "k3s.io/internal-ip": pi.address,
                "k3s.io/node-args": '["server"]' if pi.server else '["agent"]',
                "virtual-pi/file-system": file_system,
                "virtual-pi/not-shown": NOT_SHOWN,
            },
        },
        "spec": {"providerID": f"k3s://{pi.name}"},
    }


def node_status(
    pi: Pi, port: int, kubernetes_version: str, fault: str | None, before: Mapping[str, Json], now: float
) -> Json:
    """The Node's status under ``fault``; ``before``: the last conditions by type; ``now``: epoch seconds."""
    resources = {
        "cpu": quantity(pi.cpus),
        "memory": f"{pi.memory_bytes // 1024}Ki",
        "ephemeral-storage": "30Gi",
        "pods": "110",
    }
    kubelet = f"{kubernetes_version}+k3s1"
    host = os.uname()
    return {
        "capacity": resources,
        "allocatable": resources,
        "addresses": [
            {"type": "InternalIP", "address": pi.address},
            {"type": "Hostname", "address": pi.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "nodeInfo": {
            "architecture": pi.architecture,
            "bootID": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"boot.{pi.name}")),
            "containerRuntimeVersion": "containerd://2.1.5-k3s1",
            "kernelVersion": host.release,
            "kubeProxyVersion": kubelet,
            "kubeletVersion": kubelet,
            "machineID": hashlib.sha256(pi.name.encode()).hexdigest()[:32],
            "operatingSystem": "linux",
            # Says what it is: nobody should take a laboratory's numbers for a Pi's.
            "osImage": f"Debian GNU/Linux 12 (bookworm), virtual Pi on {host.machine}",
            "systemUUID": str(uuid.uuid5(uuid.NAMESPACE_DNS, pi.name)),
        },
        "conditions": _conditions(fault, before, now),
    }


def lease_object(pi: Pi, node_uid: str, now: float) -> Json:
    """The Lease whose renewal tells the node controller that the Pi lives."""
    owner = {"apiVersion": "v1", "kind": "Node", "name": pi.name, "uid": node_uid}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": pi.name, "namespace": "kube-node-lease", "ownerReferences": [owner]},
        "spec": {
            "holderIdentity": pi.name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": rfc3339_micro(now),
        },
    }


def _conditions(fault: str | None, before: Mapping[str, Json], now: float) -> list[Json]:
    memory = "Insufficient" if fault == "pressure" else "Sufficient"
    not_ready = f"container runtime is down (a virtual Pi obeying {FAULT_ANNOTATION}={fault})"
    conditions = [
        (
            "MemoryPressure",
            fault == "pressure",
            f"KubeletHas{memory}Memory",
            f"kubelet has {memory.lower()} memory available",
        ),
        ("DiskPressure", False, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", False, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", False, "KubeletNotReady", not_ready)
        if fault == "not-ready"
        else ("Ready", True, "KubeletReady", "kubelet is posting ready status"),
    ]
    result = []
    for kind, holds, reason, message in conditions:
        status = "True" if holds else "False"
        old = before.get(kind, {})
        since = old["lastTransitionTime"] if old.get("status") == status else rfc3339(now)
        result.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": rfc3339(now),
                "lastTransitionTime": since,
            }
        )
    return result
