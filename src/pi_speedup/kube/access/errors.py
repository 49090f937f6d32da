"""The one error of this wing: failures of the API and of the network, each one problem with the next step."""

from __future__ import annotations

import json
import re

from urllib3 import exceptions as http

from pi_speedup.codes import Code
from pi_speedup.problem import Problem, ProblemError
from pi_speedup.text import innermost, one_line

# What may be well a moment later: too many requests, errors of the server itself, a version that has expired.
_PASSING = frozenset({408, 410, 429, 500, 502, 503, 504})
# Of what the API says: the line around it, with the server and the request, stays near 200 characters.
_SAID_LIMIT = 120
# How an authorizer says no: User "me" cannot list resource "nodes" in API group "" at the cluster scope.
_MISSING_RIGHT = re.compile(r"cannot [a-z]+ (?:resource|path)\b")
# A rule that forbids an object, whatever the HTTP status that comes with it; in the API server's words.
_RULE = re.compile(
    r"(?:Validating|Mutating)AdmissionPolicy '[^']+'.*?denied|admission webhook \"[^\"]+\" denied"
    r"|image policy webhook backend denied|Policy \S+ denied the request|policy '[^']+'.*?denied request"
)
# A webhook that was to be asked and did not answer.
_UNASKED = re.compile(r"fail(?:ed|ing) calling webhook \"(?P<name>[^\"]+)\"")
WHO_DOES_NOT_ANSWER = (
    "start or mend what answers it (kubectl get validatingwebhookconfigurations,"
    "mutatingwebhookconfigurations shows whose it is), or remove its configuration; just after the start of "
    "a cluster it may still be on its way"
)
_WHERE_RULES_ARE = (
    "meet this rule, or choose a benchmark_namespace that it leaves alone (kubectl get "
    "validatingadmissionpolicybindings,validatingwebhookconfigurations)"
)


class KubeError(ProblemError):
    """A request failed.

    `status` is the HTTP status if something answered, else None; `reason` is the API's word for it.
    `webhook`: the API server is well, and this one, whom it has to ask, does not answer.
    """

    def __init__(
        self,
        code: Code,
        subject: str,
        what: str,
        next_step: str = "",
        *,
        status: int | None = None,
        reason: str = "",
        passes_by_itself: bool = False,
        webhook: str = "",
    ) -> None:
        problem = Problem(code=code, subject=subject, what=what, next_step=next_step)
        super().__init__(problem, passes_by_itself=passes_by_itself)
        self.status = status
        self.reason = reason
        self.webhook = webhook

    @property
    def refused(self) -> bool:
        """Whether the API did not accept who asked: a missing right, or an identity it doesn't know."""
        return self.status in (401, 403)

    @property
    def is_missing_right(self) -> bool:
        """Whether who asked lacks a right; a quota or a rule of the namespace answers 403 too."""
        return self.status == 403 and bool(_MISSING_RIGHT.search(self.problem.what))

    @property
    def is_gone(self) -> bool:
        """Whether the object that was to be changed is gone, or another has its name by now."""
        # A patch with another uid is a conflict to some kinds, and to others an attempt to change it.
        other = self.status == 422 and "metadata.uid" in self.problem.what
        return self.status in (404, 409) or other


def from_answer(server: str, kubeconfig: str, what: str, status: int, body: bytes) -> KubeError:
    """Return an answer with an error status as a problem; `what` is the attempt, e.g. "GET /api/v1/nodes"."""
    try:
        answer = json.loads(body)
        message, reason = str(answer.get("message") or ""), str(answer.get("reason") or "")
    except (ValueError, AttributeError, RecursionError):
        message, reason = body[:200].decode("utf-8", "replace"), ""
    said = one_line(message, 2000) or "no reason given"
    if unasked := not_answering(said):
        webhook, cause = unasked
        return KubeError(
            Code.WEBHOOK_AWAY,
            f"API server {server}",
            f"refuses {what}, since the {webhook} does not answer ({cause})",
            WHO_DOES_NOT_ANSWER,
            webhook=webhook,
            status=status,
            reason=reason,
            passes_by_itself=True,
        )
    rule = _RULE.search(said)
    code, next_step = _meaning(status, said, kubeconfig)
    text, said = said, _shortened(said)
    if status == 401:
        what = f"does not accept the identity in {kubeconfig} (401 Unauthorized)"
    elif rule is not None:
        code, next_step = Code.NAMESPACE_RULE, _WHERE_RULES_ARE
        what = f"forbids {what} ({status}): {one_line(text[rule.start() :], 200)}"
    elif status == 403:
        what = f"forbids {what} (403): {said}"
    else:
        what = f"answered {status} to {what}: {said}"
    return KubeError(
        code,
        f"API server {server}",
        what,
        next_step,
        status=status,
        reason=reason,
        passes_by_itself=status in _PASSING and rule is None,
    )


def not_answering(said: str) -> tuple[str, str] | None:
    """Return the webhook that the API server asked in vain and why, both in words; None if it did not."""
    found = _UNASKED.search(said)
    if found is None:
        return None
    cause = re.sub(r"^: (?:failed to call webhook: )?(?:Post \"[^\"]*\": )?", "", said[found.end() :])
    if cause.startswith("dial "):
        cause = cause.rpartition(": ")[2]
    # Of a certificate the dates come last, and what is wrong before them.
    cause = cause.partition("x509: ")[2] or cause
    return f"webhook {one_line(found['name'], 80)}", one_line(cause, 80).rstrip(".")


