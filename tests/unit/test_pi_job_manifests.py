"""The manifests of pi_job as rendered: what Kubernetes is asked for, and that values stay data."""

from __future__ import annotations

from typing import Any

import pytest

from tests.manifests import WORKER, render


def job_spec(**changed: object) -> Any:
    return render("job.yml.j2", **changed)["spec"]


def pod_spec(**changed: object) -> Any:
    return job_spec(**changed)["template"]["spec"]


def test_one_indexed_pod_for_each_pi_and_no_second_try() -> None:
    spec = job_spec(pi_job_node_names=["a", "b", "c", "d"])
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 4, 4)
    assert spec["backoffLimitPerIndex"] == 0
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_pods_go_to_the_inventorys_pis_one_each() -> None:
    spec = pod_spec()
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    (term,) = spec["affinity"]["nodeAffinity"][required]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == ["pi-1", "pi-2", "pi-3"]
    (apart,) = spec["affinity"]["podAntiAffinity"][required]
    assert apart["topologyKey"] == "kubernetes.io/hostname"
    assert apart["labelSelector"]["matchLabels"] == {"pi-speedup/run-id": "20261124-071530-3fa2"}


def test_pod_is_as_the_restricted_level_demands() -> None:
    spec = pod_spec()
    (container,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert isinstance(spec["securityContext"]["runAsUser"], int) and spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"] == container["resources"]["limits"]


def test_worker_gets_its_arguments_as_text() -> None:
    (container,) = pod_spec(pi_job_samples=10)["containers"]
    assert container["command"] == ["python3", "/opt/pi-speedup/pi_worker.py"]
    assert all(isinstance(argument, str) for argument in container["args"])
    assert container["args"][container["args"].index("--samples") + 1] == "10"


def test_worker_is_readable_for_the_pods_user() -> None:
    (volume,) = pod_spec()["volumes"]
    assert volume["configMap"]["defaultMode"] == 0o444


def test_configmap_holds_the_worker_to_the_letter() -> None:
    assert render("worker.yml.j2")["data"] == {"pi_worker.py": WORKER.read_text(encoding="utf-8")}


NASTY = {
    "YAML": 'x", "privileged": true, "y": "',
    "lines": "a\n  hostNetwork: true",
    "Jinja": "{{ 1 + 1 }}",
    "a number": "1e3",
    "a truth": "yes",
}


@pytest.mark.parametrize("value", NASTY.values(), ids=NASTY)
def test_value_stays_data(value: str) -> None:
    spec = pod_spec(pi_job_image=value, pi_job_engine=value, pi_job_cpu_limit=value)
    (container,) = spec["containers"]
    assert container["image"] == value
    assert container["args"][container["args"].index("--engine") + 1] == value
    assert container["resources"]["limits"]["cpu"] == value
    assert "hostNetwork" not in spec


def test_namespace_enforces_the_restricted_level() -> None:
    labels = render("namespace.yml.j2")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert labels["app.kubernetes.io/managed-by"] == "pi-speedup"
