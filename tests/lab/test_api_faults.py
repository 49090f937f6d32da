"""The API server's and the network's faults, injected before a real API server: survived, or one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pi_speedup.kube.access import client as client_module
from pi_speedup.kube.access.client import KubeClient
from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.follow import follow as follow_module
from pi_speedup.kube.follow import results as results_module
from pi_speedup.kube.follow.manifest import job_name
from pi_speedup.kube.owned.owned import Place, owner_uid
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
from tests.lab.runs import misbehaving, new_plan, run
from tests.manifests import JOB, slot_of

NODES = "/api/v1/nodes"
# The one by which the Job is followed.
JOB_WATCH = "WATCH /jobs fieldSelector"
HTML = "<html>\n<body>welcome\x1b[2J</body>\n</html>\n"


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up a silent server soon; the real time allowed differs in nothing but its length."""
    for name in ("PATIENT", "ONCE"):
        short = replace(getattr(client_module, name), read_seconds=2.0)
        monkeypatch.setattr(client_module, name, short)
    monkeypatch.setattr(follow_module, "ONCE", client_module.ONCE)
    monkeypatch.setattr(follow_module, "BEAT_SECONDS", 3.0)
    monkeypatch.setattr(follow_module, "QUIET_SECONDS", 3.0)
    monkeypatch.setattr(results_module, "LOG_SECONDS", 1.0)


def status(code: int, message: str) -> dict[str, object]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}


def error_event(code: int, message: str) -> dict[str, object]:
    return {"type": "ERROR", "object": status(code, message)}


TOO_LARGE = error_event(504, "Too large resource version: 7, current: 5")

PASSING = {
    "500 once": Fault("GET", answers(500, "oops")),
    "503 twice": Fault("GET", answers(503), times=2),
    "429 with Retry-After five times": Fault("GET", answers(429, Retry_After="0"), times=5),
    "504 once": Fault("GET", answers(504)),
    "connection reset three times": Fault("GET", resets, times=3),
    "answer cut off once": Fault("GET", breaks(500)),
    "silence once": Fault("GET", hangs),
    "HTML twice": Fault("GET", answers(200, HTML), times=2),
    "JSON cut off": Fault("GET", answers(200, '{"items": [')),
    "page expired": Fault(
        "GET continue=", answers(410, status(410, "The provided continue parameter is too old"))
    ),
}


@pytest.mark.fault("API answers 500 once", "survived", kept="all", row="500 once")
@pytest.mark.fault("API answers 503 twice", "survived", kept="all", row="503 twice")
@pytest.mark.fault(
    "API answers 429 five times, with Retry-After",
    "survived",
    kept="all",
    row="429 with Retry-After five times",
)
@pytest.mark.fault("connection reset three times", "survived", kept="all", row="connection reset three times")
@pytest.mark.fault("HTML instead of JSON, twice", "survived", kept="all", row="HTML twice")
@pytest.mark.fault("broken JSON", "survived", kept="all", row="JSON cut off")
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
    "500": (answers(500, status(500, "etcd is\nfull")), "answered 500 to GET /api/v1/nodes: etcd is full", 4),
    "a proxy's HTML": (answers(200, HTML), "answers, but not as a Kubernetes API", 3),
    "an HTML error": (answers(403, HTML), "<body>welcome [2J</body>", 1),
    "an unknown identity": (answers(401), "does not accept the identity", 1),
    "a redirect": (answers(302, Location="http://127.0.0.1:1/"), "answered 302", 1),
    "silence": (hangs, "no answer within the time allowed [PS-401]. Next:", 2),
    "resets": (resets, "the connection broke", 4),
}


