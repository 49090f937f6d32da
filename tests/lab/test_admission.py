"""What extends a cluster's API: rules that forbid, or that do not answer, each told by its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.lab import Lab
from tests.virtual import assert_told, await_that

KINDS = {"jobs": "batch", "namespaces": ""}


@pytest.fixture(params=KINDS)
def policy(request: pytest.FixtureRequest, lab: Lab, tmp_path: Path) -> Iterator[str]:
    """Return the kind that a ValidatingAdmissionPolicy wants a label of; it is in force."""
    kind = str(request.param)
    group, name = "admissionregistration.k8s.io/v1", f"whose-{kind}"
    rule = {
        "apiGroups": [KINDS[kind]],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": [kind],
    }
    wanted = {
        "expression": "has(object.metadata.labels) && 'team' in object.metadata.labels",
        "message": "it needs the label team",
    }
    objects = [
        {
            "apiVersion": group,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [wanted],
            },
        },
        {
            "apiVersion": group,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    ]
    path = tmp_path / "policy.yml"
    path.write_text(yaml.safe_dump_all(objects))
    lab.kubectl("apply", "-f", str(path))
    probe = ["create", "--dry-run=server"]
    probe += ["job", "probe", "--image=x"] if kind == "jobs" else ["namespace", "probe"]
    await_that(lambda: is_refused(lab, *probe), f"the policy on {kind} is in force")
    yield kind
    lab.kubectl("delete", "-f", str(path))
    # The API server goes on by its own copy for a moment, and the next test creates a namespace.
    await_that(lambda: not is_refused(lab, *probe), f"the policy on {kind} is out of force")


def is_refused(lab: Lab, *words: str) -> bool:
    try:
        lab.kubectl(*words)
    except Exception as error:
        return bool(str(error))
    return False


def test_a_rule_on_what_a_run_creates_is_told_by_its_name(policy: str, lab: Lab) -> None:
    done = lab.play("benchmark.yml", benchmark_namespace=f"ruled-{policy}")
    assert_told(
        done,
        rf"forbids POST \S+ \(422\): ValidatingAdmissionPolicy 'whose-{policy}' .*it needs the label team "
        r"\[PS-413\]\. Next: meet this rule, or choose a benchmark_namespace that it leaves alone",
    )


@pytest.fixture
def applied(lab: Lab, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Apply objects; they are gone afterwards."""
    path = tmp_path / "extension.yml"

    def apply(*objects: dict[str, Any]) -> None:
        path.write_text(yaml.safe_dump_all(objects))
        lab.kubectl("apply", "-f", str(path))

    yield apply
    lab.kubectl("delete", "--ignore-not-found", "-f", str(path))


@pytest.mark.fault(
    "a policy engine's webhook does not answer, as just after a reboot",
    "API server …: refuses POST …/jobs, since the webhook validate.policy.example does not answer "
    "(connection refused) [PS-415]. Next: start or mend what answers it (…), or remove its configuration; …",
    kept="trials",
)
def test_a_webhook_that_does_not_answer_is_told_and_not_the_api_server(
    lab: Lab, applied: Callable[..., None]
) -> None:
    namespace = "unanswered"
    applied(
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "policy-away"},
            "webhooks": [
                {
                    "name": "validate.policy.example",
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "NoneOnDryRun",
                    "failurePolicy": "Fail",
                    "timeoutSeconds": 5,
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                    # Nobody listens there.
                    "clientConfig": {"url": "https://127.0.0.1:1/validate"},
                    "rules": [
                        {
                            "operations": ["CREATE"],
                            "apiGroups": ["batch"],
                            "apiVersions": ["*"],
                            "resources": ["jobs"],
                        }
                    ],
                }
            ],
        }
    )
    lab.kubectl("create", "namespace", namespace)
    probe = ("--namespace", namespace, "create", "job", "probe", "--image=x", "--dry-run=server")
    await_that(lambda: is_refused(lab, *probe), "the webhook is asked")
    lab.kubectl("delete", "namespace", namespace)
    done = lab.play("benchmark.yml", benchmark_namespace=namespace)
    assert_told(
        done,
        r"refuses POST \S+/jobs, since the webhook validate\.policy\.example does not answer \(connection "
        r"refused\) \[PS-415\]\. Next: start or mend what answers it",
    )
    # The API server answered all the time.
    assert "webhook validate.policy.example is away; waiting for it" in done.output
    assert not re.search("API server .* is away", done.output)


@pytest.mark.fault(
    "an extension of the API that does not answer (metrics-server), and cleanup.yml",
    "namespace …: being deleted: Discovery failed for some groups, … metrics.k8s.io/v1beta1 … [PS-414]. "
    "Next: kubectl get apiservices names the extension that does not answer: repair or delete it; …",
    kept="nothing begun",
)
def test_an_extension_of_the_api_that_is_away_is_what_a_namespace_waits_for(
    lab: Lab, applied: Callable[..., None]
) -> None:
    namespace, service = "unextended", {"name": "metrics-server", "namespace": "kube-system"}
    assert lab.play("benchmark.yml", benchmark_namespace=namespace).exit_code == 0
    applied(
        {"apiVersion": "v1", "kind": "Service", "metadata": service, "spec": {"ports": [{"port": 443}]}},
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,
                "service": service,
            },
        },
    )
    await_that(
        lambda: is_available(lab.get("apiservice", "v1beta1.metrics.k8s.io")) is False,
        "the API server sees that nobody answers",
    )
    assert_told(
        lab.play("cleanup.yml", benchmark_namespace=namespace),
        rf"^namespace {namespace}: being deleted: .*metrics\.k8s\.io/v1beta1.* \[PS-414\]\. Next: kubectl "
        r"get apiservices names the extension that does not answer: repair or delete it; "
        r"then run \S+ .*cleanup\.yml again$",
    )
    lab.kubectl("delete", "apiservice", "v1beta1.metrics.k8s.io")
    await_that(lambda: is_refused(lab, "get", "namespace", namespace), "the namespace is gone")


def is_available(service: dict[str, Any]) -> bool | None:
    """Say what an APIService's own condition says, None while it says nothing."""
    found = [
        each["status"] for each in service["status"].get("conditions", ()) if each["type"] == "Available"
    ]
    return found == ["True"] if found else None
