"""Every failure of the API is one line that says what to do next."""

from __future__ import annotations

import json

import pytest
from urllib3 import exceptions as http

from pi_speedup.kube.access.errors import from_answer, from_transport

SERVER, KUBECONFIG = "https://pi-1:6443", "/home/me/k3s.yaml"


def answer(status: int, message: str) -> str:
    return str(from_answer(SERVER, KUBECONFIG, "GET /x", status, json.dumps({"message": message}).encode()))


ANSWERS = {
    "unknown identity": (401, "Unauthorized", "[PS-406]. Next: fetch a fresh kubeconfig"),
    "missing right": (
        403,
        'nodes is forbidden: User "me" cannot list resource "nodes"',
        "[PS-407]. Next: as administrator, ansible-playbook rbac.yml makes a kubeconfig with all rights",
    ),
    "quota": (
        403,
        'pods "x" is forbidden: exceeded quota: small, requested: pods=1',
        "[PS-413]. Next: raise the quota",
    ),
    "pod security": (
        403,
        'violates PodSecurity "restricted:latest"',
        "[PS-413]. Next: choose a benchmark_namespace whose rules",
    ),
    "a policy of others": (
        403,
        "images must come from our registry",
        "[PS-413]. Next: choose a benchmark_namespace whose",
    ),
    "webhook": (
        403,
        'admission webhook "x" denied the request',
        "[PS-413]. Next: meet this rule, or choose a benchmark_namespace",
    ),
    "a policy of the API server's own": (
        422,
        "jobs.batch \"x\" is forbidden: ValidatingAdmissionPolicy 'whose-job' with binding 'whose-job' "
        "denied "
        "request: each Job needs the label team",
        "denied request: each Job needs the label team [PS-413]. Next: meet this rule, or choose a "
        "benchmark_name",
    ),
    "Kyverno": (
        400,
        'admission webhook "validate.kyverno.svc-fail" denied the request: resource Job/x was blocked '
        "due to the "
        "following policies",
        '(400): admission webhook "validate.kyverno.svc-fail" denied the request: resource Job/x was '
        "blocked due",
    ),
    "Gatekeeper": (
        403,
        'admission webhook "validation.gatekeeper.sh" denied the request: [must-have-owner] label owner '
        "is missing",
        "[must-have-owner] label owner is missing [PS-413]",
    ),
    "jsPolicy": (
        403,
        'admission webhook "deny-default.jspolicy.com" denied the request: Not in the namespace default!',
        'admission webhook "deny-default.jspolicy.com" denied the request: Not in the namespace default! '
        "[PS-413]. Next: meet this rule",
    ),
    "jsPolicy, by its controller": (
        403,
        'jobs.batch "x" is forbidden: Policy deny-latest.example.com denied the request: give a tag',
        "Policy deny-latest.example.com denied the request: give a tag [PS-413]. Next: meet this rule",
    ),
    "Kubewarden, as not valid": (
        422,
        'admission webhook "clusterwide-labels.kubewarden.admission" denied the request: labels are missing',
        '(422): admission webhook "clusterwide-labels.kubewarden.admission" denied the request: labels are '
        "missing [PS-413]",
    ),
    "Polaris, over several lines": (
        400,
        'admission webhook "polaris.fairwinds.com" denied the request: \nPolaris prevents it:\n- Container x',
        "denied the request: Polaris prevents it: - Container x [PS-413]",
    ),
    "a webhook without a reason": (
        403,
        'admission webhook "x.example" denied the request without explanation',
        'webhook "x.example" denied the request without explanation [PS-413]. Next: meet this rule',
    ),
    "a policy whose expression fails": (
        422,
        "jobs.batch \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: "
        "expression 'object.metadata.labels.team' resulted in error: no such key: team",
        "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: expression "
        "'object.metadata.labels.team' resulted in error: no such key: team [PS-413]. Next: meet this rule",
    ),
    "a policy without its parameters": (
        422,
        "jobs.batch \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: "
        "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction",
        "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction "
        "[PS-413]. Next: meet this rule",
    ),
    "OpenShift's security contexts": (
        403,
        'pods "x" is forbidden: unable to validate against any security context constraint: [provider '
        '"anyuid": Forbidden: not usable by user or serviceaccount, provider restricted-v2: '
        ".containers[0].runAsUser: Invalid value: 65534: must be in the ranges: [1000680000, 1000689999]]",
        "(403): unable to validate against any security context constraint: [provider",
    ),
    "limit range, most of two": (
        403,
        'pods "x" is forbidden: [maximum memory usage per Container is 64Mi, but limit is 256Mi, maximum cpu '
        "usage per Container is 500m, but limit is 4]",
        "(403): [maximum memory usage per Container is 64Mi, but limit is 256Mi, maximum cpu usage per Cont",
    ),
    "quota that wants to be told": (
        403,
        'pods "x" is forbidden: failed quota: compute: must specify requests.cpu for: worker',
        "failed quota: compute: must specify requests.cpu for: worker [PS-413]. Next: choose a benchmark",
    ),
    "quota of a scope": (
        403,
        'jobs.batch "x" is forbidden: insufficient quota to match these scopes: [{PriorityClass In [high]}]',
        "insufficient quota to match these scopes: [{PriorityClass In [high]}] [PS-413]",
    ),
    "a webhook whose certificate has expired": (
        500,
        'Internal error occurred: failed calling webhook "linkerd-proxy-injector.linkerd.io": failed to call '
        'webhook: Post "https://linkerd-proxy-injector.linkerd.svc:443/?timeout=10s": tls: failed to verify '
        "certificate: x509: certificate has expired or is not yet valid: current time 2026-11-29T01:00:00Z "
        "is after 2026-11-28T00:00:00Z",
        "linkerd-proxy-injector.linkerd.io does not answer (certificate has expired or is not yet valid: "
        "current time",
    ),
    "a webhook that answers something else": (
        500,
        'Internal error occurred: failed calling webhook "v.example": expected webhook response of '
        "admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind=",
        "v.example does not answer (expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview",
    ),
    "images are looked at by others": (
        403,
        'pods "x" is forbidden: image policy webhook backend denied one or more images: not signed',
        "image policy webhook backend denied one or more images: not signed [PS-413]",
    ),
    "a webhook that is down": (
        500,
        'Internal error occurred: failed calling webhook "validate.policy.example": failed to call '
        "webhook: Post "
        '"https://policy.kube-system.svc:443/validate?timeout=5s": dial tcp 10.43.0.9:443: connect: '
        "connection "
        "refused",
        "refuses GET /x, since the webhook validate.policy.example does not answer (connection refused) "
        "[PS-415]. Next: start or mend what answers it",
    ),
    "a webhook that is slow": (
        500,
        'Internal error occurred: failed calling webhook "validate.policy.example": failed to call '
        "webhook: Post "
        '"https://policy.kube-system.svc:443/validate?timeout=5s": context deadline exceeded',
        "does not answer (context deadline exceeded)",
    ),
    "a webhook without a pod": (
        500,
        'Internal error occurred: failed calling webhook "mutate.kyverno.svc-fail": failed to call '
        "webhook: Post "
        '"https://kyverno-svc.kyverno.svc:443/mutate/fail?timeout=10s": no endpoints available for service '
        '"kyverno-svc"',
        'webhook mutate.kyverno.svc-fail does not answer (no endpoints available for service "kyverno-svc")',
    ),
    "namespace going": (
        403,
        "because it is being terminated",
        "[PS-414]. Next: wait until the namespace is gone",
    ),
    "not found": (404, 'namespaces "x" not found', "[PS-411]. Next: see whether someone removed it"),
    "conflict": (409, "already exists", "[PS-411]. Next: see who else changes it"),
    "invalid": (
        422,
        "Job is invalid: spec: required",
        "[PS-409]. Next: correct the setting that the message names",
    ),
    "busy": (429, "too many requests", "[PS-405]. Next: run again when the API server has less to do"),
    "broken": (500, "etcd is full", "[PS-405]. Next: on the K3s server, sudo journalctl -u k3s"),
    "away": (503, "", "[PS-405]. Next: on the K3s server, sudo journalctl -u k3s"),
    "something else": (
        302,
        "moved",
        "[PS-404]. Next: see what stands between this machine and the API server",
    ),
}


