"""A real Job from its creation to a trial: endings good and bad, and what is asked of the cluster."""

from __future__ import annotations

import json
import math
import re
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from pi_speedup.kube.access.client import Json, KubeClient
from pi_speedup.kube.follow import follow as follow_module
from pi_speedup.kube.follow.manifest import job_name
from pi_speedup.kube.owned.owned import OWNER_NAME, Place, is_owned, owner_uid
from pi_speedup.problem import Interrupted, ProblemError
from pi_speedup.workload.pi import Pi
from tests.lab.fault_proxy import ALWAYS, Fault, FaultProxy, hangs
from tests.lab.lab import Lab
from tests.lab.runs import LABELS, driver, make_place, misbehaving, new_name, new_plan, run
from tests.manifests import JOB, PIS, make_plan, slot_of
from tests.virtual import await_that

FOR_A_WHILE = "import time\ntime.sleep(60)"


def job_path(place: Place, name: str) -> str:
    return f"{place.jobs}/{name}"


def pods_of(client: KubeClient, place: Place, run_id: str) -> list[Json]:
    return client.list_all(place.pods, {"labelSelector": f"pi-speedup/run-id={run_id}"})[0]


def any_runs(client: KubeClient, place: Place, run_id: str) -> bool:
    return any(pod["status"]["phase"] == "Running" for pod in pods_of(client, place, run_id))


def test_a_good_trial_has_a_whole_report_of_each_pi(kubeconfig: Path, place: Place) -> None:
    done = run(kubeconfig, place)
    assert (done.trial.outcome, done.said) == ("ok", "")
    assert done.reports == [0, 1, 2]
    assert sorted(worker.pi for worker in done.trial.workers) == list(PIS)
    assert {worker.cpu_limit_cores for worker in done.trial.workers} == {0.5}
    assert not done.trial.events and not done.trial.outages
    assert done.lines == []
    wall = done.trial.wall_seconds
    assert wall is not None and done.trial.spent_seconds >= wall
    for worker in done.trial.workers:
        seen = worker.milestones
        assert seen.pulled is None
        assert seen.created is not None and seen.scheduled is not None and seen.finished is not None
        assert 0 < seen.created <= seen.scheduled <= (seen.started or seen.finished) <= seen.finished <= wall


def test_several_processes_each_have_a_stream(kubeconfig: Path, place: Place) -> None:
    done = run(kubeconfig, place, new_plan(place, processes=2, cpu_limit_cores=0.2))
    assert done.said == ""
    streams = [
        stream
        for worker in done.trial.workers
        if worker.report
        for stream in Pi().own(worker.report, worker.pi).streams
    ]
    assert sorted(streams) == [
        f"r001-00-together-3.1.{pod}.{number}" for pod in range(3) for number in range(2)
    ]
    assert {worker.cpu_limit_cores for worker in done.trial.workers} == {0.4}


def test_logs_are_fetched_in_the_warm_up_round_only(kubeconfig: Path, place: Place) -> None:
    assert ["PI-WORKER-END" in log for log in run(kubeconfig, place, round=0).logs] == [True] * 3
    assert run(kubeconfig, place, round=1).logs == []


def test_each_trial_finds_nothing_of_the_one_before_and_the_last_job_stays(
    kubeconfig: Path, direct: KubeClient, place: Place
) -> None:
    plan = new_plan(place)
    with KubeClient(kubeconfig) as client:
        drives = driver(client, place, plan)
        for round in range(3):
            assert drives.run(slot_of(plan, round), 1).trial.problem is None
            name = job_name(plan, slot_of(plan, round), 1)
            assert {pod["metadata"]["labels"]["job-name"] for pod in pods_of(direct, place, plan.run_id)} == {
                name
            }
    there = direct.get(job_path(place, name))
    assert is_owned(there, direct.get(place.owner_path)["metadata"]["uid"])


