"""The manifests as rendered: what Kubernetes is asked for, and that values stay data."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pi_speedup.kube.follow.manifest import job_name, render, unexpanded
from pi_speedup.kube.owned.owned import Place
from pi_speedup.model.plan import Slot
from tests.manifests import WORKER, job, make_plan, namespace, owner


def container(**changed: Any) -> Any:
    (found,) = job(make_plan(**changed))["spec"]["template"]["spec"]["containers"]
    return found


def argument(found: Any, name: str) -> str:
    (value,) = [word.partition("=")[2] for word in found["args"] if word.startswith(f"--{name}=")]
    return str(value)


def test_one_indexed_pod_for_each_pi_and_no_second_try() -> None:
    spec = job(make_plan(pis=("a", "b", "c", "d")))["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 4, 4)
    assert spec["backoffLimitPerIndex"] == 0
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_pods_go_to_the_cells_pis_one_each() -> None:
    spec = job()["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    (term,) = spec["affinity"]["nodeAffinity"][required]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == ["pi-1", "pi-2", "pi-3"]
    (apart,) = spec["affinity"]["podAntiAffinity"][required]
    assert apart["topologyKey"] == "kubernetes.io/hostname"
    # Of this run alone: another one's pod that can't end blocks no Pi.
    assert apart["labelSelector"]["matchLabels"] == {
        "pi-speedup/run-id": "20261124-071530-3fa2",
        "pi-speedup/trial": "r001-00-together-3",
    }


def test_a_job_is_known_by_run_trial_and_owner() -> None:
    found = job(attempt=2)
    assert found["metadata"]["labels"] == {
        "app.kubernetes.io/name": "pi-speedup",
        "app.kubernetes.io/managed-by": "pi-speedup",
        "pi-speedup/run-id": "20261124-071530-3fa2",
        "pi-speedup/trial": "r001-00-together-3.attempt-2",
    }
    assert found["spec"]["template"]["metadata"]["labels"] == found["metadata"]["labels"]
    assert sorted(found["metadata"]["annotations"]) == ["pi-speedup/follows-sha256", "pi-speedup/plan-sha256"]
    (owned_by,) = found["metadata"]["ownerReferences"]
    assert (owned_by["kind"], owned_by["uid"]) == ("ConfigMap", "uid-of-the-owner")


def test_the_longest_name_still_fits_a_host_name() -> None:
    plan = make_plan(run_id="x" * 32)
    name = job_name(plan, Slot(round=1000, position=100, cell=plan.cells[0].name), 99)
    # A pod's host name is the Job's with the pod's index.
    assert len(f"{name}-999") <= 63
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)


def test_pod_is_as_the_restricted_level_demands() -> None:
    spec = job()["spec"]["template"]["spec"]
    (found,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert isinstance(spec["securityContext"]["runAsUser"], int) and spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert found["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "volumes" not in spec


SIZES: dict[str, tuple[dict[str, Any], dict[str, str], dict[str, str]]] = {
    "one process": (
        {"cpu_limit_cores": 1, "memory_limit_mib": 128},
        {"cpu": "1000m", "memory": "128Mi"},
        {"cpu": "1000m", "memory": "128Mi"},
    ),
    "a part of a core": (
        {"cpu_limit_cores": 0.29},
        {"cpu": "290m", "memory": "128Mi"},
        {"cpu": "290m", "memory": "128Mi"},
    ),
    "all cores": (
        {"processes": 4, "cpu_limit_cores": 1, "memory_limit_mib": 64},
        {"cpu": "4000m", "memory": "256Mi"},
        {"cpu": "2000m", "memory": "256Mi"},
    ),
}


@pytest.mark.parametrize(("changed", "limits", "requests"), SIZES.values(), ids=SIZES)
def test_limits_follow_the_processes(
    changed: dict[str, Any], limits: dict[str, str], requests: dict[str, str]
) -> None:
    assert container(**changed)["resources"] == {"limits": limits, "requests": requests}


def test_a_cell_may_have_a_share_of_the_limit_only() -> None:
    plan = make_plan(cpu_limit_cores=1, processes=2)
    cell = plan.cells[0].model_copy(update={"cpu_share": 0.8})
    (found,) = job(plan.model_copy(update={"cells": (cell,)}))["spec"]["template"]["spec"]["containers"]
    assert found["resources"]["limits"]["cpu"] == "1600m"


def test_worker_gets_its_arguments_as_text() -> None:
    found = container(samples=10, processes=2, timeout_seconds=100)
    assert all(isinstance(word, str) for word in found["args"])
    assert {
        name: argument(found, name) for name in ("run-id", "stream", "samples", "processes", "engine")
    } == {
        "run-id": "20261124-071530-3fa2",
        "stream": "r001-00-together-3.1",
        "samples": "10",
        "processes": "2",
        "engine": "seed",
    }
    assert argument(found, "deadline-seconds") == "160"


def test_kubernetes_ends_the_job_only_after_our_own_deadline() -> None:
    assert job(make_plan(timeout_seconds=100))["spec"]["activeDeadlineSeconds"] == 160


def as_a_kubelet_hands_over(text: str) -> str:
    """Do as third_party/forked/golang/expansion in Kubernetes: $$ is a $, $(NAME) a variable."""
    return re.sub(r"\$\$|\$\(([^)]*)\)", lambda match: "$" if match[0] == "$$" else "expanded", text)


PROGRAMS = {
    "the worker": WORKER,
    "a variable": "print('$(NODE_NAME)')",
    "dollars": "a = '$', '$$', '$$$(X)', '$"  # one at the end, too
    "'",
    "YAML": "x: [\n  - {{ 1 + 1 }} # \"'\n---\n\tnot: a key",
    "other alphabets": "print('圓周率 \N{SNAKE} é')",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_program_reaches_the_pod_to_the_letter(program: str) -> None:
    (found,) = job(program=program)["spec"]["template"]["spec"]["containers"]
    python, flag, text = found["command"]
    assert (python, flag) == ("python3", "-c")
    # As JSON on the wire, where a character beyond 16 bits is a pair.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16")
    assert as_a_kubelet_hands_over(text) == program


def test_a_dollar_is_never_the_beginning_of_a_variable() -> None:
    assert unexpanded("$(NODE_NAME) $$") == "$$(NODE_NAME) $$$$"


NASTY = {
    "YAML": 'x", "privileged": true, "y": "',
    "lines": "a\n  hostNetwork: true",
    "Jinja": "{{ 1 + 1 }}",
    "a number": "1e3",
    "a truth": "yes",
}


@pytest.mark.parametrize("value", NASTY.values(), ids=NASTY)
def test_value_stays_data(value: str) -> None:
    assert render("x: {{ value | tojson }}", value=value) == {"x": value}


def test_a_value_that_nobody_gave_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be rendered"):
        render("x: {{ missing | tojson }}")


def test_namespace_enforces_the_restricted_level() -> None:
    labels = namespace(Place("ns"))["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert labels["app.kubernetes.io/managed-by"] == "pi-speedup"


def test_owner_carries_our_labels() -> None:
    found = owner(Place("ns"))
    assert (found["kind"], found["metadata"]["name"]) == ("ConfigMap", "pi-speedup-owner")
    assert found["metadata"]["namespace"] == "ns"
    assert found["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "pi-speedup"
