"""Run one Job from an empty place to results on disk."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pi_kube.client import Json, KubeClient
from pi_kube.collect import event_rows, fetch_logs, last_line, pod_files
from pi_kube.errors import KubeError
from pi_kube.follow import OUTAGE_SECONDS, follow
from pi_kube.ours import Place, find_worker, is_owned, our_jobs, remove
from pi_kube.tracker import Ending, Tracker
from pi_speedup.job_progress import job_verdict, placement_problems, pod_state
from pi_speedup.run_files import write_files

RUN_ID_LABEL = "pi-speedup/run-id"
# Kubernetes ends the Job, and takes its pods' logs, only after our own deadline and collection.
DEADLINE_MARGIN_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: the Job's manifest, the Pis that shall run one pod each, seconds until it must be over."""

    place: Place
    manifest: Json
    node_names: Sequence[str]
    timeout_seconds: int
    run_dir: Path

    @property
    def run_id(self) -> str:
        """Return the run's id, which the Job's label carries."""
        return str(self.manifest["metadata"]["labels"][RUN_ID_LABEL])


def run_job(client: KubeClient, plan: Plan, report: Callable[[str], None]) -> Ending:
    """Remove our earlier Jobs, run this one to its end, put results, logs and evidence into the run folder.

    `report` gets one line per change. A Job that fails is an Ending, not an error. KubeError if the API
    server refuses or stays away, OSError if the run folder can't be written.
    """
    worker = find_worker(client, plan.place)
    if worker is None:
        raise KubeError(
            f"ConfigMap {plan.place.worker} is gone from namespace {plan.place.namespace}. Next: run again"
        )
    worker_uid = worker["metadata"]["uid"]
    earlier, version = our_jobs(client, plan.place, worker_uid)
    if earlier:
        report(f"removing {len(earlier)} earlier Jobs of ours and their pods")
        remove(client, plan.place.jobs, earlier, version)

    started = time.monotonic()
    job = _create(client, plan, worker_uid)
    tracker = Tracker(job, len(plan.node_names))
    report(f"Job {job['metadata']['name']} created: {len(plan.node_names)} pods, one on each Pi")
    selector = f"{RUN_ID_LABEL}={plan.run_id}"
    try:
        deadline = started + plan.timeout_seconds
        ending = follow(client, plan.place, tracker, selector, deadline, report)
    except KubeError as error:
        why, _, next_step = str(error).partition(". Next: ")
        ending = Ending("failed", "ApiServerLost", f"lost sight of the Job: {why}", next_step)
    wall_seconds = time.monotonic() - started
    ending = ending or tracker.out_of_time(plan.timeout_seconds)
    return _conclude(client, plan, tracker, ending, wall_seconds, report)


def _create(client: KubeClient, plan: Plan, worker_uid: str) -> Json:
    """Create the Job, owned by the ConfigMap; a retried request may find it there already."""
    manifest = copy.deepcopy(plan.manifest)
    manifest["metadata"]["ownerReferences"] = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": plan.place.worker,
            "uid": worker_uid,
            "blockOwnerDeletion": True,
        }
    ]
    manifest["spec"]["activeDeadlineSeconds"] = plan.timeout_seconds + DEADLINE_MARGIN_SECONDS
    name = manifest["metadata"]["name"]
    try:
        return client.create(plan.place.jobs, manifest)
    except KubeError as error:
        if error.status != 409:
            raise
    found = client.get(f"{plan.place.jobs}/{name}")
    if not is_owned(found, worker_uid):
        raise KubeError(
            f"a Job {name} that is not ours is in namespace {plan.place.namespace}. "
            "Next: choose another run id or namespace"
        )
    return found


