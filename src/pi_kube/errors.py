"""The one error this package raises, and the API's and the network's failures put into its one line."""

from __future__ import annotations

import json

from urllib3 import exceptions as http

from pi_speedup.plain import one_line


class KubeError(Exception):
    """A request or a check failed; the text is one line that says what and the next step.

    `status` is the HTTP status if the API answered, else None; `reason` is the API's word for it.
    """

    def __init__(self, text: str, status: int | None = None, reason: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason


def from_answer(server: str, kubeconfig: str, what: str, status: int, body: bytes) -> KubeError:
    """Put an answer with an error status into one line; `what` is the attempt, e.g. "GET /api/v1/nodes"."""
    try:
        answer = json.loads(body)
        message, reason = str(answer.get("message", "")), str(answer.get("reason", ""))
    except (ValueError, AttributeError):
        message, reason = body[:200].decode("utf-8", "replace"), ""
    said = one_line(message)
    if status == 401:
        text = (
            f"API server {server} does not accept the identity in {kubeconfig} (401 Unauthorized). "
            "Next: fetch a fresh kubeconfig from the K3s server"
        )
    elif status == 403:
        text = (
            f"API server {server} forbids it to the identity in {kubeconfig} (403): {said}. "
            "Next: use the admin kubeconfig of the K3s server, or give this user the right"
        )
    else:
        text = f"API server {server} answered {status} to {what}: {said or 'no reason given'}"
    return KubeError(text, status, reason)


def from_transport(server: str, kubeconfig: str, error: Exception) -> KubeError:
    """Put a failure to reach the API server, or to read its answer, into one line."""
    cause: BaseException = error
    if isinstance(error, http.MaxRetryError) and error.reason is not None:
        cause = error.reason
    said = one_line(cause, 400)
    if isinstance(cause, http.SSLError) or "CERTIFICATE_VERIFY_FAILED" in said:
        return KubeError(
            f"API server {server} shows a certificate that doesn't fit {kubeconfig}: {_tls_reason(said)}. "
            "Next: use the address the certificate names, or start K3s with --tls-san for this one, "
            "or fetch the kubeconfig again"
        )
    # A refused connection is a kind of timeout to urllib3, so the narrower kinds come first.
    if isinstance(cause, http.NameResolutionError):
        why = "its name cannot be resolved"
    elif "refused" in said:
        why = "connection refused"
    elif isinstance(cause, http.NewConnectionError):
        why = said.rpartition(": ")[2]
    elif isinstance(cause, http.ConnectTimeoutError):
        why = "no connection within the time allowed"
    elif isinstance(cause, http.ReadTimeoutError):
        why = "no answer within the time allowed"
    else:
        why = f"the connection broke ({said})"
    return KubeError(
        f"API server {server} (from {kubeconfig}) cannot be reached: {why}. "
        "Next: on the K3s server, systemctl status k3s; here, check the server address in the kubeconfig"
    )


def _tls_reason(said: str) -> str:
    """Cut OpenSSL's sentence out of what the layers above wrapped around it."""
    _, found, rest = said.partition("certificate verify failed: ")
    return one_line(rest.partition(" (_ssl.c")[0].rstrip("."), 160) if found else one_line(said, 160)
