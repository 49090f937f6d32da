"""What a Job's pods left, as the files of a run: one result and one log each, the warnings as evidence."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from decimal import Decimal, InvalidOperation

from pi_kube.client import Json, KubeClient
from pi_kube.errors import KubeError
from pi_kube.ours import Place
from pi_speedup.job_progress import has_started, pod_state, termination_message
from pi_speedup.plain import one_line
from pi_speedup.worker_output import parse_worker_json, parse_worker_output

# A kubelet that is gone answers nothing at all: its log is not worth waiting for.
LOG_SECONDS = 5.0
LOG_BYTES = 262_144
LOGS_AT_ONCE = 8


def fetch_logs(client: KubeClient, place: Place, pods: Sequence[Json]) -> dict[str, str]:
    """Return each pod's log by pod name, one request each; where there is none, a line that says why."""

    def fetch(pod: Json) -> str:
        name = pod["metadata"]["name"]
        if not has_started(pod):
            return f"(no log: the container never started, the pod is {pod_state(pod).phase})\n"
        try:
            return client.text(f"{place.pods}/{name}/log", {"limitBytes": LOG_BYTES}, LOG_SECONDS)
        except KubeError as error:
            return f"(no log: {error})\n"

    with ThreadPoolExecutor(LOGS_AT_ONCE) as pool:
        return {pod["metadata"]["name"]: log for pod, log in zip(pods, pool.map(fetch, pods), strict=True)}


def last_line(log: str) -> str:
    """Return a log's last line that says something, made harmless for a terminal; empty if there is none."""
    lines = [line for line in log[-4096:].splitlines() if line.strip()]
    return one_line(lines[-1], 200) if lines else ""


def pod_record(pod: Json, log: str) -> Json:
    """Return a succeeded pod's result as it stands in results/pod-<index>.json.

    The worker's JSON comes from the termination message, or from the log if a runtime lost the message.
    ValueError (one line) if neither holds a whole result.
    """
    message = termination_message(pod)
    worker = parse_worker_json(message) if message else parse_worker_output(log)
    container = pod["spec"]["containers"][0]
    statuses = pod["status"].get("containerStatuses") or [{}]
    limit = (container.get("resources", {}).get("limits") or {}).get("cpu")
    return {
        "schema_version": 1,
        "kind": "pod",
        "scaling": None,
        "name": pod["metadata"]["name"],
        "host": pod["spec"]["nodeName"],
        "runtime": "kubernetes",
        "image": container["image"],
        "image_id": statuses[0].get("imageID") or None,
        "cpu_limit_cores": None if limit is None else cpu_cores(str(limit)),
        "wall_seconds": None,
        "worker": asdict(worker),
    }


def cpu_cores(quantity: str) -> float:
    """Return a Kubernetes CPU quantity ("2", "0.5", "500m") in cores; ValueError if it is none."""
    try:
        cores = Decimal(quantity.removesuffix("m")) / (1000 if quantity.endswith("m") else 1)
    except InvalidOperation:
        raise ValueError(f"{one_line(quantity, 40)} is no CPU quantity, such as 1 or 500m") from None
    return float(cores)


def pod_files(pods: Sequence[Json], logs: dict[str, str]) -> tuple[dict[str, object], list[str]]:
    """Return each pod's log and each succeeded pod's result as path -> content of the run's folder.

    Second, one line per result that isn't whole; such a result has no file.
    """
    files: dict[str, object] = {}
    problems = []
    for pod in pods:
        name, state = pod["metadata"]["name"], pod_state(pod)
        files[f"logs/{name}.log"] = logs[name]
        if state.phase != "succeeded":
            continue
        try:
            files[f"results/pod-{state.index}.json"] = pod_record(pod, logs[name])
        except ValueError as error:
            problems.append(f"{state} ended without a whole result: {error}")
    return files, problems


def event_rows(events: Sequence[Json]) -> list[Json]:
    """Return what events.json says of the Job's and its pods' warnings, oldest first."""
    rows = [
        {
            "type": event.get("type"),
            "reason": event.get("reason"),
            "message": event.get("message"),
            "object": f"{event['involvedObject'].get('kind')}/{event['involvedObject'].get('name')}",
            "first_seen": event.get("firstTimestamp") or event.get("eventTime"),
            "last_seen": event.get("lastTimestamp") or event.get("eventTime"),
            "count": event.get("count") or 1,
        }
        for event in events
    ]
    return sorted(rows, key=lambda row: str(row["first_seen"]))
