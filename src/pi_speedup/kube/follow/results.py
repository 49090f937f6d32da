"""What a trial's pods left: a Worker for each, with its report if it is whole, and the warnings as Events."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from pi_speedup.codes import Code
from pi_speedup.kube.access.client import Json, KubeClient
from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.access.shape import cores
from pi_speedup.kube.follow.states import has_started, pod_state, termination_message
from pi_speedup.kube.follow.tracker import Tracker
from pi_speedup.kube.owned.owned import Place
from pi_speedup.model.plan import Plan, Slot
from pi_speedup.model.trial import MOST_EVENTS, Event, Worker
from pi_speedup.model.worker import WorkerReport
from pi_speedup.problem import Problem, ProblemError, refuse
from pi_speedup.text import one_line
from pi_speedup.workload import Workload, workload_of

# A kubelet that is gone answers nothing at all: its log is not worth waiting for.
LOG_SECONDS = 5.0
LOG_BYTES = 262_144
LOGS_AT_ONCE = 8
_MOST_IMAGE_IDS = 10


def fetch_logs(client: KubeClient, place: Place, pods: Sequence[Json]) -> dict[str, bytes]:
    """Return each pod's log by pod name, one request each; where there is none, a line that says why."""

    def fetch(pod: Json) -> bytes:
        name = pod["metadata"]["name"]
        if not has_started(pod):
            return f"(no log: the container never started, the pod is {pod_state(pod).phase})\n".encode()
        try:
            return client.log(f"{place.pods}/{name}/log", LOG_SECONDS, LOG_BYTES)
        except KubeError as error:
            return f"(no log: {error})\n".encode()

    with ThreadPoolExecutor(LOGS_AT_ONCE) as pool:
        return {pod["metadata"]["name"]: log for pod, log in zip(pods, pool.map(fetch, pods), strict=True)}


def last_line(log: bytes) -> str:
    """Return a log's last line that says something, made harmless for a terminal; empty if there is none."""
    text = log[-4096:].decode("utf-8", "replace")
    # Not splitlines: to it, characters of a program's own end a line too.
    lines = [line for line in re.split(r"[\r\n]", text) if line.strip()]
    return one_line(lines[-1], 200) if lines else ""


def workers(
    tracker: Tracker, plan: Plan, slot: Slot, attempt: int, logs: Mapping[str, bytes]
) -> tuple[tuple[Worker, ...], list[Problem]]:
    """Return a Worker for each pod that has a Pi, and a problem for each that succeeded without a report.

    What one pod left never costs another's report.
    """
    found, problems, workload = [], [], workload_of(plan.settings)
    for pod in tracker.pods:
        state = pod_state(pod)
        if not state.node:
            continue
        report = None
        if state.phase == "succeeded":
            try:
                report = _report(workload, pod, logs.get(state.name, b""), str(state))
                misfit = workload.misfit(report, plan, slot, attempt, pi=state.node, index=state.index)
                if misfit:
                    raise refuse(
                        Code.RESULT_OF_OTHER_TRIAL,
                        str(state),
                        f"its result is of another trial ({misfit})",
                        "read its log, then run again",
                    )
            except ProblemError as error:
                report = None
                problems.append(error.problem)
        found.append(_worker(pod, state.node, tracker, report))
    return tuple(found), problems


def _report(workload: Workload, pod: Json, log: bytes, where: str) -> WorkerReport:
    """Read the worker's JSON from the termination message, or from the log if a runtime lost the message."""
    message = termination_message(pod)
    try:
        return workload.read_message(message, where) if message else workload.read(log, where)
    except ProblemError:
        raise
    except Exception as error:
        # Whatever nonsense it is: it is this pod's alone.
        raise refuse(
            Code.RESULT_DAMAGED, where, f"its result cannot be read ({one_line(error, 100)})", "read its log"
        ) from None


def _worker(pod: Json, pi: str, tracker: Tracker, report: WorkerReport | None) -> Worker:
    container: Json = next(iter(pod.get("spec", {}).get("containers") or ()), {})
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    limit = (container.get("resources", {}).get("limits") or {}).get("cpu")
    ids = [one_line(status["imageID"], 300) for status in statuses if status.get("imageID")]
    return Worker(
        pi=pi,
        name=pod["metadata"]["name"],
        runtime="kubernetes",
        image=one_line(container.get("image", ""), 300) or None,
        image_ids=tuple(ids[:_MOST_IMAGE_IDS]),
        cpu_limit_cores=None if limit is None else cores(str(limit)),
        milestones=tracker.milestones(pod["metadata"]["uid"]),
        report=report,
    )


def events(warnings: Sequence[Json]) -> tuple[Event, ...]:
    """Return the Job's and its pods' warnings, oldest first; of a flood the latest."""
    rows = []
    for event in warnings:
        series = event.get("series") or {}
        about = event.get("involvedObject") or {}
        count = event.get("count") or series.get("count") or 1
        rows.append(
            Event(
                reason=one_line(event.get("reason") or "", 100),
                message=one_line(event.get("message") or "", 1000),
                subject=one_line(f"{about.get('kind')} {about.get('name')}"),
                first_seen=_text(event.get("firstTimestamp") or event.get("eventTime")),
                last_seen=_text(
                    event.get("lastTimestamp") or series.get("lastObservedTime") or event.get("eventTime")
                ),
                count=max(count, 1) if isinstance(count, int) else 1,
            )
        )
    return tuple(sorted(rows, key=lambda row: row.first_seen or "")[-MOST_EVENTS:])


def _text(value: object) -> str | None:
    return one_line(value, 60) if value else None