@pytest.mark.fault(
    "API answers 500 always",
    "API server https://127.0.0.1:6443: answered 500 to GET /api/v1/nodes: etcd is full "
    "[PS-405]. Next: on the K3s server, sudo journalctl -u k3s --since -5min; run again "
    "once it answers",
    kept="nothing begun",
    row="500",
)
@pytest.mark.fault(
    "connection reset always",
    "API server https://127.0.0.1:6443: cannot be reached: the connection broke (…) "
    "[PS-401]. Next: on the K3s server, systemctl status k3s; here, check the server "
    "address in …",
    kept="nothing begun",
    row="resets",
)
@pytest.mark.fault(
    "HTML instead of JSON, always",
    "API server https://127.0.0.1:6443: answers, but not as a Kubernetes API … [PS-404]. "
    "Next: check the server address in …",
    kept="nothing begun",
    row="a proxy's HTML",
)
@pytest.mark.fault(
    "redirect to elsewhere",
    "API server https://127.0.0.1:6443: answered 302 to GET /api/v1/nodes: no reason "
    "given [PS-404]. Next: see what stands between this machine and the API server, and "
    "the server address in …",
    kept="nothing begun",
    row="a redirect",
)
@pytest.mark.parametrize(("act", "words", "times"), LASTING.values(), ids=LASTING)
@pytest.mark.usefixtures("brief")
def test_lasting_fault_is_one_line(act: Action, words: str, times: int, proxy: FaultProxy) -> None:
    proxy.faults.append(Fault("GET", act, ALWAYS))
    with KubeClient(proxy.kubeconfig) as client, pytest.raises(KubeError) as caught:
        client.list_all(NODES)
    assert words in str(caught.value)
    assert ". Next: " in str(caught.value)
    assert str(caught.value).isprintable()
    assert proxy.token not in str(caught.value)
    # Missing rights are never asked for again.
    assert len(proxy.injected) == times


def test_server_that_is_down_is_named_with_the_kubeconfig(lab: Lab, tmp_path: Path) -> None:
    with fault_proxy(lab.folder / "kubeconfig", tmp_path) as proxy:
        pass
    with KubeClient(proxy.kubeconfig) as client, pytest.raises(KubeError) as caught:
        client.list_all(NODES)
    assert str(proxy.kubeconfig) in str(caught.value)
    assert "connection refused [PS-401]. Next:" in str(caught.value)
    assert caught.value.passes_by_itself


def test_time_of_day_is_the_api_servers(proxy: FaultProxy) -> None:
    nodes = {"kind": "NodeList", "metadata": {"resourceVersion": "1"}, "items": []}
    act = answers(200, nodes, Date="Tue, 24 Nov 2026 07:15:30 GMT")
    proxy.faults.append(Fault("GET", act))
    with KubeClient(proxy.kubeconfig) as client:
        client.list_all(NODES)
        assert client.now().strftime("%Y-%m-%d %H:%M") == "2026-11-24 07:15"


SURVIVED = {
    "create answers 500, but did create": Fault("POST /jobs", does_it_but(answers(500))),
    "create breaks off, but did create": Fault("POST /jobs", does_it_but(resets)),
    "create is silent, but did create": Fault("POST /jobs", does_it_but(hangs)),
    "create is told to wait": Fault("POST /jobs", answers(429, Retry_After="0"), times=5),
    "API server is away when the Job is to be created": Fault("POST /jobs", resets, times=5),
    "pod watch begins with 504": Fault(
        "WATCH /pods", answers(504, status(504, "Too large resource version"))
    ),
    "each watch is too far ahead": Fault("WATCH", answers(200, TOO_LARGE), ALWAYS),
    "pod watch begins with 410": Fault("WATCH /pods", answers(200, error_event(410, "too old"))),
    "pod watch ends at once": Fault("WATCH /pods", answers(200)),
    "pod watch says nothing": Fault("WATCH /pods", hangs, ALWAYS),
    "no watch says anything": Fault("WATCH", hangs, ALWAYS),
    "job watch is reset twice": Fault(JOB_WATCH, resets, times=2),
    "job watch ends within a line": Fault(JOB_WATCH, cuts(300)),
    "job watch breaks within a line": Fault(JOB_WATCH, breaks(300)),
    "job watch answers HTML": Fault(JOB_WATCH, answers(200, HTML)),
    "job watch answers JSON of its own": Fault(
        JOB_WATCH, answers(200, {"type": "ERROR", "object": "bad gateway"})
    ),
    "pod watch answers JSON of its own": Fault("WATCH /pods", answers(200, {"type": "ADDED", "object": [1]})),
    "job watch is forbidden for a moment": Fault(JOB_WATCH, answers(403)),
    "events are forbidden": Fault("/events", answers(403), ALWAYS),
    "leases are forbidden": Fault("/leases", answers(403), ALWAYS),
}