def audited(lab: Lab, since: str) -> list[str]:
    """Return our client's requests by the API server's own account, from such a moment on."""
    with (lab.folder / "audit.log").open("rb") as log:
        entries = [json.loads(line) for line in log if line.endswith(b"\n")]
    return [
        f"{entry['verb']} {entry['requestURI']}"
        for entry in entries
        if entry.get("userAgent") == "pi-speedup" and entry["requestReceivedTimestamp"] >= since
    ]


def test_a_trial_in_the_middle_of_a_run_costs_few_requests(lab: Lab, kubeconfig: Path, place: Place) -> None:
    plan = new_plan(place)
    with KubeClient(kubeconfig) as client:
        drives = driver(client, place, plan)
        drives.run(slot_of(plan, 0), 1)
        since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert drives.run(slot_of(plan, 1), 1).trial.problem is None
    # A watch is written down when it ends, which for those of the trial before may be only now.
    await_that(lambda: sum("watch" in each for each in audited(lab, since)) >= 4, "the watches have ended")
    requests = audited(lab, since)
    assert 0 < len(requests) <= 8 + math.ceil(len(PIS) / 500), requests


@pytest.mark.fault(
    "exit 1 in one of three pods",
    'pod 1 on pi-2: exit code 1, Error; its last log line: "last [2J" [PS-521]. Next: '
    "read the pod's log (whole log: logs/r001-00-together-3/….log)",
    kept="trials, and the other pods' results",
)
def test_failed_pod_is_named_with_its_last_words_and_the_others_reports_stay(
    kubeconfig: Path, place: Place
) -> None:
    done = run(kubeconfig, place, program=misbehaving(1, r"print('first\nlast\x1b[2J'); raise SystemExit(1)"))
    assert done.trial.outcome == "failed"
    assert not done.trial.passes_by_itself
    assert done.trial.wall_seconds is None
    assert done.said.startswith("pod 1 on pi-")
    assert (
        'exit code 1, Error; its last log line: "last [2J" [PS-521]. Next: read the pod\'s log' in done.said
    )
    name = next(worker.name for worker in done.trial.workers if "-1-" in worker.name)
    assert f"(whole log: logs/r001-00-together-3/{name}.log)" in done.said
    assert done.logs[1] == "first\nlast\x1b[2J\n"
    assert done.reports == [0, 2]


@pytest.mark.fault(
    "exit 1 in all pods",
    'pod 0 on pi-1: exit code 1, Error (and 2 more); its last log line: "no such file" '
    "[PS-521]. Next: read the pod's log (whole log: logs/….log)",
    kept="trials",
)
def test_of_pods_that_all_fail_one_is_named_with_how_many_more(kubeconfig: Path, place: Place) -> None:
    done = run(kubeconfig, place, program="raise SystemExit('no such file')")
    assert re.match(
        r'pod \d on pi-\d: exit code 1, Error( \(and [12] more\))?; its last log line: "no such file"',
        done.said,
    )
    assert (done.reports, len(done.logs)) == ([], 3)


@pytest.mark.fault(
    "Pod Security",
    '3 of 3 pods: FailedCreate: violates PodSecurity "restricted:latest": unrestricted '
    'capabilities (container "pi-calculator" must set '
    'securityContext.capabilities.drop=["ALL"]) [PS-413]. Next: use a namespace whose '
    "rules admit this pod (benchmark_namespace), or change the rule",
    kept="trials",
)
def test_hopeless_job_is_suspended_and_its_events_are_kept(
    kubeconfig: Path, direct: KubeClient, place: Place
) -> None:
    plan = new_plan(place)
    template = JOB.replace("restartPolicy: Never", "restartPolicy: Never\n      hostNetwork: true")
    done = run(kubeconfig, place, plan, template=template)
    assert "FailedCreate: " in done.said and "violates PodSecurity" in done.said
    assert direct.get(job_path(place, job_name(plan, slot_of(plan), 1)))["spec"]["suspend"] is True
    assert {event.reason for event in done.trial.events} == {"FailedCreate"}


def test_an_image_that_cannot_be_had_is_named_with_its_event(kubeconfig: Path, place: Place) -> None:
    done = run(kubeconfig, place, new_plan(place, image="no.such/image:1"))
    assert "pod 0 on pi-" in done.said and "Next: check benchmark_image" in done.said
    assert done.trial.events
    assert all(log.startswith("(no log: the container never started, the pod is ") for log in done.logs)


