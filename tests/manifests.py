"""The manifests of a small plan, rendered as the benchmark does it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from pi_speedup.kube.manifest import job_manifest, namespace_manifest, owner_manifest, policy_manifest
from pi_speedup.kube.owned import Place
from pi_speedup.model.plan import Cell, Plan, Slot
from pi_speedup.model.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]
JOB = (PROJECT / "roles/measure/templates/job.yml.j2").read_text(encoding="utf-8")
NAMESPACE = (PROJECT / "roles/cluster/templates/namespace.yml.j2").read_text(encoding="utf-8")
OWNER = (PROJECT / "roles/cluster/templates/owner.yml.j2").read_text(encoding="utf-8")
POLICY = (PROJECT / "roles/cluster/templates/network_policy.yml.j2").read_text(encoding="utf-8")
WORKER = (PROJECT / "files/pi_worker.py").read_text(encoding="utf-8")
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
    cell = Cell(name=together, kind="job", pis=pis, processes_per_pi=processes, samples_per_process=samples)
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
        JOB, plan, slot_of(plan), attempt, place=place, owner_uid="uid-of-the-owner", program=program
    )


def namespace(place: Place) -> Any:
    """Return our namespace."""
    return namespace_manifest(NAMESPACE, place)


def owner(place: Place) -> Any:
    """Return the ConfigMap that owns our objects."""
    return owner_manifest(OWNER, place)


def policy(place: Place, owner_uid: str = "uid-of-the-owner") -> Any:
    """Return the NetworkPolicy of our pods."""
    return policy_manifest(POLICY, place, owner_uid)


def all_manifests() -> list[Any]:
    """Return one of each kind that a benchmark creates, of the Job one with several processes too."""
    place = Place("pi-speedup")
    return [namespace(place), owner(place), policy(place), job(), job(make_plan(processes=4))]


if __name__ == "__main__":
    # For the linters of manifests.
    yaml.safe_dump_all(all_manifests(), sys.stdout, width=10_000)