@pytest.mark.fault(
    "403: logs, events or node Leases may not be read", row=["events are forbidden", "leases are forbidden"]
)
@pytest.mark.fault("API answers 429 five times, with Retry-After", row="create is told to wait")
@pytest.mark.fault(
    "POST answered by a reset, the Job was made",
    "survived",
    kept="all",
    row="create breaks off, but did create",
)
@pytest.mark.fault(
    "POST answered by 500, the Job was made", "survived", kept="all", row="create answers 500, but did create"
)
@pytest.mark.fault("HTML instead of JSON, twice", row="job watch answers HTML")
@pytest.mark.fault("broken JSON", row="job watch answers JSON of its own")
@pytest.mark.fault("watch: 410", "survived", kept="all", row="pod watch begins with 410")
@pytest.mark.fault(
    "watch: resource version too large", "survived", kept="all", row="each watch is too far ahead"
)
@pytest.mark.fault("watch: resource version too large", row="pod watch begins with 504")
@pytest.mark.fault("watch: silent", "survived", kept="all", row="pod watch says nothing")
@pytest.mark.fault("watch: silent", row="no watch says anything")
@pytest.mark.fault(
    "watch: ended at once, cut within a line", "survived", kept="all", row="pod watch ends at once"
)
@pytest.mark.fault("watch: ended at once, cut within a line", row="job watch ends within a line")
@pytest.mark.parametrize("fault", SURVIVED.values(), ids=SURVIVED)
@pytest.mark.usefixtures("brief")
def test_trial_survives(fault: Fault, proxy: FaultProxy, place: Place) -> None:
    proxy.faults.append(fault)
    done = run(proxy.kubeconfig, place)
    assert (done.trial.outcome, done.said) == ("ok", "")
    assert done.reports == [0, 1, 2]
    assert fault in proxy.injected
    if fault.times != ALWAYS:
        assert len(proxy.injected) == fault.times


LAST_LISTS = {
    "answers 503 once": Fault("GET /pods?", answers(503)),
    "is away for a while": Fault("GET /pods?", resets, times=9),
    "answers HTML once": Fault("GET /pods?", answers(200, HTML)),
    "is silent once": Fault("GET /pods?", hangs),
}


@pytest.mark.parametrize("fault", LAST_LISTS.values(), ids=LAST_LISTS)
@pytest.mark.usefixtures("brief")
def test_pods_that_no_watch_told_of_are_listed_whatever_it_takes(
    fault: Fault, proxy: FaultProxy, place: Place
) -> None:
    proxy.faults += [Fault("WATCH /pods", hangs, ALWAYS), fault]
    done = run(proxy.kubeconfig, place)
    assert done.said == ""
    assert done.reports == [0, 1, 2]
    assert proxy.injected.count(fault) == fault.times


@pytest.mark.fault("API away for 60 s")
def test_an_outage_is_told_and_kept_in_the_trial(proxy: FaultProxy, place: Place) -> None:
    proxy.faults.append(Fault("POST /jobs", resets, times=9))
    done = run(proxy.kubeconfig, place)
    assert done.said == ""
    away, back = done.lines
    assert away.startswith("API server http://127.0.0.1:") and away.endswith("is away; waiting for it")
    assert "answers again after" in back
    (outage,) = done.trial.outages
    assert outage.what.startswith("API server http://127.0.0.1:")
    assert 0 < outage.lasted_seconds < (done.trial.wall_seconds or 0)


PASSING_LOG_FAULTS = {
    "503": answers(503),
    "429": answers(429, Retry_After="0"),
}


@pytest.mark.parametrize("act", PASSING_LOG_FAULTS.values(), ids=PASSING_LOG_FAULTS)
def test_logs_under_a_passing_fault_are_whole(act: Action, proxy: FaultProxy, place: Place) -> None:
    fault = Fault("GET /log", act)
    proxy.faults.append(fault)
    done = run(proxy.kubeconfig, place, round=0)
    assert ["PI-WORKER-END" in log for log in done.logs] == [True] * 3
    assert proxy.injected == [fault]