def test_complete_job_whose_pi_ran_twice_is_a_failure(kubeconfig: Path, place: Place) -> None:
    template = JOB.replace("{{ pis | list | tojson }}", '["pi-1"]').replace(
        "pi-speedup/trial: {{", "pi-speedup/none: {{"
    )
    plan = new_plan(place, pis=("pi-1", "pi-2"), cpu_limit_cores=0.2)
    done = run(kubeconfig, place, plan, template=template)
    assert "completed, but pi-1 ran 2 pods instead of 1 (and 1 more) [PS-535]. Next: " in done.said
    assert len(done.logs) == 2


NONSENSE = {
    "not whole": """open("/dev/termination-log", "w").write('{"schema_version": 1')""",
    "not text": """open("/dev/termination-log", "wb").write(bytes(range(128, 256)))""",
    "endless": """open("/dev/termination-log", "w").write('{"schema_version": ' + "1" * 4000 + "}")""",
    "nothing at all": "pass",
}


@pytest.mark.fault(
    "result that is not UTF-8",
    "pod 1 on pi-2: not JSON (Expecting value: line 1 column 1 (char 0)) [PS-541]. Next: "
    "ansible-playbook … -e benchmark_run_id=…",
    kept="trials, and the other pods' results",
    row="not text",
)
@pytest.mark.parametrize("code", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_of_one_pod_fails_the_trial_and_keeps_the_others_reports(
    code: str, kubeconfig: Path, place: Place
) -> None:
    done = run(kubeconfig, place, program=misbehaving(1, code))
    assert done.trial.outcome == "failed"
    assert done.said.startswith("pod 1 on pi-")
    assert done.said.isprintable()
    assert done.reports == [0, 2]
    assert len(done.logs) == 3


@pytest.mark.fault("log of 50 MB")
def test_a_log_without_end_is_bounded(kubeconfig: Path, place: Place) -> None:
    code = "for _ in range(1000): print('x' * 1000)\nraise SystemExit(1)"
    done = run(kubeconfig, place, program=misbehaving(1, code))
    assert [len(log) for log in done.logs][1] == 262_144


@pytest.mark.fault("deadline: pods that do not end")
def test_what_takes_too_long_is_ended(kubeconfig: Path, direct: KubeClient, place: Place) -> None:
    plan = new_plan(place, timeout_seconds=2)
    done = run(kubeconfig, place, plan, program=misbehaving(1, FOR_A_WHILE))
    assert "not finished after 2 s: pod 1 on pi-" in done.said
    assert "raise benchmark_timeout_seconds" in done.said
    assert done.reports == [0, 2]
    await_that(
        lambda: {pod["status"]["phase"] for pod in pods_of(direct, place, plan.run_id)} == {"Succeeded"},
        "the pod that took too long is gone",
    )


@pytest.mark.fault(
    "Job suspended by another",
    "Job pi-speedup-r1: suspended by someone else while it ran [PS-534]. Next: see who "
    "did (kubectl -n ns get job pi-speedup-r1 -o yaml --show-managed-fields), then run "
    "again",
    kept="trials",
)
def test_a_job_that_another_suspends_is_named(kubeconfig: Path, direct: KubeClient, place: Place) -> None:
    plan = new_plan(place)
    path = job_path(place, job_name(plan, slot_of(plan), 1))

    def suspend_when_it_runs() -> None:
        with KubeClient(kubeconfig) as client:
            await_that(lambda: any_runs(client, place, plan.run_id), "a pod runs")
            client.patch(path, {"spec": {"suspend": True}})

    thread = threading.Thread(target=suspend_when_it_runs)
    thread.start()
    done = run(kubeconfig, place, plan, program=misbehaving(1, FOR_A_WHILE))
    thread.join()
    assert re.match(
        r"Job \S+: suspended by someone else while it ran \[PS-534\]\. Next: see who did", done.said
    )
    await_that(lambda: not any_runs(direct, place, plan.run_id), "its pods are gone")


def test_a_second_attempt_after_a_failure_goes_well(
    kubeconfig: Path, direct: KubeClient, place: Place
) -> None:
    plan = new_plan(place, timeout_seconds=2)
    with KubeClient(kubeconfig) as client:
        uid = owner_uid(client, place)
        first = driver(client, place, plan, program=misbehaving(1, FOR_A_WHILE), uid=uid)
        assert first.run(slot_of(plan), 1).trial.outcome == "failed"
        second = driver(client, place, new_plan(place, run_id=plan.run_id), uid=uid)
        second._left = first._left
        done = second.run(slot_of(plan), 2)
    assert done.trial.problem is None
    assert done.trial.name == "r001-00-together-3.attempt-2"
    assert len(pods_of(direct, place, plan.run_id)) == 3


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Let SIGUSR1 raise Interrupted, as Ctrl-C does in a run."""

    def interrupt(*_: object) -> NoReturn:
        raise Interrupted("a test")

    before = signal.signal(signal.SIGUSR1, interrupt)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("interrupts")
def test_an_interrupted_trial_leaves_neither_job_nor_pods(
    kubeconfig: Path, direct: KubeClient, place: Place
) -> None:
    plan = new_plan(place, samples=10**10)
    main = threading.get_ident()

    def interrupt_when_it_runs() -> None:
        with KubeClient(kubeconfig) as client:
            await_that(lambda: any_runs(client, place, plan.run_id), "a pod runs")
        signal.pthread_kill(main, signal.SIGUSR1)

    thread = threading.Thread(target=interrupt_when_it_runs)
    thread.start()
    with pytest.raises(Interrupted):
        run(kubeconfig, place, plan)
    thread.join()
    assert direct.find(job_path(place, job_name(plan, slot_of(plan), 1))) is None
    assert pods_of(direct, place, plan.run_id) == []


def suspended(place: Place, name: str, owner: Json | None) -> Json:
    """Return a Job with our label that no run made."""
    container = {"name": "x", "image": "python:3.9"}
    job: Json = {
        "metadata": {"name": name, "labels": dict(LABELS)},
        "spec": {
            "suspend": True,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }
    if owner:
        uid, owner_name = owner["metadata"]["uid"], owner["metadata"]["name"]
        job["metadata"]["ownerReferences"] = [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": owner_name, "uid": uid}
        ]
    return job


def test_earlier_job_of_ours_is_removed_and_its_look_alikes_are_not(
    proxy: FaultProxy, direct: KubeClient, place: Place
) -> None:
    other: Json = {"metadata": {"name": new_name("another-owner"), "labels": LABELS}}
    other = direct.create(place.configmaps, other)
    ours = direct.get(place.owner_path)
    earlier = direct.create(place.jobs, suspended(place, new_name("pi-speedup"), ours))
    look_alikes = [
        direct.create(place.jobs, suspended(place, new_name("pi-speedup"), owner)) for owner in (None, other)
    ]
    lines: list[str] = []
    with KubeClient(proxy.kubeconfig) as client:
        driver(client, place, tell=lines.append).prepare()
    assert any("that an earlier run left" in line for line in lines)
    paths = [job_path(place, job["metadata"]["name"]) for job in (earlier, *look_alikes)]
    assert direct.find(paths[0]) is None
    for path, job in zip(paths[1:], look_alikes, strict=True):
        assert direct.get(path)["metadata"]["uid"] == job["metadata"]["uid"]
        assert not proxy.asked(path)


@pytest.mark.parametrize(
    ("owner", "uid", "words"),
    [
        ("none", "any", "ConfigMap none: gone from namespace"),
        (OWNER_NAME, "another", "ConfigMap pi-speedup-owner: gone from namespace"),
        ("kube-root-ca.crt", "any", "ConfigMap kube-root-ca.crt in namespace"),
    ],
    ids=["owner gone", "owner made anew", "owner of others"],
)
def test_nothing_is_measured_without_the_owner(
    owner: str, uid: str, words: str, direct: KubeClient, place: Place
) -> None:
    with pytest.raises(ProblemError, match=words):
        driver(direct, Place(place.namespace, owner), new_plan(place), uid=uid).prepare()


@pytest.mark.fault(
    "Job of others with our name",
    "Job …: there is one in namespace … that is not ours [PS-412]. Next: choose another "
    "benchmark_run_id or benchmark_namespace",
    kept="trials; theirs is untouched",
)
def test_job_of_others_with_our_name_is_left_alone(
    proxy: FaultProxy, direct: KubeClient, place: Place
) -> None:
    plan = new_plan(place)
    name = job_name(plan, slot_of(plan), 1)
    before = direct.create(place.jobs, suspended(place, name, None))
    done = run(proxy.kubeconfig, place, plan)
    assert f"Job {name}: there is one in namespace {place.namespace} that is not ours" in done.said
    assert direct.get(job_path(place, name))["metadata"]["uid"] == before["metadata"]["uid"]
    assert not proxy.asked(f"DELETE {name}") + proxy.asked("PATCH")


REFUSED: dict[str, tuple[str, str, str]] = {
    "invalid Job": ("", JOB.replace("name: pi-calculator", "name: Not Valid"), "answered 422 to POST"),
    "user without rights": (".readonly", JOB, "forbids POST"),
    "token unknown": (".wrong-token", JOB, "does not accept the identity in"),
    "another's certificate": (".wrong-address", JOB, "a certificate that doesn't fit"),
}


@pytest.mark.parametrize(("identity", "template", "words"), REFUSED.values(), ids=REFUSED)
def test_trial_that_cannot_begin_is_one_line(
    identity: str, template: str, words: str, kubeconfig: Path, direct: KubeClient, place: Place
) -> None:
    uid = owner_uid(direct, place)
    done = run(Path(f"{kubeconfig}{identity}"), place, template=template, uid=uid)
    assert done.trial.outcome == "failed"
    assert words in done.said and ". Next: " in done.said
    assert done.said.isprintable()
    assert not done.trial.passes_by_itself
    assert done.trial.workers == ()


def quota(hard: Json) -> tuple[str, Json]:
    return "resourcequotas", {"hard": hard}


def limit_range(**limits: Json) -> tuple[str, Json]:
    return "limitranges", {"limits": [{"type": "Container", **limits}]}


# Rules of a namespace: what is told of a pod or Job that they forbid.
RULES: dict[str, tuple[tuple[str, Json], str]] = {
    "quota on Jobs": (
        quota({"count/jobs.batch": "0"}),
        r"API server .*: forbids POST .*/jobs \(403\): .*exceeded quota: .* \[PS-413\]\. Next: raise the",
    ),
    "quota on CPU": (
        quota({"limits.cpu": "1"}),
        r"1 of 3 pods: FailedCreate: exceeded quota: rule, requested: limits\.cpu=500m, used: limits\.cpu=1, "
        r"limited: limits\.cpu=1 \[PS-413\]\. Next: use a namespace whose rules admit this pod",
    ),
    "limit range, most CPU": (
        limit_range(max={"cpu": "100m"}),
        r"3 of 3 pods: FailedCreate: maximum cpu usage per Container is 100m, but limit is 500m"
        r" \[PS-413\]\. Next: ",
    ),
    "limit range, least memory": (
        limit_range(min={"memory": "4Gi"}),
        r"3 of 3 pods: FailedCreate: minimum memory usage per Container is 4Gi, but request is \d+Mi"
        r" \[PS-413\]\. ",
    ),
}


@pytest.mark.fault(
    "quota on CPU",
    "1 of 3 pods: FailedCreate: exceeded quota: rule, requested: limits.cpu=500m, used: "
    "limits.cpu=1, limited: limits.cpu=1 [PS-413]. Next: use a namespace whose rules "
    "admit this pod (benchmark_namespace), or change the rule",
    kept="trials",
    row="quota on CPU",
)
@pytest.mark.fault(
    "quota on Jobs",
    "API server https://127.0.0.1:6443: forbids POST …/jobs (403): exceeded quota: rule, "
    "requested: count/jobs.batch=1, used: count/jobs.batch=0, limited: count/jobs.batch=0"
    " [PS-413]. Next: raise the quota (kubectl describe quota -A), or choose another "
    "benchmark_namespace",
    kept="trials",
    row="quota on Jobs",
)
@pytest.mark.fault(
    "limit range: less CPU than is asked for",
    "3 of 3 pods: FailedCreate: maximum cpu usage per Container is 100m, but limit is "
    "500m [PS-413]. Next: use a namespace whose rules admit this pod "
    "(benchmark_namespace), or change the rule",
    kept="trials",
    row="limit range, most CPU",
)
@pytest.mark.fault(
    "limit range: more memory than is asked for",
    "3 of 3 pods: FailedCreate: minimum memory usage per Container is 4Gi, but request is"
    " 128Mi [PS-413]. Next: use a namespace whose rules admit this pod "
    "(benchmark_namespace), or change the rule",
    kept="trials",
    row="limit range, least memory",
)
@pytest.mark.parametrize(("rule", "line"), RULES.values(), ids=RULES)
def test_what_a_namespace_forbids_is_one_line(
    rule: tuple[str, Json], line: str, kubeconfig: Path, direct: KubeClient
) -> None:
    kind, spec = rule
    place = make_place(direct)
    path = f"{place.namespace_path}/{kind}"
    direct.create(path, {"metadata": {"name": "rule"}, "spec": spec})
    if kind == "resourcequotas":
        await_that(lambda: direct.get(f"{path}/rule")["status"].get("used"), "the quota is counted")
    done = run(kubeconfig, place)
    assert re.match(line, done.said), done.said
    assert done.trial.outcome == "failed" and not done.trial.passes_by_itself
    there = direct.get(place.namespace_path)
    direct.delete(place.namespace_path, there["metadata"]["uid"], "Background")


def test_pods_are_counted_that_no_watch_has_told_of_yet(proxy: FaultProxy, direct: KubeClient) -> None:
    place = make_place(direct)
    path = f"{place.namespace_path}/resourcequotas"
    direct.create(path, {"metadata": {"name": "rule"}, "spec": {"hard": {"limits.cpu": "1"}}})
    await_that(lambda: direct.get(f"{path}/rule")["status"].get("used"), "the quota is counted")
    proxy.faults.append(Fault("WATCH /pods", hangs, times=ALWAYS))
    assert run(proxy.kubeconfig, place).said.startswith("1 of 3 pods: FailedCreate: exceeded quota")


@pytest.mark.fault(
    "node that flaps for 20 s",
    "pi-2 stopped answering at 12:03:20; waiting for it",
    kept="all; the outage is in the trial",
    exit_code=0,
)
def test_a_pi_that_stops_answering_for_a_while_is_told_and_the_trial_goes_on(
    lab: Lab, kubeconfig: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One renewal missed, of 10 s; the real time allows two.
    monkeypatch.setattr(follow_module, "SILENT_SECONDS", 13.0)
    lines: list[str] = []
    plan = make_plan(
        run_id=new_name("run"), namespace=place.namespace, timeout_seconds=120, pis=("pi-1", "pi-2")
    )
    back = threading.Event()

    def tell(line: str) -> None:
        lines.append(line)
        if "stopped answering" in line:
            lab.kubectl("annotate", "node", "pi-2", "virtual-pi/fault-", "--overwrite")
            back.set()

    lab.kubectl("annotate", "node", "pi-2", "virtual-pi/fault=lost")
    program = misbehaving(0, "import time\ntime.sleep(1)")
    try:
        with KubeClient(kubeconfig) as client:
            done = driver(client, place, plan, tell, program=program).run(slot_of(plan), 1)
    finally:
        if not back.is_set():
            lab.kubectl("annotate", "node", "pi-2", "virtual-pi/fault-")
    assert any(line.startswith("pi-2 stopped answering at ") for line in lines), lines
    assert [outage.what.partition(" at ")[0] for outage in done.trial.outages] == ["pi-2 (stopped answering"]
