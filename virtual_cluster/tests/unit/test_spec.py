"""Pod specs: what is run, and what is refused by name."""

from typing import Any

import pytest

from virtual_cluster.virtual_pi.config import Pi
from virtual_cluster.virtual_pi.quantity import cores, quantity
from virtual_cluster.virtual_pi.spec import UnsupportedPodError, expand, plan_pod

PI = Pi("pi-2", "127.0.10.2", 0.5, 4 << 30, "arm64", False)
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def pod(spec: dict[str, Any] | None = None, container: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "job-0-x",
            "namespace": "ns",
            "uid": "u-1",
            "labels": {"batch.kubernetes.io/job-completion-index": "7"},
        },
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "c", "image": "python:3.9"} | (container or {})],
            # What the API server fills in by itself must not be refused.
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "enableServiceLinks": True,
            "preemptionPolicy": "PreemptLowerPriority",
            "nodeName": "pi-2",
        }
        | (spec or {}),
    }


def from_field(path: str) -> dict[str, Any]:
    return {"env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}]}


@pytest.mark.parametrize(
    ("spec", "container", "named"),
    [
        ({"restartPolicy": "Always"}, {}, "restartPolicy Always (only Never)"),
        ({"initContainers": [{"name": "i"}]}, {}, "spec.initContainers"),
        ({"hostPID": True}, {}, "spec.hostPID"),
        ({"securityContext": {"sysctls": [{"name": "a"}]}}, {}, "spec.securityContext.sysctls"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, {}, "volume v: hostPath"),
        (
            {"volumes": [{"name": "v", "projected": {"sources": [{"clusterTrustBundle": {}}]}}]},
            {},
            "volume v: clusterTrustBundle",
        ),
        ({}, {"livenessProbe": {"exec": {}}}, "container c.livenessProbe"),
        ({}, {"securityContext": {"privileged": True}}, "container c.privileged"),
        ({}, {"securityContext": {"capabilities": {"add": ["NET_RAW"]}}}, "container c.capabilities.add"),
        (
            {},
            {"securityContext": {"capabilities": {"drop": ["KILL"]}}},
            "capabilities.drop of anything but ALL",
        ),
        ({}, {"securityContext": {"seccompProfile": {"type": "Localhost"}}}, "seccompProfile.type Localhost"),
        ({}, {"resources": {"limits": {"nvidia.com/gpu": "1"}}}, "resource nvidia.com/gpu"),
        ({}, {"ports": [{"hostPort": 80}]}, "container c: hostPort"),
        ({}, {"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "a"}]}, "mount v.subPath"),
        (
            {},
            {"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "s"}}}]},
            "env X from secretKeyRef",
        ),
        ({}, from_field("status.phase"), "env X from status.phase"),
        ({}, {"envFrom": [{"configMapRef": {"name": "m"}}]}, "container c.envFrom"),
    ],
    ids=[
        "another restart policy",
        "init containers",
        "the host's PIDs",
        "sysctls",
        "a host path",
        "a projected source",
        "a probe",
        "privileged",
        "an added capability",
        "a single dropped capability",
        "a seccomp file",
        "a foreign resource",
        "a host port",
        "a subPath",
        "a secret in the environment",
        "an unknown field in the environment",
        "envFrom",
    ],
)
def test_what_is_not_implemented_is_refused_by_name(
    spec: dict[str, Any], container: dict[str, Any], named: str
) -> None:
    with pytest.raises(UnsupportedPodError) as refusal:
        plan_pod(pod(spec, container), PI)
    assert named in str(refusal.value)


def test_a_refusal_names_everything_at_once() -> None:
    with pytest.raises(UnsupportedPodError) as refusal:
        plan_pod(pod({"hostPID": True, "hostIPC": True}, {"tty": True}), PI)
    assert all(word in str(refusal.value) for word in ("hostPID", "hostIPC", "container c.tty"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "job-0-x"),
        ("metadata.labels['batch.kubernetes.io/job-completion-index']", "7"),
        ("metadata.annotations['absent']", ""),
        ("spec.nodeName", "pi-2"),
        ("status.podIP", "127.0.10.2"),
        ("spec.serviceAccountName", "default"),
    ],
    ids=["its name", "the completion index", "an absent annotation", "its node", "its IP", "its account"],
)
def test_the_environment_knows_the_pod(path: str, value: str) -> None:
    [container] = plan_pod(pod(container=from_field(path)), PI).containers
    assert container.env == (("X", value),)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [("$(A)-$(B)", "1-2"), ("$(NO)", "$(NO)"), ("$$(A)", "$(A)"), ("$A", "$A"), ("5$", "5$")],
    ids=["known names", "an unknown name", "an escaped one", "shell syntax", "a lone dollar"],
)
def test_references_are_expanded_as_in_kubernetes(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


def test_a_restricted_container_is_run_as_it_asks() -> None:
    given = pod(
        {
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            }
        },
        {"securityContext": RESTRICTED | {"runAsUser": 65534}, "resources": {"limits": {"cpu": "250m"}}},
    )
    [container] = plan_pod(given, PI).containers
    assert (container.uid, container.gid, container.run_as_non_root) == (65534, 0, True)
    assert container.read_only_root and container.no_new_privileges and container.drop_capabilities
    assert container.cpu_limit == 0.25


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", 0.5), ("2", 2.0), ("0.1", 0.1), (1, 1.0), ("250000u", 0.25)],
    ids=["milli", "whole", "decimal", "a number", "micro"],
)
def test_cpu_quantities_are_cores(text: str | int, value: float) -> None:
    assert cores(text) == pytest.approx(value)
    assert cores(quantity(value)) == pytest.approx(value)
