"""Requests to the Kubernetes API as plain JSON, each under its own timeout.

The official client reads the kubeconfig and sets up TLS and identity; its typed models are left out, since
building them costs more than the requests do and refuses objects it doesn't know.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import urllib3
from kubernetes.client.api_client import ApiClient
from urllib3.util.ssl_ import create_urllib3_context

from pi_kube.errors import KubeError, from_answer, from_transport
from pi_kube.kubeconfig import load_kubeconfig
from pi_speedup.plain import one_line

Json = dict[str, Any]
Query = Mapping[str, object]

CONNECT_SECONDS = 4.0
READ_SECONDS = 10.0
# The API server ends a watch after this time; a connection that went silent is noticed a little later.
WATCH_SECONDS = 30
PAGE_ITEMS = 500

_TRANSIENT = (429, 500, 502, 503, 504)
# A dead server is known after 15 s at most, a hanging one after 21 s; one bad answer costs 0.3 s.
_RETRY = urllib3.Retry(
    total=3,
    connect=2,
    read=1,
    redirect=0,
    allowed_methods=None,
    status_forcelist=_TRANSIENT,
    backoff_factor=0.3,
    backoff_max=5,
    retry_after_max=5,
    raise_on_status=False,
)
# A kubelet that is gone answers nothing: a log is waited for once.
_LOG_RETRY = _RETRY.new(total=1, read=0)
_NO_RETRY = urllib3.Retry(total=0, redirect=0, raise_on_status=False)


class KubeClient:
    """One API server with one identity; use it in a `with` block.

    Safe to use from several threads. All methods raise KubeError (one line).
    """

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        # The Kubernetes client unpacks certificates and keys into files. They are read here once and removed:
        # whoever is killed later leaves no key behind.
        with tempfile.TemporaryDirectory(prefix="pi-kube-") as scratch:
            configuration = load_kubeconfig(kubeconfig, scratch)
            self._api: Any = ApiClient(configuration)
            self._http: urllib3.PoolManager = self._api.rest_client.pool_manager
            self.server = str(configuration.host)
            if self.server.startswith("https"):
                try:
                    _load_tls(self._http.connection_pool_kw)
                except (OSError, ValueError) as error:
                    raise KubeError(
                        f"kubeconfig {kubeconfig} holds a certificate or key that cannot be read: "
                        f"{one_line(error, 120)}. Next: fetch it again from the K3s server"
                    ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.clear()

    def get(self, path: str, query: Query | None = None, accept: str = "application/json") -> Json:
        """Return the object at `path`."""
        return self._json("GET", path, query, accept=accept)

    def find(self, path: str) -> Json | None:
        """Return the object at `path`, None if there is none."""
        try:
            return self.get(path)
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    def create(self, path: str, body: Json) -> Json:
        """Create an object. After a retry it may be there already: the caller handles status 409."""
        return self._json("POST", path, body=body)

    def patch(self, path: str, body: Json) -> Json:
        """Merge `body` into the object; a metadata.uid within it is a precondition."""
        return self._json("PATCH", path, body=body, content_type="application/merge-patch+json")

    def delete(self, path: str, uid: str, policy: str = "Foreground") -> bool:
        """Ask for the object's deletion if it still has this uid; False if it is gone or another's."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": policy,
            "preconditions": {"uid": uid},
        }
        try:
            self._json("DELETE", path, body=body)
        except KubeError as error:
            if error.status in (404, 409):
                return False
            raise
        return True

    def list_all(self, path: str, query: Query | None = None) -> tuple[list[Json], str]:
        """Return all objects of a collection, page by page, and the resource version of the list."""
        items: list[Json] = []
        page: dict[str, object] = {**(query or {}), "limit": PAGE_ITEMS}
        while True:
            try:
                answer = self.get(path, page)
            except KubeError as error:
                # The rest of the list has expired while it was read: begin again.
                if error.status == 410 and page.pop("continue", None):
                    items = []
                    continue
                raise
            items += answer.get("items") or ()
            metadata = answer.get("metadata", {})
            if not metadata.get("continue"):
                return items, str(metadata.get("resourceVersion", ""))
            page["continue"] = metadata["continue"]

    def text(self, path: str, query: Query, read_seconds: float) -> str:
        """Return a plain text answer (a log); silence for `read_seconds` ends it, with no second try."""
        data = self._send("GET", path, query, accept="*/*", read_seconds=read_seconds, retries=_LOG_RETRY)
        return data.decode("utf-8", "replace")

    def open_watch(self, path: str, query: Query, seconds: int = WATCH_SECONDS) -> Watch:
        """Begin a watch, which the server ends after `seconds`.

        Without a resourceVersion in the query it starts with every object that is there now.
        """
        query = {**query, "watch": "true", "timeoutSeconds": seconds}
        # A watch is read while it grows. Its longest silence is its own length, then the server ends it.
        response = self._open("GET", path, query, read_seconds=seconds + 5, retries=_NO_RETRY, preload=False)
        if response.status != 200:
            raise self._refused("GET", path, response)
        return Watch(self, response)

    def explain(self, error: Exception) -> KubeError:
        """Put a transport error into one line that names this server and kubeconfig."""
        return from_transport(self.server, str(self.kubeconfig), error)

    def _json(self, method: str, path: str, query: Query | None = None, **options: Any) -> Json:
        data = self._send(method, path, query, **options)
        try:
            answer = json.loads(data)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise KubeError(
                f"{self.server} (from {self.kubeconfig}) answers, but not as a Kubernetes API. "
                "Next: check the server address in the kubeconfig and what stands in between"
            )
        return answer

    def _send(self, method: str, path: str, query: Query | None, **options: Any) -> bytes:
        response = self._open(method, path, query, **options)
        if response.status >= 300:
            raise self._refused(method, path, response)
        return response.data

    def _open(
        self,
        method: str,
        path: str,
        query: Query | None,
        *,
        body: Json | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        read_seconds: float | None = None,
        retries: urllib3.Retry | None = None,
        preload: bool = True,
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": accept, "User-Agent": "pi-speedup"}
        # Also renews a token that has expired in a long run.
        self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            return self._http.request(
                method,
                self.server.rstrip("/") + path + (f"?{urlencode(query)}" if query else ""),
                headers=headers,
                body=None if body is None else json.dumps(body).encode(),
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds or READ_SECONDS),
                retries=retries or _RETRY,
                preload_content=preload,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self.explain(error) from None

    def _refused(self, method: str, path: str, response: urllib3.BaseHTTPResponse) -> KubeError:
        try:
            body = response.data
        except urllib3.exceptions.HTTPError:
            body = b""
        return from_answer(self.server, str(self.kubeconfig), f"{method} {path}", response.status, body)


def _load_tls(settings: dict[str, Any]) -> None:
    """Read the files that a connection pool's settings name into a TLS context that replaces them."""
    context = create_urllib3_context(cert_reqs=settings.get("cert_reqs"))
    authorities = settings.pop("ca_certs", None), settings.pop("ca_cert_data", None)
    if any(authorities):
        context.load_verify_locations(cafile=authorities[0], cadata=authorities[1])
    else:
        context.load_default_certs()
    certificate, key = settings.pop("cert_file", None), settings.pop("key_file", None)
    if certificate:
        context.load_cert_chain(certificate, key)
    settings["ssl_context"] = context


class Watch:
    """The events of one watch, each a dict with `type` and `object`; `close` may come from another thread."""

    def __init__(self, client: KubeClient, response: urllib3.BaseHTTPResponse) -> None:
        self._client = client
        self._response = response

    def __iter__(self) -> Iterator[Json]:
        """Yield events until the server ends the watch; KubeError if it breaks or answers nonsense."""
        rest = b""
        try:
            for chunk in self._response.stream(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield self._event(line)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._client.explain(error) from None
        finally:
            self._response.close()

    def _event(self, line: bytes) -> Json:
        try:
            event = json.loads(line)
            kind, item = str(event["type"]), dict(event["object"])
        except (ValueError, KeyError, TypeError):
            raise KubeError(f"API server {self._client.server} sent an unreadable watch event") from None
        if kind == "ERROR":
            # 410 and "Too large resource version" come this way: a new watch starts from what is there.
            code = item.get("code")
            raise KubeError(f"API server {self._client.server} ended a watch: {item.get('message')}", code)
        return {"type": kind, "object": item}

    def close(self) -> None:
        """End the watch at once, also while another thread waits for its next event."""
        # Raises if the watch has just ended by itself.
        with contextlib.suppress(ValueError, OSError):
            self._response.shutdown()