@pytest.mark.fault(
    "a policy engine's webhook does not answer",
    "API server https://pi-1:6443: refuses GET /x, since the webhook validate.policy.example does not answer "
    "(connection refused) [PS-415]. Next: start or mend what answers it (…), or remove its configuration; …",
    kept="trials",
    row="a webhook that is down",
)
@pytest.mark.parametrize(("status", "message", "words"), ANSWERS.values(), ids=ANSWERS)
def test_every_answer_has_its_code_and_a_next_step(status: int, message: str, words: str) -> None:
    line = answer(status, message)
    assert line.startswith(f"API server {SERVER}: ")
    assert f" {words}" in line
    # What is forbidden to everybody is not allowed to an administrator either.
    if status == 403 and "cannot" not in message:
        assert "kubeconfig" not in line


def test_of_a_long_answer_the_cause_is_kept() -> None:
    quota = "exceeded quota: small, requested: count/jobs.batch=1, used: count/jobs.batch=9, limited: 9"
    line = answer(403, f'jobs.batch "pi-speedup-20261126-005221-f556-r000-00-a1" is forbidden: {quota}')
    assert f"forbids GET /x (403): {quota} [PS-413]. Next: raise the quota" in line


RIGHTS = {
    "a long name": (
        'nodes is forbidden: User "system:serviceaccount:benchmarks:pi-speedup" cannot list resource "nodes" '
        'in API group "" at the cluster scope',
        'User "system:serviceaccount:benchmarks:pi-speedup" cannot list resource "nodes" in API group "" at '
        "the cluster scope",
    ),
    "too long with the name": (
        'leases.coordination.k8s.io "pi-speedup" is forbidden: User "oidc:somebody@example.com" '
        'cannot get resource "leases" in API group "coordination.k8s.io" in the namespace "benchmarks"',
        'cannot get resource "leases" in API group "coordination.k8s.io" in the namespace "benchmarks"',
    ),
    "with another authorizer's words": (
        'nodes is forbidden: User "me" cannot list resource "nodes" in API group "" at the cluster scope: '
        "denied by the gatekeeper of this cluster, which knows nobody of this name",
        'cannot list resource "nodes" in API group "" at the cluster scope: denied by the gatekeeper of this '
        "cluster, which know\N{HORIZONTAL ELLIPSIS}",
    ),
}