BAD_LOGS = {
    "cut within a line": (cuts(20), "Estimated Pi: "),
    "broken within a line": (breaks(20), "(no log: API server http://127.0.0.1:"),
    "500": (answers(500, status(500, "no kubelet")), "(no log: API server http://127.0.0.1:"),
    "silence": (hangs, "(no log: API server http://127.0.0.1:"),
}


@pytest.mark.fault(
    "log gone: the kubelet has none", "survived", kept="all but that log, which says why", row="500"
)
@pytest.mark.parametrize(("act", "words"), BAD_LOGS.values(), ids=BAD_LOGS)
@pytest.mark.usefixtures("brief")
def test_log_that_cannot_be_had_costs_no_report(
    act: Action, words: str, proxy: FaultProxy, place: Place
) -> None:
    plan = new_plan(place)
    proxy.faults.append(Fault(f"GET {job_name(plan, slot_of(plan, 0), 1)}-1- /log", act, ALWAYS))
    done = run(proxy.kubeconfig, place, plan, round=0)
    assert done.said == ""
    assert done.reports == [0, 1, 2]
    assert done.logs[1].startswith(words)
    assert "PI-WORKER-END" not in done.logs[1]
    assert all("PI-WORKER-END" in log for log in (done.logs[0], done.logs[2]))
    assert proxy.injected


WITHOUT_MESSAGES = JOB.replace("args: {{ arguments | tojson }}", "args: {{ arguments[:-4] | tojson }}")


def test_without_a_termination_message_the_report_is_read_from_the_log(
    kubeconfig: Path, place: Place
) -> None:
    done = run(kubeconfig, place, template=WITHOUT_MESSAGES)
    assert done.said == ""
    assert done.reports == [0, 1, 2]


@pytest.mark.fault(
    "log cut within a line",
    "pod 2 on pi-3: its output is cut off, the end mark PI-WORKER-END is missing "
    "[PS-541]. Next: read its log",
    kept="trials, and the other pods' results",
)
def test_log_cut_within_a_line_is_never_taken_for_a_whole_report(proxy: FaultProxy, place: Place) -> None:
    plan = new_plan(place)
    proxy.faults.append(Fault(f"GET {job_name(plan, slot_of(plan), 1)}-1- /log", cuts(300)))
    done = run(proxy.kubeconfig, place, plan, template=WITHOUT_MESSAGES)
    assert done.said.startswith("pod 1 on pi-")
    assert "cut off" in done.said
    assert done.reports == [0, 2]


@pytest.mark.fault(
    "API away until the deadline",
    "API server https://127.0.0.1:6443: cannot be reached: the connection broke (…) "
    "[PS-401]. Next: on the K3s server, systemctl status k3s; here, check the server "
    "address in …",
    kept="trials",
)
def test_deadline_while_the_api_server_is_away_says_so(
    proxy: FaultProxy, direct: KubeClient, place: Place
) -> None:
    uid = owner_uid(direct, place)
    proxy.faults += [Fault("WATCH", resets, ALWAYS), Fault("GET", resets, ALWAYS)]
    done = run(proxy.kubeconfig, place, new_plan(place, timeout_seconds=3), uid=uid)
    assert done.said.startswith("API server http://127.0.0.1")
    assert "cannot be reached" in done.said
    assert done.trial.passes_by_itself
    assert len([line for line in done.lines if "waiting for it" in line]) == 1


@pytest.mark.fault(
    "403: a right is withdrawn while a trial runs",
    'API server https://127.0.0.1:6443: forbids GET …/jobs (403): User "me" cannot list '
    'resource "jobs" … [PS-407]. Next: as administrator, ansible-playbook rbac.yml …',
    kept="trials",
)
def test_right_that_is_withdrawn_during_the_trial_ends_it(
    proxy: FaultProxy, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow_module, "REFUSED_SECONDS", 0.5)
    said = 'User "me" cannot list resource "jobs" in API group "batch"'
    act = answers(403, status(403, f"jobs.batch is forbidden: {said}"))
    proxy.faults += [Fault(JOB_WATCH, act, ALWAYS), Fault("GET /jobs?", act, ALWAYS)]
    done = run(proxy.kubeconfig, place, program=misbehaving(1, "import time\ntime.sleep(60)"))
    assert "forbids" in done.said and f"{said} [PS-407]. Next: as administrator" in done.said
    assert not done.trial.passes_by_itself
