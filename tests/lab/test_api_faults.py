"""The API server's and the network's faults, injected before a real API server: survived, or one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pi_kube import client as client_module
from pi_kube import collect, follow
from pi_kube.client import KubeClient
from pi_kube.errors import KubeError
from pi_kube.ours import Place
from tests.lab.fault_proxy import (
    ALWAYS,
    Action,
    Fault,
    FaultProxy,
    answers,
    breaks,
    cuts,
    does_it_but,
    fault_proxy,
    hangs,
    resets,
)
from tests.lab.lab import Lab
from tests.lab.runs import container, manifest, run

NODES = "/api/v1/nodes"
# The one by which the Job is followed, not the one by which an earlier Job's removal is awaited.
JOB_WATCH = "WATCH /jobs fieldSelector"
HTML = "<html>\n<body>welcome\x1b[2J</body>\n</html>\n"


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up a silent server soon; the real time allowed differs in nothing but its length."""
    monkeypatch.setattr(client_module, "READ_SECONDS", 2.0)
    monkeypatch.setattr(collect, "LOG_SECONDS", 1.0)


def status(code: int, message: str) -> dict[str, object]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}


def error_event(code: int, message: str) -> dict[str, object]:
    return {"type": "ERROR", "object": status(code, message)}


PASSING = {
    "500 once": Fault("GET", answers(500, "oops")),
    "503 twice": Fault("GET", answers(503), times=2),
    "429 with Retry-After": Fault("GET", answers(429, Retry_After="0")),
    "504 once": Fault("GET", answers(504)),
    "connection reset once": Fault("GET", resets),
    "answer cut off once": Fault("GET", breaks(500)),
    "silence once": Fault("GET", hangs),
    "page expired": Fault(
        "GET continue=", answers(410, status(410, "The provided continue parameter is too old"))
    ),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
@pytest.mark.usefixtures("brief")
def test_list_under_a_passing_fault_is_whole(
    fault: Fault, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "PAGE_ITEMS", 2)
    proxy.faults.append(fault)
    with KubeClient(proxy.kubeconfig) as client:
        items, version = client.list_all(NODES)
    assert [item["metadata"]["name"] for item in items] == ["pi-1", "pi-2", "pi-3"]
    assert int(version) > 0
    assert len(proxy.injected) == fault.times


LASTING = {
    "500": (answers(500, status(500, "etcd is\nfull")), "answered 500 to GET /api/v1/nodes: etcd is full"),
    "a proxy's HTML": (answers(200, HTML), "answers, but not as a Kubernetes API"),
    "an HTML error": (answers(403, HTML), "<body>welcome [2J</body>"),
    "a redirect": (answers(302, Location="http://127.0.0.1:1/"), "too many redirects"),
    "silence": (hangs, "no answer within the time allowed. Next:"),
    "resets": (resets, "the connection broke"),
}


@pytest.mark.parametrize(("act", "words"), LASTING.values(), ids=LASTING)
@pytest.mark.usefixtures("brief")
def test_lasting_fault_is_one_line(act: Action, words: str, proxy: FaultProxy) -> None:
    proxy.faults.append(Fault("GET", act, ALWAYS))
    with KubeClient(proxy.kubeconfig) as client, pytest.raises(KubeError) as caught:
        client.list_all(NODES)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert proxy.token not in str(caught.value)


def test_server_that_is_down_is_named_with_the_kubeconfig(lab: Lab, tmp_path: Path) -> None:
    with fault_proxy(lab.folder / "kubeconfig", tmp_path) as proxy:
        pass
    with KubeClient(proxy.kubeconfig) as client, pytest.raises(KubeError) as caught:
        client.list_all(NODES)
    assert str(proxy.kubeconfig) in str(caught.value)
    assert "connection refused. Next:" in str(caught.value)


SURVIVED = {
    "create answers 500, but did create": Fault("POST /jobs", does_it_but(answers(500))),
    "create breaks off, but did create": Fault("POST /jobs", does_it_but(resets)),
    "create is silent, but did create": Fault("POST /jobs", does_it_but(hangs)),
    "create is told to wait": Fault("POST /jobs", answers(429, Retry_After="0")),
    "pod watch begins with 504": Fault(
        "WATCH /pods", answers(504, status(504, "Too large resource version"))
    ),
    "pod watch begins with 410": Fault("WATCH /pods", answers(200, error_event(410, "too old"))),
    "pod watch ends at once": Fault("WATCH /pods", answers(200)),
    "pod watch says nothing": Fault("WATCH /pods", hangs, ALWAYS),
    "job watch is reset twice": Fault(JOB_WATCH, resets, times=2),
    "job watch ends within a line": Fault(JOB_WATCH, cuts(300)),
    "job watch breaks within a line": Fault(JOB_WATCH, breaks(300)),
    "job watch speaks HTML": Fault(JOB_WATCH, answers(200, HTML)),
    "job watch speaks JSON of its own": Fault(
        JOB_WATCH, answers(200, {"type": "ERROR", "object": "bad gateway"})
    ),
    "pod watch speaks JSON of its own": Fault("WATCH /pods", answers(200, {"type": "ADDED", "object": [1]})),
    "job watch is forbidden for a moment": Fault(JOB_WATCH, answers(403)),
    "events are forbidden": Fault("/events", answers(403), ALWAYS),
    "last list answers 503 once": Fault("GET /pods?", answers(503)),
    "API server is away when the Job has ended": Fault("GET /pods?", resets, times=5),
    "last list answers HTML once": Fault("GET /pods?", answers(200, HTML)),
    "last list is silent once": Fault("GET /pods?", hangs),
}


@pytest.mark.parametrize("fault", SURVIVED.values(), ids=SURVIVED)
@pytest.mark.usefixtures("brief")
def test_run_survives(fault: Fault, proxy: FaultProxy, place: Place, tmp_path: Path) -> None:
    proxy.faults.append(fault)
    done = run(proxy.kubeconfig, place, tmp_path)
    assert done.ending.outcome == "complete", done.ending
    assert done.results == ["pod-0.json", "pod-1.json", "pod-2.json"]
    assert fault in proxy.injected
    if fault.times != ALWAYS:
        assert len(proxy.injected) == fault.times


PASSING_LOG_FAULTS = {
    "503": answers(503),
    "429": answers(429, Retry_After="0"),
}


@pytest.mark.parametrize("act", PASSING_LOG_FAULTS.values(), ids=PASSING_LOG_FAULTS)
def test_logs_under_a_passing_fault_are_whole(
    act: Action, proxy: FaultProxy, place: Place, tmp_path: Path
) -> None:
    fault = Fault("GET /log", act)
    proxy.faults.append(fault)
    done = run(proxy.kubeconfig, place, tmp_path)
    assert ["PI-WORKER-END" in log for log in done.logs] == [True] * 3
    assert proxy.injected == [fault]


BAD_LOGS = {
    "cut within a line": (cuts(20), "Estimated Pi: "),
    "broken within a line": (breaks(20), "(no log: API server http://127.0.0.1:"),
    "500": (answers(500, status(500, "no kubelet")), "(no log: API server http://127.0.0.1:"),
    "silence": (hangs, "(no log: API server http://127.0.0.1:"),
}


@pytest.mark.parametrize(("act", "words"), BAD_LOGS.values(), ids=BAD_LOGS)
@pytest.mark.usefixtures("brief")
def test_log_that_cannot_be_had_costs_no_result(
    act: Action, words: str, proxy: FaultProxy, place: Place, tmp_path: Path
) -> None:
    job = manifest(place)
    proxy.faults.append(Fault(f"GET {job['metadata']['name']}-1- /log", act, ALWAYS))
    done = run(proxy.kubeconfig, place, tmp_path, job)
    assert done.ending.outcome == "complete"
    assert done.results == ["pod-0.json", "pod-1.json", "pod-2.json"]
    assert done.logs[1].startswith(words)
    assert "PI-WORKER-END" not in done.logs[1]
    assert all("PI-WORKER-END" in log for log in (done.logs[0], done.logs[2]))
    assert proxy.injected


def test_log_cut_within_a_line_is_never_taken_for_a_whole_result(
    proxy: FaultProxy, place: Place, tmp_path: Path
) -> None:
    job = manifest(place)
    # Without a termination message, results are read from the logs.
    del container(job)["args"][-2:]
    proxy.faults.append(Fault(f"GET {job['metadata']['name']}-1- /log", cuts(300)))
    done = run(proxy.kubeconfig, place, tmp_path, job)
    assert done.ending.reason == "NotOneResultPerPi"
    assert "pod 1 on pi-" in done.ending.message
    assert "ended without a whole result" in done.ending.message
    assert done.results == ["pod-0.json", "pod-2.json"]


def test_deadline_while_the_api_server_is_away_says_so(
    proxy: FaultProxy, place: Place, tmp_path: Path
) -> None:
    proxy.faults.append(Fault(JOB_WATCH, resets, ALWAYS))
    done = run(proxy.kubeconfig, place, tmp_path, timeout_seconds=2)
    assert done.ending.reason == "ApiServerLost"
    assert done.ending.message.startswith("lost sight of the Job: API server http://127.0.0.1")
    assert done.ending.next_step.startswith("on the K3s server")
    assert len([line for line in done.lines if "is away" in line]) == 1
    assert done.json("job.json")["outcome"] == "failed"


def test_right_that_is_withdrawn_during_the_run_ends_it(
    proxy: FaultProxy, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "REFUSED_SECONDS", 0.5)
    proxy.faults.append(Fault(JOB_WATCH, answers(403, status(403, "no right")), ALWAYS))
    done = run(proxy.kubeconfig, place, tmp_path)
    assert done.ending.reason == "ApiServerLost"
    assert "forbids it" in done.ending.message
    assert "no right" in done.ending.message