@pytest.mark.parametrize(("message", "said"), RIGHTS.values(), ids=RIGHTS)
def test_of_a_right_that_is_missing_its_name_is_kept(message: str, said: str) -> None:
    error = from_answer(SERVER, KUBECONFIG, "GET /x", 403, json.dumps({"message": message}).encode())
    assert error.problem.what == f"forbids GET /x (403): {said}"
    assert error.is_missing_right
    assert len(error.problem.cause) <= 200


GONE = {
    "not found": (404, 'leases "pi-speedup" not found', True),
    "another has its name": (409, "the UID in the precondition does not match the UID in record", True),
    "another has its name, said as a change of the uid": (
        422,
        'Lease.coordination.k8s.io "pi-speedup" is invalid: metadata.uid: Invalid value: '
        '"5d0c3a0e-6a4c-4f0e-9b53-0d4f3b1c8a11": field is immutable',
        True,
    ),
    "not valid for another reason": (422, "Lease is invalid: spec.renewTime: Invalid value", False),
    "missing right": (403, 'User "me" cannot patch resource "leases"', False),
    "broken": (500, "etcd is full", False),
}


@pytest.mark.parametrize(("status", "message", "gone"), GONE.values(), ids=GONE)
def test_what_is_gone_is_told_from_what_is_not_valid(status: int, message: str, gone: bool) -> None:
    body = json.dumps({"message": message}).encode()
    assert from_answer(SERVER, KUBECONFIG, "PATCH /x", status, body).is_gone is gone


def test_only_what_passes_by_itself_is_said_to() -> None:
    passes = {
        status: from_answer(SERVER, KUBECONFIG, "GET /x", status, b"").passes_by_itself
        for status in (401, 403, 404, 409, 422, 429, 500, 503)
    }
    assert [status for status, passing in passes.items() if passing] == [429, 500, 503]


TRANSPORT: dict[str, tuple[Exception, str, bool]] = {
    "certificate": (
        http.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: IP mismatch. (_ssl.c:1)"),
        "shows a certificate that doesn't fit /home/me/k3s.yaml: IP mismatch [PS-402]. Next: use the address",
        False,
    ),
    "not TLS": (http.SSLError("[SSL: WRONG_VERSION_NUMBER] wrong version number"), "is not TLS as", False),
    "TLS that breaks off": (
        http.SSLError("EOF occurred in violation of protocol"),
        "the connection broke",
        True,
    ),
    "reset": (http.ProtocolError("Connection aborted."), "the connection broke (Connection aborted.)", True),
}


@pytest.mark.parametrize(("error", "words", "passes"), TRANSPORT.values(), ids=TRANSPORT)
def test_every_failure_to_reach_it_has_a_next_step(error: Exception, words: str, passes: bool) -> None:
    found = from_transport(SERVER, KUBECONFIG, error)
    assert words in str(found)
    assert ". Next: " in str(found)
    assert found.passes_by_itself is passes
