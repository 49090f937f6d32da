"""Every failure of the API is one line that says what to do next."""

from __future__ import annotations

import json

import pytest
from urllib3 import exceptions as http

from pi_speedup.kube.errors import from_answer, from_transport

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
        "[PS-413]. Next: choose a benchmark_namespace whose rules",
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