def _shortened(said: str) -> str:
    right = _MISSING_RIGHT.search(said)
    if right is None:
        # Who forbids stands first, before the reasons.
        _, forbidden, rule = said.partition(" is forbidden: ")
        return one_line(rule, _SAID_LIMIT) if forbidden else innermost(said, _SAID_LIMIT)
    # Which right it is matters most. Who lacks it is told if there is room.
    _, _, with_user = said[: right.start()].rpartition("forbidden: ")
    short = with_user + said[right.start() :]
    return short if len(short) <= _SAID_LIMIT else one_line(said[right.start() :], _SAID_LIMIT)


def _meaning(status: int, said: str, kubeconfig: str) -> tuple[Code, str]:
    """Return what kind of problem an error status is, and what to do next."""
    if status == 401:
        return Code.API_IDENTITY_UNKNOWN, "fetch a fresh kubeconfig from the K3s server"
    if status == 403:
        return _meaning_of_403(said, kubeconfig)
    if status == 404:
        step = "see whether someone removed it (kubectl get events -A), then run again"
        return Code.OBJECT_GONE_OR_CHANGED, step
    if status == 409:
        return Code.OBJECT_GONE_OR_CHANGED, "see who else changes it (kubectl get events -A), then run again"
    if status in (400, 413, 422):
        return Code.API_REQUEST_NOT_VALID, "correct the setting that the message names"
    if status == 429:
        return Code.API_FAILED, "run again when the API server has less to do"
    if status in _PASSING:
        step = "on the K3s server, sudo journalctl -u k3s --since -5min; run again once it answers"
        return Code.API_FAILED, step
    step = f"see what stands between this machine and the API server, and the server address in {kubeconfig}"
    return Code.API_NOT_KUBERNETES, step


def _meaning_of_403(said: str, kubeconfig: str) -> tuple[Code, str]:
    if _MISSING_RIGHT.search(said):
        step = (
            f"as administrator, ansible-playbook rbac.yml makes a kubeconfig with all rights; or give "
            f"the identity in {kubeconfig} this one"
        )
        return Code.API_RIGHT_MISSING, step
    # All else that is forbidden is so for everybody.
    if "exceeded quota" in said:
        step = "raise the quota (kubectl describe quota -A), or choose another benchmark_namespace"
        return Code.NAMESPACE_RULE, step
    if "being terminated" in said:
        step = "wait until the namespace is gone (kubectl get namespace), then run again"
        return Code.NAMESPACE_GOING, step
    return Code.NAMESPACE_RULE, "choose a benchmark_namespace whose rules admit it, or change the rule"


def from_transport(server: str, kubeconfig: str, error: Exception) -> KubeError:
    """Return a failure to reach the API server, or to read its answer, as a problem."""
    cause: BaseException = error
    if isinstance(error, http.MaxRetryError) and error.reason is not None:
        cause = error.reason
    said = one_line(cause, 400)
    subject = f"API server {server}"
    if is_wrong_certificate(error):
        if re.search(r"has expired|not yet valid", said):
            return KubeError(
                Code.API_CERTIFICATE_EXPIRED,
                subject,
                f"shows a certificate that is not valid now: {_tls_reason(said)}",
                "compare the clocks (date here and on the K3s server); there, sudo systemctl restart k3s "
                "renews it",
            )
        return KubeError(
            Code.API_CERTIFICATE,
            subject,
            f"shows a certificate that doesn't fit {kubeconfig}: {_tls_reason(said)}",
            "use the address the certificate names, or start K3s with --tls-san for this one, or fetch the "
            "kubeconfig again",
        )
    if isinstance(cause, http.SSLError) and re.search(r"WRONG_VERSION|UNKNOWN_PROTOCOL|RECORD_LAYER", said):
        return KubeError(
            Code.API_NOT_KUBERNETES,
            subject,
            "what answers there is not TLS as an API server speaks it",
            f"check the server address in {kubeconfig} and what else uses that port",
        )
    return KubeError(
        Code.API_UNREACHABLE,
        subject,
        f"cannot be reached: {_why_unreachable(cause, said)}",
        f"on the K3s server, systemctl status k3s; here, check the server address in {kubeconfig}",
        passes_by_itself=True,
    )


def is_wrong_certificate(error: BaseException) -> bool:
    """Say whether TLS failed for the certificate's sake, which no second try changes."""
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def _why_unreachable(cause: BaseException, said: str) -> str:
    # A refused connection is a kind of timeout to urllib3, so the narrower kinds come first.
    if isinstance(cause, http.NameResolutionError):
        return "its name cannot be resolved"
    if "refused" in said:
        return "connection refused"
    if isinstance(cause, http.NewConnectionError):
        return said.rpartition(": ")[2]
    if isinstance(cause, http.ConnectTimeoutError):
        return "no connection within the time allowed"
    if isinstance(cause, http.ReadTimeoutError):
        return "no answer within the time allowed"
    # ("Connection aborted.", what it was)
    inner = cause.args[1] if isinstance(cause, http.ProtocolError) and len(cause.args) > 1 else cause
    return f"the connection broke ({one_line(inner, 160)})"


def _tls_reason(said: str) -> str:
    """Cut OpenSSL's sentence out of what the layers above wrapped around it."""
    _, found, rest = said.partition("certificate verify failed: ")
    return one_line(rest.partition(" (_ssl.c")[0].rstrip("."), 160) if found else one_line(said, 160)
