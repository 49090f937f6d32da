"""Requests to the Kubernetes API as plain JSON, each under its own timeout.

The official client reads the kubeconfig and sets up TLS and identity; its typed models are left out, since
building them costs more than the requests do and refuses objects it doesn't know.
"""

from __future__ import annotations

import contextlib
import copy
import json
import re
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

import urllib3
from kubernetes.client.api_client import ApiClient
from urllib3.util.ssl_ import create_urllib3_context

from pi_speedup.clock import boot_seconds
from pi_speedup.codes import Code
from pi_speedup.kube.access.errors import KubeError, from_answer, from_transport, is_wrong_certificate
from pi_speedup.kube.access.kubeconfig import FETCH_AGAIN, load_kubeconfig
from pi_speedup.kube.access.shape import is_object, shaped
from pi_speedup.text import one_line

Json = dict[str, Any]
Query = Mapping[str, object]

_DRY_RUN: Final = {"dryRun": "All"}
PAGE_ITEMS = 500
# Of no collection that is read a cluster of Pis has so many; a list that does not end is ended here.
MOST_ITEMS = 100_000
# The longest event of a watch: an object has 1.5 MB at most in etcd.
MOST_EVENT_BYTES = 4 * 1024 * 1024
# The API server ends a watch after this time. Until then it costs no further request.
WATCH_SECONDS = 1200


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request waits, and how often it is sent again, by what came instead of a good answer.

    Missing rights (401, 403) and what was asked wrongly are never asked again.
    """

    connect_seconds: float = 4.0
    read_seconds: float = 10.0
    # No connection: a dead server is known after 15 s at most.
    connect: int = 2
    # A connection and then no word: a hanging server is known after 21 s.
    silence: int = 1
    # A connection that broke, as those kept open do when the server restarts.
    broken: int = 3
    # 429: the server says when to come again.
    busy: int = 5
    # 500, 502, 503, 504.
    error: int = 3
    # An answer that is not JSON, from something in between; of reads only.
    nonsense: int = 2


PATIENT = Patience()
# No second try at all.
ONCE = Patience(connect=0, silence=0, broken=0, busy=0, error=0, nonsense=0)
# For who must be gone within seconds.
HURRIED = replace(ONCE, connect_seconds=1.5, read_seconds=2.0)
_ERRORS = (500, 502, 503, 504)
_LONGEST_PAUSE_SECONDS = 5.0

# A connection whose other end is gone without a word (a cable, a router's table) is found out by the kernel,
# within 30 s, also under a watch on which nothing happens. The names differ between Linux and macOS.
_KEEP_ALIVE = [
    (socket.IPPROTO_TCP, getattr(socket, name), value)
    for name, value in {"TCP_KEEPIDLE": 15, "TCP_KEEPALIVE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}.items()
    if hasattr(socket, name)
]
# The Kubernetes client has one table of unpacked files: a second thread would take the first one's.
_UNPACKING = threading.Lock()


class KubeClient:
    """One API server with one identity; use it in a `with` block.

    Safe to use from several threads. All methods raise KubeError.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self._patience: Patience | None = None
        # The server's time of day by its last answer (whole seconds), and when that was by our own clock.
        self._heard: list[tuple[datetime, float]] = [(datetime.now(UTC), boot_seconds())]
        # The Kubernetes client unpacks certificates and keys into files. They are read here once and removed:
        # whoever is killed later leaves no key behind.
        with _UNPACKING, tempfile.TemporaryDirectory(prefix="pi-kube-") as scratch:
            configuration = load_kubeconfig(kubeconfig, scratch)
            self._api: Any = ApiClient(configuration)
            self._http: urllib3.PoolManager = self._api.rest_client.pool_manager
            settings = self._http.connection_pool_kw
            settings["socket_options"] = [
                *urllib3.connection.HTTPConnection.default_socket_options,
                (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
                *_KEEP_ALIVE,
            ]
            self.server = str(configuration.host)
            if self.server.startswith("https"):
                try:
                    _load_tls(settings)
                except (OSError, ValueError) as error:
                    raise KubeError(
                        Code.KUBECONFIG_MALFORMED,
                        f"kubeconfig {kubeconfig}",
                        f"holds a certificate or key that cannot be read: {one_line(error, 120)}",
                        FETCH_AGAIN,
                    ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.clear()

    def with_patience(self, patience: Patience) -> KubeClient:
        """Return this client, connections and all, with another patience."""
        other = copy.copy(self)
        other._patience = patience
        return other

    def now(self) -> datetime:
        """Return the time of day by the API server's clock, as of its last answer, to a second."""
        heard, since = self._heard[0]
        return heard + timedelta(seconds=boot_seconds() - since)

    def get(
        self,
        path: str,
        query: Query | None = None,
        accept: str = "application/json",
        read_seconds: float | None = None,
    ) -> Json:
        """Return the object at `path`; waits for it at most `read_seconds` at a time if given.

        With `accept` whatever is there, else an object that has a name and a uid.
        """
        answer = self._json("GET", path, query, accept=accept, read_seconds=read_seconds)
        return answer if accept != "application/json" else self._object(answer, path)

    def find(self, path: str) -> Json | None:
        """Return the object at `path`, None if there is none."""
        try:
            return self.get(path)
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    def create(self, path: str, body: Json, *, dry_run: bool = False) -> Json:
        """Create an object. After a second try it may be there already: the caller handles status 409."""
        answer = self._json("POST", path, _DRY_RUN if dry_run else None, body=body)
        # A question, such as a review, is answered by what has no name.
        return self._object(answer, path) if "metadata" in body else answer

    def patch(self, path: str, body: Json, *, dry_run: bool = False) -> Json:
        """Merge `body` into the object; a metadata.uid within it is a precondition, see KubeError.is_gone."""
        query = _DRY_RUN if dry_run else None
        return self._json("PATCH", path, query, body=body, content_type="application/merge-patch+json")

    def delete(self, path: str, uid: str, policy: str = "Foreground", version: str = "") -> bool:
        """Ask for the object's deletion if it still has this uid; False if it is gone or another's.

        With `version` also only if nobody has changed it since this resource version.
        """
        preconditions = {"uid": uid} | ({"resourceVersion": version} if version else {})
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": policy,
            "preconditions": preconditions,
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
                answer = self._json("GET", path, page)
            except KubeError as error:
                # The rest of the list has expired while it was read: begin again.
                if error.status == 410 and page.pop("continue", None):
                    items = []
                    continue
                raise
            found = answer.get("items") or []
            items += [self._object(item, path) for item in found]
            metadata = answer["metadata"]
            # A page without an item is the last, or the list would never end.
            if not metadata.get("continue") or not found:
                return items, metadata.get("resourceVersion", "")
            if len(items) > MOST_ITEMS:
                raise KubeError(
                    Code.API_NOT_KUBERNETES,
                    f"API server {self.server}",
                    f"lists more than {MOST_ITEMS:,} objects at {path}",
                    "choose a benchmark_namespace that holds less",
                )
            page["continue"] = metadata["continue"]

    def log(self, path: str, read_seconds: float, max_bytes: int) -> bytes:
        """Return the first `max_bytes` of a log; silence for `read_seconds` ends it, without a second try."""
        # A kubelet that is gone answers nothing: it is waited for once.
        patience = self._patience or PATIENT
        response = self._open(
            "GET",
            path,
            {"limitBytes": max_bytes},
            accept="*/*",
            patience=Patience(patience.connect_seconds, read_seconds, silence=0),
            preload=False,
        )
        try:
            if response.status >= 300:
                raise self._refused("GET", path, response)
            return response.read(max_bytes)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self.explain(error) from None
        finally:
            response.close()

    def open_watch(self, path: str, query: Query, seconds: int = WATCH_SECONDS) -> Watch:
        """Begin a watch, which the server ends after `seconds`; it is asked for once.

        Without a resourceVersion in the query it starts with every object that is there now.
        """
        query = {**query, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": seconds}
        response = self._open("GET", path, query, patience=ONCE, preload=False)
        if response.status != 200:
            raise self._refused("GET", path, response)
        _let_be_silent(response, seconds + 5)
        return Watch(self, response)

    def explain(self, error: Exception) -> KubeError:
        """Return a transport error as a problem that names this server and kubeconfig."""
        return from_transport(self.server, str(self.kubeconfig), error)

    def _json(self, method: str, path: str, query: Query | None = None, **options: Any) -> Json:
        for _ in range(1 + (self._patience or PATIENT).nonsense):
            response = self._open(method, path, query, **options)
            if response.status >= 300:
                raise self._refused(method, path, response)
            try:
                answer = json.loads(response.data)
            except (ValueError, RecursionError):
                answer = None
            if isinstance(answer, dict):
                return shaped(answer)
            if method != "GET":
                break
            time.sleep(0.3)
        raise self._nonsense("answers, but not as a Kubernetes API", response.status)

    def _object(self, item: Json, path: str) -> Json:
        """Return an object as it is; KubeError if it has neither name nor uid, so is not one."""
        if not is_object(item):
            raise self._nonsense(f"sent an object without a valid name and uid from {path}")
        return item

    def _nonsense(self, what: str, status: int | None = None) -> KubeError:
        return KubeError(
            Code.API_NOT_KUBERNETES,
            f"API server {self.server}",
            what,
            f"check the server address in {self.kubeconfig} and what stands in between",
            status=status,
            passes_by_itself=True,
        )

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
        patience: Patience | None = None,
        preload: bool = True,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request as often as patience allows; return the last answer, whatever its status."""
        patience = patience or self._patience or PATIENT
        timeout = urllib3.Timeout(
            connect=patience.connect_seconds, read=min(read_seconds or 1e9, patience.read_seconds)
        )
        url = self.server.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": accept, "User-Agent": "pi-speedup"}
        if data is not None:
            headers["Content-Type"] = content_type
        met: Counter[str] = Counter()
        while True:
            # Also renews a token that has expired in a long run.
            for each in self._api.configuration.auth_settings().values():
                headers[each["key"]] = each["value"]
            try:
                response = self._http.request(
                    method,
                    url,
                    headers=headers,
                    body=data,
                    timeout=timeout,
                    retries=False,
                    redirect=False,
                    preload_content=preload,
                )
            except (urllib3.exceptions.HTTPError, OSError) as error:
                kind = _kind(error)
                met[kind] += 1
                if met[kind] > getattr(patience, kind, 0):
                    raise self.explain(error) from None
                asked_for = None
            except ValueError:
                # Python's own words would show the secret.
                raise KubeError(
                    Code.KUBECONFIG_MALFORMED,
                    f"kubeconfig {self.kubeconfig}",
                    "holds a token, password or address with characters that cannot be sent",
                    FETCH_AGAIN,
                ) from None
            else:
                self._note_time(response)
                kind = _kind_of_status(response.status)
                met[kind] += 1
                if met[kind] > getattr(patience, kind, 0):
                    return response
                asked_for = response.headers.get("Retry-After")
                response.close()
            time.sleep(_pause(sum(met.values()), asked_for))

    def _note_time(self, response: urllib3.BaseHTTPResponse) -> None:
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            date = parsedate_to_datetime(response.headers.get("Date", "")).astimezone(UTC)
            # Near year 1 or 9999 nothing can be added or taken away.
            if 1970 <= date.year <= 9000:
                self._heard[0] = (date, boot_seconds())

    def _refused(self, method: str, path: str, response: urllib3.BaseHTTPResponse) -> KubeError:
        try:
            body = response.data if response.status >= 300 else b""
        except (urllib3.exceptions.HTTPError, OSError):
            body = b""
        return from_answer(self.server, str(self.kubeconfig), f"{method} {path}", response.status, body)


def _kind(error: Exception) -> str:
    """Return by which of Patience's words a request that got no answer is counted."""
    if is_wrong_certificate(error):
        return "wrong certificate"
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return "connect"
    return "silence" if isinstance(error, urllib3.exceptions.ReadTimeoutError) else "broken"


def _kind_of_status(status: int) -> str:
    return "busy" if status == 429 else "error" if status in _ERRORS else "answer"


def _pause(times: int, asked_for: str | None) -> float:
    # Seconds as a whole number, or a date, which is not waited for.
    if asked_for and re.fullmatch(r"[0-9]{1,9}", asked_for):
        return min(float(asked_for), _LONGEST_PAUSE_SECONDS)
    return float(min(0.15 * 2**times, _LONGEST_PAUSE_SECONDS))


def _let_be_silent(response: urllib3.BaseHTTPResponse, seconds: float) -> None:
    """Allow a watch that has begun to say nothing for so long; until then each read had the usual time."""
    sock = getattr(getattr(response, "connection", None), "sock", None)
    if sock is not None:
        sock.settimeout(seconds)


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
                if len(rest) > MOST_EVENT_BYTES:
                    raise self._unreadable()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._client.explain(error) from None
        finally:
            self._response.close()

    def _event(self, line: bytes) -> Json:
        try:
            event = json.loads(line)
            kind, item = str(event["type"]), event["object"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._unreadable() from None
        if not isinstance(item, dict):
            raise self._unreadable()
        if kind == "ERROR":
            # 410 and "Too large resource version" come this way: what is there has to be listed anew.
            code = item.get("code")
            raise KubeError(
                Code.API_FAILED,
                f"API server {self._client.server}",
                f"ended a watch: {one_line(item.get('message'), 160)}",
                "run again",
                status=code if isinstance(code, int) else None,
                reason=str(item.get("reason") or ""),
                passes_by_itself=True,
            )
        found = shaped(item)
        if kind != "BOOKMARK" and not is_object(found):
            raise self._unreadable()
        return {"type": kind, "object": found}

    def _unreadable(self) -> KubeError:
        return KubeError(
            Code.API_NOT_KUBERNETES,
            f"API server {self._client.server}",
            "sent an unreadable watch event",
            "see what stands between this machine and it",
            passes_by_itself=True,
        )

    def close(self) -> None:
        """End the watch at once, also while another thread waits for its next event."""
        # Raises if the watch has just ended by itself.
        with contextlib.suppress(ValueError, OSError):
            self._response.shutdown()
