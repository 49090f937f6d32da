"""The manifests of a small plan, rendered as the benchmark does it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jinja2
import yaml

from pi_speedup.kube.follow.manifest import job_manifest, render
from pi_speedup.kube.owned.documents import Document
from pi_speedup.kube.owned.owned import Place, owner_reference
from pi_speedup.model.plan import Cell, Plan, Slot
from pi_speedup.model.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]
JOB = (PROJECT / "roles/measure/templates/job.yml.j2").read_text(encoding="utf-8")
NAMESPACE = (PROJECT / "roles/cluster/templates/namespace.yml.j2").read_text(encoding="utf-8")
OWNER = (PROJECT / "roles/cluster/templates/owner.yml.j2").read_text(encoding="utf-8")
POLICY = (PROJECT / "roles/cluster/templates/network_policy.yml.j2").read_text(encoding="utf-8")
RBAC = (PROJECT / "roles/rbac/templates/rbac.yml.j2").read_text(encoding="utf-8")
WORKER = (PROJECT / "files/pi_worker.py").read_text(encoding="utf-8")
COMMAND = (PROJECT / "files/run_command.sh").read_text(encoding="utf-8")
PIS = ("pi-1", "pi-2", "pi-3")
RUN_ID = "20261124-071530-3fa2"


def make_plan(
    *,
    run_id: str = RUN_ID,
    pis: tuple[str, ...] = PIS,
    processes: int = 1,
    samples: int = 1000,
    **settings: object,
) -> Plan:
    """Return a plan whose only cell is a Job on all Pis, in a warm-up round and three more."""
    together = f"together-{len(pis)}"
    cell = Cell(name=together, kind="job", pis=pis, processes_per_pi=processes, amount_per_process=samples)
    return Plan(
        run_id=run_id,
        made_at="2026-11-24T07:15:30Z",
        tool_version="test",
        settings=Settings.model_validate({"cpu_limit_cores": 0.5, **settings}),
        pis=pis,
        base_pi=pis[0],
        worker_sha256="0" * 64,
        order_seed=1,
        cells=(cell,),
        order=((together,),) * 4,
    )


def slot_of(plan: Plan, round: int = 1) -> Slot:
    """Return the place of the plan's Job in a round."""
    return Slot(round=round, position=0, cell=plan.cells[0].name)


def job(plan: Plan | None = None, *, attempt: int = 1, program: str = WORKER) -> Any:
    """Return the Job of the plan's first round."""
    plan = plan or make_plan()
    place = Place(plan.settings.namespace)
    return job_manifest(
        JOB,
        plan,
        slot_of(plan),
        attempt,
        place=place,
        owner_uid="uid-of-the-owner",
        program=program,
        follows_sha256=plan.sha256,
    )


def namespace(place: Place) -> Any:
    """Return our namespace."""
    return render(NAMESPACE, _cluster_namespace=place.namespace)


def owner(place: Place) -> Any:
    """Return the ConfigMap that owns our objects."""
    return render(OWNER, _cluster_namespace=place.namespace)


def policy(place: Place, owner_uid: str = "uid-of-the-owner") -> Any:
    """Return the NetworkPolicy of our pods, with its owner."""
    manifest = render(POLICY, _cluster_namespace=place.namespace)
    return {
        **manifest,
        "metadata": {**manifest["metadata"], "ownerReferences": [owner_reference(place, owner_uid)]},
    }


def rights(place: Place) -> tuple[Document, ...]:
    """Return the objects that rbac.yml grants."""
    # YAML, not HTML.
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # nosec B701
    text = environment.from_string(RBAC).render(_rbac_namespace=place.namespace)
    return tuple(map(Document, yaml.safe_load_all(text)))


def all_manifests() -> list[Any]:
    """Return one of each kind that a benchmark creates; a Job of several processes, and a command's."""
    place = Place("pi-speedup")
    granted = [each.manifest for each in rights(place)]
    of_command = job(make_plan(command="./job"), program=COMMAND)
    jobs = [job(), job(make_plan(processes=4)), of_command]
    return [namespace(place), owner(place), policy(place), *jobs, *granted]


if __name__ == "__main__":
    # For the linters of manifests.
    yaml.safe_dump_all(all_manifests(), sys.stdout, width=10_000)