def _conclude(
    client: KubeClient,
    plan: Plan,
    tracker: Tracker,
    ending: Ending,
    wall_seconds: float,
    report: Callable[[str], None],
) -> Ending:
    """Write all that is known, whatever of it can be had; return the final ending."""
    # A failed run is told of soon. A complete one is worth the same wait as while it ran.
    patience_seconds = OUTAGE_SECONDS if ending.outcome == "complete" else 0
    try:
        pods = _last_look(client, plan, time.monotonic() + patience_seconds)
    except KubeError as error:
        # The watch has told of most pods, perhaps of all.
        report(f"the pods' last states are missing: {error}")
        pods = []
    for pod in pods:
        line = tracker.see_pod(pod)
        if line:
            report(line)
    if ending.outcome == "failed":
        _see_late_events(client, plan, tracker, report)
    logs = fetch_logs(client, plan.place, tracker.pods)
    files, problems = pod_files(tracker.pods, logs)
    # First of all: whatever happens next, what was measured is on disk.
    write_files(plan.run_dir, {**files, "events.json": event_rows(tracker.warnings)})
    if ending.outcome == "failed":
        if ending.reason == "FailedIndexes":
            # By now the failed pods are known, which may not have been so when the Job's verdict came.
            ending = tracker.ending(time.monotonic()) or ending
        ending = _with_log(plan, ending, logs)
    else:
        states = [pod_state(pod) for pod in tracker.pods]
        ending = _verified(ending, [*problems, *placement_problems(states, plan.node_names)])
    record = {
        "schema_version": 1,
        "name": tracker.job["metadata"]["name"],
        "namespace": plan.place.namespace,
        "uid": tracker.uid,
        "outcome": ending.outcome,
        "reason": ending.reason,
        "message": ending.message,
        "wall_seconds": wall_seconds,
        "pods_expected": tracker.expected,
    }
    write_files(plan.run_dir, {"job.json": record})
    if ending.outcome == "failed":
        _stop(client, plan, tracker, report)
    return ending


def _last_look(client: KubeClient, plan: Plan, deadline: float) -> list[Json]:
    """Return the run's pods; a failure is tried again until `deadline` (seconds of time.monotonic)."""
    while True:
        try:
            return client.list_all(plan.place.pods, {"labelSelector": f"{RUN_ID_LABEL}={plan.run_id}"})[0]
        except KubeError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(1)


def _see_late_events(client: KubeClient, plan: Plan, tracker: Tracker, report: Callable[[str], None]) -> None:
    """Ask for the warnings once more: a state that ends the run at once is often seen before its event."""
    try:
        events, _ = client.list_all(f"{plan.place.namespace_path}/events", {"fieldSelector": "type=Warning"})
    except KubeError as error:
        report(f"the latest events are missing: {error}")
        return
    for event in events:
        tracker.see_event(event)


def _with_log(plan: Plan, ending: Ending, logs: dict[str, str]) -> Ending:
    """Add the failed pod's last words and where the rest of its log is."""
    log = logs.get(ending.pod_name or "", "")
    if not log or log.startswith("(no log"):
        return ending
    said = last_line(log)
    return replace(
        ending,
        message=f'{ending.message}; its last log line: "{said}"' if said else ending.message,
        next_step=f"{ending.next_step} (whole log: {plan.run_dir / 'logs' / f'{ending.pod_name}.log'})",
    )


def _verified(ending: Ending, problems: list[str]) -> Ending:
    if not problems:
        return ending
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Ending(
        "failed",
        "NotOneResultPerPi",
        f"the Job completed, but {problems[0]}{more}",
        "look at the logs, run again",
    )


def _stop(client: KubeClient, plan: Plan, tracker: Tracker, report: Callable[[str], None]) -> None:
    """Suspend a Job that is given up but still alive: its pods end, it stays there to be looked at."""
    path = f"{plan.place.jobs}/{tracker.job['metadata']['name']}"
    try:
        job = client.find(path)
        if job and job_verdict(job) is None:
            client.patch(path, {"metadata": {"uid": tracker.uid}, "spec": {"suspend": True}})
    except KubeError as error:
        report(f"the Job could not be stopped: {error}")
