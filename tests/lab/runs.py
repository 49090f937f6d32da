"""A run of the real Job with next to no samples, as the role asks for it but without Ansible."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pi_kube.client import Json, KubeClient
from pi_kube.ours import Place
from pi_kube.run import Plan, run_job
from pi_kube.tracker import Ending
from tests.manifests import render

NODE_NAMES = ("pi-1", "pi-2", "pi-3")
LABELS = {"app.kubernetes.io/managed-by": "pi-speedup"}
_numbers = itertools.count()


@dataclass(frozen=True)
class Run:
    """How a run ended, what it told on its way, what it left on disk."""

    ending: Ending
    lines: list[str]
    folder: Path

    def json(self, name: str) -> Any:
        """Return a file of the run, parsed."""
        return json.loads((self.folder / name).read_text())

    @property
    def results(self) -> list[str]:
        """Return the names of the pods' results."""
        return sorted(path.name for path in self.folder.glob("results/*"))

    @property
    def logs(self) -> list[str]:
        """Return the pods' logs by completion index."""
        return [path.read_text() for path in sorted(self.folder.glob("logs/*"))]


def new_name(prefix: str = "faults") -> str:
    """Return a name that nothing in the lab has yet."""
    return f"{prefix}-{next(_numbers)}"


def manifest(place: Place, **settings: object) -> Json:
    """Return the Job's manifest under a new run id."""
    few = {"pi_job_samples": 1000, "pi_job_cpu_limit": "0.5", "pi_job_run_id": new_name()}
    job: Json = render("job.yml.j2", **{"pi_job_namespace": place.namespace, **few, **settings})
    return job


def run(
    kubeconfig: Path,
    place: Place,
    folder: Path,
    job: Json | None = None,
    *,
    node_names: tuple[str, ...] = NODE_NAMES,
    timeout_seconds: int = 60,
) -> Run:
    """Run the Job to its end."""
    lines: list[str] = []
    plan = Plan(place, job or manifest(place), node_names, timeout_seconds, folder / "run")
    with KubeClient(kubeconfig) as client:
        return Run(run_job(client, plan, lines.append), lines, plan.run_dir)


def container(job: Json) -> Json:
    """Return the container of a Job's manifest, to be changed."""
    found: Json = job["spec"]["template"]["spec"]["containers"][0]
    return found


def misbehaving(place: Place, index: int, code: str) -> Json:
    """Return a Job of which one pod runs other Python code instead of the worker."""
    job = manifest(place)
    script = f"""
import os, runpy, sys
if os.environ["JOB_COMPLETION_INDEX"] != "{index}":
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
    sys.exit()
{code}
"""
    container(job)["command"][1:1] = ["-c", script]
    return job


def make_place(client: KubeClient, change: Callable[[Json], object] = lambda namespace: None) -> Place:
    """Make a namespace and the worker in it as the role does, but for a change to the namespace."""
    place = Place(new_name(), "pi-speedup-worker")
    namespace = render("namespace.yml.j2", pi_job_namespace=place.namespace)
    change(namespace)
    client.create("/api/v1/namespaces", namespace)
    worker = render("worker.yml.j2", pi_job_namespace=place.namespace)
    client.create(f"{place.namespace_path}/configmaps", worker)
    return place
