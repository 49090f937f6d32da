"""Objects as the Kubernetes API has them, cut to what is read."""

from __future__ import annotations

import json
from typing import Any

from tests.manifests import RUN_ID, make_plan, slot_of

PLAN = make_plan()
SLOT = slot_of(PLAN)
JOB_UID = "uid-of-the-job"


def a_job(version: int = 1, condition: str = "", **metadata: Any) -> Any:
    """Return a Job; `condition` is one that it has."""
    conditions = (
        [{"type": condition, "status": "True", "reason": condition, "message": ""}] if condition else []
    )
    return {
        "metadata": {"name": "job", "uid": JOB_UID, "resourceVersion": str(version), **metadata},
        "status": {"conditions": conditions},
    }


def a_pod(
    index: int, state: str = "running", pi: str | None = None, message: str = "", **metadata: Any
) -> Any:
    """Return the Job's pod of this index; `state` is new, scheduled, running, Succeeded or Failed."""
    status: Any = {"phase": state if state in ("Succeeded", "Failed") else "Pending"}
    if state == "running":
        status = {"phase": "Running", "containerStatuses": [{"state": {"running": {"startedAt": "x"}}}]}
    if state in ("Succeeded", "Failed"):
        ended = {"exitCode": 0 if state == "Succeeded" else 1, "message": message, "startedAt": "x"}
        status["containerStatuses"] = [{"state": {"terminated": ended}, "imageID": "sha256:abc"}]
    if state != "new":
        status["conditions"] = [{"type": "PodScheduled", "status": "True"}]
    return {
        "metadata": {
            "name": f"pod-{index}",
            "uid": f"uid-{index}",
            "annotations": {"batch.kubernetes.io/job-completion-index": str(index)},
            "ownerReferences": [{"kind": "Job", "uid": JOB_UID, "controller": True}],
            **metadata,
        },
        "spec": {
            "nodeName": None if state == "new" else pi or f"pi-{index + 1}",
            "containers": [{"image": "python:3.9", "resources": {"limits": {"cpu": "500m"}}}],
        },
        "status": status,
    }


def an_event(reason: str, about: str, message: str = "", kind: str = "Warning", **more: Any) -> Any:
    """Return an event about the object with the uid `about`."""
    return {
        "metadata": {"uid": f"{reason}-{about}"},
        "type": kind,
        "reason": reason,
        "message": message,
        "involvedObject": {"kind": "Pod", "name": about, "uid": about},
        **more,
    }


def a_report(index: int, **changed: Any) -> str:
    """Return the termination message of the worker of this index in PLAN's first round."""
    process = {
        "rng_seed": "a8977a65574b41de",  # pragma: allowlist secret
        "samples": 1000,
        "inside": 785,
        "stretch": [190, 200, 195, 200],
        "start_epoch_ns": 1_795_641_142_695_936_148,
        "end_epoch_ns": 1_795_641_142_795_936_148,
        "duration_seconds": 0.1,
        "cpu_seconds": 0.1,
    }
    report = {
        "schema_version": 1,
        "run_id": RUN_ID,
        "stream": f"{SLOT.name}.1.{index}",
        "completion_index": index,
        "engine": "seed",
        "python_version": "3.9.2",
        "python_implementation": "CPython",
        "machine": "aarch64",
        "node": f"pi-{index + 1}",
        "celsius": [48.3, None],
        "megahertz": [None, None],
        "processes": [process],
    }
    process.update({name: value for name, value in changed.items() if name in process})
    report.update({name: value for name, value in changed.items() if name in report})
    return json.dumps(report)
