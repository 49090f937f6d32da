"""What is sent to the API and how often: a server on this machine whose every answer is written down."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from pi_speedup.kube.access import client as client_module
from pi_speedup.kube.access.client import ONCE, KubeClient
from pi_speedup.kube.access.errors import KubeError
from tests.unit.kube.objects import a_job

PATH = "/apis/batch/v1/namespaces/ns/jobs"
# Status, body, headers.
Answer = tuple[int, Any, dict[str, str]]


class ScriptedServer(ThreadingHTTPServer):
    """Answers one after the other, the last for ever; what it was asked is kept."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []

    @property
    def bodies(self) -> list[Any]:
        """The bodies of the requests."""
        return [body for *_, body in self.asked]

    @property
    def queries(self) -> list[dict[str, str]]:
        """The queries of the requests."""
        return [query for _, _, query, _ in self.asked]


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer

    def _answer(self) -> None:
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        self.server.asked.append((self.command, address.path, query, json.loads(body) if body else None))
        script = self.server.answers
        status, content, headers = script.pop(0) if len(script) > 1 else script[0]
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_DELETE = _answer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between requests in seconds, which are not made."""
    found: list[float] = []
    monkeypatch.setattr(client_module, "time", SimpleNamespace(sleep=found.append, monotonic=time.monotonic))
    return found


@pytest.fixture
def client(server: ScriptedServer, pauses: list[float], tmp_path: Path) -> Iterator[KubeClient]:
    path = tmp_path / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "x",
                "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
                "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
                "users": [{"name": "x", "user": {"token": "x"}}],
            }
        )
    )
    path.chmod(0o600)
    with KubeClient(path) as found:
        yield found


def good(body: Any) -> Answer:
    return 200, body, {}


def bad(status: int, message: str = "no", **headers: str) -> Answer:
    return status, {"kind": "Status", "message": message}, headers


def page(*versions: int, more: str = "") -> Answer:
    metadata = {"resourceVersion": "7"} | ({"continue": more} if more else {})
    return good({"metadata": metadata, "items": [a_job(version) for version in versions]})


def test_an_object_is_deleted_only_if_it_has_this_uid(server: ScriptedServer, client: KubeClient) -> None:
    server.answers = [good({})]
    assert client.delete(f"{PATH}/job", "its-uid")
    assert client.delete(f"{PATH}/job", "its-uid", "Background", version="7")
    assert [(body["preconditions"], body["propagationPolicy"]) for body in server.bodies] == [
        ({"uid": "its-uid"}, "Foreground"),
        ({"uid": "its-uid", "resourceVersion": "7"}, "Background"),
    ]


@pytest.mark.parametrize("status", [404, 409], ids=["gone", "another has its name"])
def test_what_is_gone_or_anothers_is_not_deleted(
    server: ScriptedServer, client: KubeClient, status: int
) -> None:
    server.answers = [bad(status)]
    assert not client.delete(f"{PATH}/job", "its-uid")


def test_a_refused_deletion_is_an_error(server: ScriptedServer, client: KubeClient) -> None:
    server.answers = [bad(403, 'User "me" cannot delete resource "jobs"')]
    with pytest.raises(KubeError, match="cannot delete"):
        client.delete(f"{PATH}/job", "its-uid")


def versions(items: list[Any]) -> list[str]:
    return [item["metadata"]["resourceVersion"] for item in items]


def test_a_long_list_is_read_page_by_page(server: ScriptedServer, client: KubeClient) -> None:
    server.answers = [page(1, 2, more="next"), page(3)]
    items, version = client.list_all(PATH, {"labelSelector": "x"})
    assert (versions(items), version) == (["1", "2", "3"], "7")
    limit = {"labelSelector": "x", "limit": "500"}
    assert server.queries == [limit, {**limit, "continue": "next"}]


def test_a_list_that_expires_while_it_is_read_is_begun_again(
    server: ScriptedServer, client: KubeClient
) -> None:
    server.answers = [page(1, 2, more="next"), bad(410, "too old"), page(4, more="next"), page(5)]
    items, _ = client.list_all(PATH)
    assert versions(items) == ["4", "5"]
    assert [query.get("continue") for query in server.queries] == [None, "next", None, "next"]


def test_a_list_that_has_expired_at_once_is_an_error(server: ScriptedServer, client: KubeClient) -> None:
    server.answers = [bad(410, "too old")]
    with pytest.raises(KubeError, match="too old") as refused:
        client.list_all(PATH)
    assert (refused.value.status, len(server.asked)) == (410, 1)


def test_a_watch_that_has_expired_says_so(server: ScriptedServer, client: KubeClient) -> None:
    error = {"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}}
    server.answers = [good(json.dumps(error).encode() + b"\n")]
    with pytest.raises(KubeError, match="ended a watch: too old resource version") as expired:
        list(client.open_watch(PATH, {"resourceVersion": "1"}))
    assert (expired.value.status, expired.value.passes_by_itself) == (410, True)


RETRY_AFTER: dict[str, tuple[dict[str, str], float]] = {
    "seconds": ({"Retry-After": "3"}, 3),
    "more than is waited for": ({"Retry-After": "3600"}, 5),
    "a day": ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.3),
    "nothing said": ({}, 0.3),
}


@pytest.mark.parametrize(("headers", "seconds"), RETRY_AFTER.values(), ids=RETRY_AFTER)
def test_a_busy_server_says_when_to_come_again(
    server: ScriptedServer, client: KubeClient, pauses: list[float], headers: dict[str, str], seconds: float
) -> None:
    server.answers = [bad(429, **headers), good(a_job())]
    assert client.get(f"{PATH}/job") == a_job()
    assert pauses == [seconds]


TRIES: dict[str, tuple[list[Answer], int]] = {
    "busy": ([bad(429)], 6),
    "failing": ([bad(503)], 4),
    "now busy, now failing": ([bad(500), bad(429), bad(503), bad(429), bad(502), good(a_job())], 6),
    "an unknown identity": ([bad(401)], 1),
    "a missing right": ([bad(403)], 1),
    "not valid": ([bad(422)], 1),
    "no Kubernetes": ([good(b"hello")], 3),
}


@pytest.mark.parametrize(("answers", "times"), TRIES.values(), ids=TRIES)
def test_a_request_is_sent_as_often_as_its_answer_may_get_better(
    server: ScriptedServer, client: KubeClient, answers: list[Answer], times: int
) -> None:
    server.answers = list(answers)
    if answers[-1] == good(a_job()):
        client.get(f"{PATH}/job")
    else:
        with pytest.raises(KubeError):
            client.get(f"{PATH}/job")
    assert len(server.asked) == times


def test_without_patience_it_is_sent_once(server: ScriptedServer, client: KubeClient) -> None:
    server.answers = [bad(503)]
    with pytest.raises(KubeError):
        client.with_patience(ONCE).get(f"{PATH}/job")
    assert len(server.asked) == 1


CHANGES: dict[str, Callable[[KubeClient], object]] = {
    "create": lambda client: client.create(PATH, a_job()),
    "patch": lambda client: client.patch(f"{PATH}/job", {"spec": {}}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_that_was_answered_with_nonsense_is_not_sent_again(
    server: ScriptedServer, client: KubeClient, change: Callable[[KubeClient], object]
) -> None:
    server.answers = [good(b"hello")]
    with pytest.raises(KubeError, match="not as a Kubernetes API"):
        change(client)
    assert len(server.asked) == 1


def test_an_object_that_is_not_there_is_none(server: ScriptedServer, client: KubeClient) -> None:
    server.answers = [bad(404)]
    assert client.find(f"{PATH}/job") is None
