"""A real Job from its creation to files on disk: endings good and bad, and what is asked of the cluster."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pi_kube.client import Json, KubeClient
from pi_kube.errors import KubeError
from pi_kube.ours import Place, is_owned
from tests.lab.fault_proxy import FaultProxy
from tests.lab.lab import Lab
from tests.lab.runs import LABELS, NODE_NAMES, container, manifest, misbehaving, new_name, run


@pytest.fixture
def kubeconfig(lab: Lab) -> Path:
    return lab.folder / "kubeconfig"


def test_success_leaves_results_logs_and_job(
    kubeconfig: Path, direct: KubeClient, place: Place, tmp_path: Path
) -> None:
    job = manifest(place)
    done = run(kubeconfig, place, tmp_path, job, timeout_seconds=100)
    assert done.ending.outcome == "complete"
    there = direct.get(f"{place.jobs}/{job['metadata']['name']}")
    record = done.json("job.json")
    assert record.pop("wall_seconds") > 0
    assert record == {
        "schema_version": 1,
        "name": job["metadata"]["name"],
        "namespace": place.namespace,
        "uid": there["metadata"]["uid"],
        "outcome": "complete",
        "reason": "CompletionsReached",
        "message": "Reached expected number of succeeded pods",
        "pods_expected": 3,
    }
    results = [done.json(f"results/pod-{index}.json") for index in range(3)]
    assert sorted(result["host"] for result in results) == list(NODE_NAMES)
    assert {result["cpu_limit_cores"] for result in results} == {0.5}
    assert done.json("events.json") == []
    assert any(line.endswith("succeeded (3 of 3)") for line in done.lines)
    files = [path for path in done.folder.rglob("*") if path.is_file()]
    assert len(files) == 8
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    # The next Job's removal finds it by its owner; Kubernetes ends it only after our own deadline.
    assert is_owned(there, direct.get(place.worker_path)["metadata"]["uid"])
    assert there["spec"]["activeDeadlineSeconds"] == 160


def test_failed_pod_is_named_with_its_last_words_and_the_others_results_stay(
    proxy: FaultProxy, place: Place, tmp_path: Path
) -> None:
    job = misbehaving(place, 1, r"print('first\nlast\x1b[2J'); sys.exit(1)")
    done = run(proxy.kubeconfig, place, tmp_path, job)
    assert done.ending.outcome == "failed"
    assert done.ending.message.startswith("pod 1 on pi-")
    assert done.ending.message.endswith('exit code 1, Error; its last log line: "last [2J"')
    assert done.logs[1] == "first\nlast\x1b[2J\n"
    assert str(next(done.folder.glob("logs/*-1-*.log"))) in done.ending.next_step
    assert done.results == ["pod-0.json", "pod-2.json"]
    assert not proxy.asked("PATCH")


def test_hopeless_job_is_suspended_and_its_evidence_on_disk(
    kubeconfig: Path, direct: KubeClient, place: Place, tmp_path: Path
) -> None:
    job = manifest(place)
    job["spec"]["template"]["spec"]["hostNetwork"] = True
    done = run(kubeconfig, place, tmp_path, job)
    assert done.ending.reason == "FailedCreate"
    assert "violates PodSecurity" in done.ending.message
    assert direct.get(f"{place.jobs}/{job['metadata']['name']}")["spec"]["suspend"] is True
    assert done.json("events.json")[0]["reason"] == "FailedCreate"
    assert done.json("job.json")["outcome"] == "failed"


def test_pod_that_never_started_has_a_line_for_a_log(kubeconfig: Path, place: Place, tmp_path: Path) -> None:
    done = run(kubeconfig, place, tmp_path, manifest(place, pi_job_image="no.such/image:1"))
    assert done.ending.outcome == "failed"
    assert all(log.startswith("(no log: the container never started, the pod is ") for log in done.logs)


def test_complete_job_whose_pi_ran_twice_is_a_failure(kubeconfig: Path, place: Place, tmp_path: Path) -> None:
    job = manifest(place, pi_job_node_names=["pi-1", "pi-2"], pi_job_cpu_limit="0.2")
    affinity = job["spec"]["template"]["spec"]["affinity"]
    del affinity["podAntiAffinity"]
    (term,) = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    term["matchExpressions"][0]["values"] = ["pi-1"]
    done = run(kubeconfig, place, tmp_path, job, node_names=("pi-1", "pi-2"))
    assert done.ending.outcome == "failed"
    assert done.ending.message.startswith("the Job completed, but pi-1 ran 2 pods instead of 1")
    assert done.json("job.json")["outcome"] == "failed"


def test_result_that_is_not_whole_is_a_failure(kubeconfig: Path, place: Place, tmp_path: Path) -> None:
    job = misbehaving(place, 1, """open("/dev/termination-log", "w").write('{"schema_version": 1')""")
    done = run(kubeconfig, place, tmp_path, job)
    assert "ended without a whole result" in done.ending.message
    assert done.results == ["pod-0.json", "pod-2.json"]


def suspended(place: Place, name: str, owner: Json | None) -> Json:
    """Return a Job with all our labels that no run made."""
    job = manifest(place)
    job["metadata"]["name"] = name
    job["spec"]["suspend"] = True
    if owner:
        uid, owner_name = owner["metadata"]["uid"], owner["metadata"]["name"]
        job["metadata"]["ownerReferences"] = [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": owner_name, "uid": uid}
        ]
    return job


def test_earlier_job_of_ours_is_removed_and_its_look_alikes_are_not(
    proxy: FaultProxy, direct: KubeClient, place: Place, tmp_path: Path
) -> None:
    other: Json = {"metadata": {"name": new_name("another-worker"), "labels": LABELS}}
    other = direct.create(f"{place.namespace_path}/configmaps", other)
    ours = direct.get(place.worker_path)
    earlier = direct.create(place.jobs, suspended(place, new_name("pi-speedup"), ours))
    look_alikes = [
        direct.create(place.jobs, suspended(place, new_name("pi-speedup"), owner)) for owner in (None, other)
    ]
    done = run(proxy.kubeconfig, place, tmp_path)
    assert done.ending.outcome == "complete"
    paths = [f"{place.jobs}/{job['metadata']['name']}" for job in (earlier, *look_alikes)]
    assert direct.find(paths[0]) is None
    for path, job in zip(paths[1:], look_alikes, strict=True):
        assert direct.get(path)["metadata"]["uid"] == job["metadata"]["uid"]
        assert not proxy.asked(path)


def test_job_of_others_with_our_name_is_left_alone(
    proxy: FaultProxy, direct: KubeClient, place: Place, tmp_path: Path
) -> None:
    job = manifest(place)
    name = job["metadata"]["name"]
    before = direct.create(place.jobs, suspended(place, name, None))
    with pytest.raises(KubeError, match=f"a Job {name} that is not ours"):
        run(proxy.kubeconfig, place, tmp_path, job)
    assert direct.get(f"{place.jobs}/{name}")["metadata"]["uid"] == before["metadata"]["uid"]
    assert not proxy.asked(f"DELETE {name}") + proxy.asked("PATCH")


def invalid(job: Json) -> None:
    container(job)["name"] = "Not Valid"


def nothing(_job: Json) -> None:
    pass


REFUSED: dict[str, tuple[str, str, Callable[[Json], None], str]] = {
    "ConfigMap gone": ("", "none", nothing, "ConfigMap none is gone from namespace "),
    "ConfigMap of others": ("", "kube-root-ca.crt", nothing, "kube-root-ca.crt in namespace faults"),
    "invalid Job": ("", "pi-speedup-worker", invalid, "answered 422 to POST"),
    "user without rights": (".readonly", "pi-speedup-worker", nothing, "forbids it to the identity in"),
    "token unknown": (".wrong-token", "pi-speedup-worker", nothing, "does not accept the identity in"),
    "another's certificate": (
        ".wrong-address",
        "pi-speedup-worker",
        nothing,
        "a certificate that doesn't fit",
    ),
}


@pytest.mark.parametrize(("identity", "worker", "change", "words"), REFUSED.values(), ids=REFUSED)
def test_run_that_cannot_begin_is_one_line(
    identity: str,
    worker: str,
    change: Callable[[Json], None],
    words: str,
    kubeconfig: Path,
    place: Place,
    tmp_path: Path,
) -> None:
    job = manifest(place)
    change(job)
    with pytest.raises(KubeError) as caught:
        run(Path(f"{kubeconfig}{identity}"), Place(place.namespace, worker), tmp_path, job)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert not (tmp_path / "run").exists()
