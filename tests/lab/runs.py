"""Trials of the real Job with next to no samples, driven as the benchmark does it but without Ansible."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pi_speedup.kube.access.client import Json, KubeClient
from pi_speedup.kube.follow.job import JobDriver
from pi_speedup.kube.owned.documents import Document
from pi_speedup.kube.owned.owned import MANAGED_BY, Place, owner_uid
from pi_speedup.model.plan import Plan
from pi_speedup.model.trial import Measured, Trial
from pi_speedup.setup.rbac import to_grant
from tests.manifests import JOB, WORKER, make_plan, namespace, owner, slot_of

LABELS = {MANAGED_BY: "pi-speedup"}
_numbers = itertools.count()


@dataclass(frozen=True)
class Run:
    """How a trial ended, and what was told on its way."""

    measured: Measured
    lines: list[str] = field(default_factory=list)

    @property
    def trial(self) -> Trial:
        """The trial."""
        return self.measured.trial

    @property
    def said(self) -> str:
        """Its problem in a line, empty if there was none."""
        return str(self.trial.problem or "")

    @property
    def reports(self) -> list[int]:
        """The completion indexes of the pods whose report is whole."""
        return sorted(worker.report.completion_index or 0 for worker in self.trial.workers if worker.report)

    @property
    def logs(self) -> list[str]:
        """The pods' logs by completion index."""
        return [
            log.decode("utf-8", "replace") if isinstance(log, bytes) else log
            for _, log in sorted(self.measured.logs.items())
        ]


def new_name(prefix: str = "faults") -> str:
    """Return a name that nothing in the lab has yet."""
    return f"{prefix}-{next(_numbers)}"


def new_plan(place: Place, **changed: Any) -> Plan:
    """Return a plan under a new run id."""
    values: dict[str, Any] = {"run_id": new_name("run"), "namespace": place.namespace, "timeout_seconds": 60}
    return make_plan(**values | changed)


def driver(
    client: KubeClient,
    place: Place,
    plan: Plan | None = None,
    tell: Callable[[str], None] = lambda line: None,
    *,
    program: str = WORKER,
    template: str = JOB,
    uid: str | None = None,
) -> JobDriver:
    """Return a driver as the benchmark makes it."""
    return JobDriver(
        client,
        place,
        plan or new_plan(place),
        template,
        program,
        owner_uid(client, place) if uid is None else uid,
        tell,
    )


def run(
    kubeconfig: Path,
    place: Place,
    plan: Plan | None = None,
    *,
    round: int = 1,
    program: str = WORKER,
    template: str = JOB,
    uid: str | None = None,
) -> Run:
    """Run one trial to its end."""
    lines: list[str] = []
    plan = plan or new_plan(place)
    with KubeClient(kubeconfig) as client:
        drives = driver(client, place, plan, lines.append, program=program, template=template, uid=uid)
        return Run(drives.run(slot_of(plan, round), 1), lines)


def misbehaving(index: int, code: str) -> str:
    """Return a program that runs other Python code instead of the worker in one of the pods."""
    return (
        f"import os\nif os.environ['JOB_COMPLETION_INDEX'] == '{index}':\n"
        + "".join(f"    {line}\n" for line in [*code.splitlines(), "raise SystemExit"])
        + "else:\n    exec("
        + repr(WORKER)
        + ")\n"
    )


def make_place(client: KubeClient, change: Callable[[Json], object] = lambda namespace: None) -> Place:
    """Make a namespace and the owner in it as the role does, but for a change to the namespace."""
    place = Place(new_name())
    wanted = namespace(place)
    change(wanted)
    for manifest in (wanted, owner(place)):
        put(client, manifest)
    return place


def put(client: KubeClient, manifest: Json) -> None:
    """Create an object, or change the one that has its name."""
    document = Document(manifest)
    if client.find(document.path):
        client.patch(document.path, manifest)
    else:
        client.create(document.collection, manifest)


def grant(client: KubeClient, wanted: Iterable[Document]) -> list[Json]:
    """Apply what is absent or differs as rbac.yml does; return what that was."""
    to_apply = to_grant(client, wanted)
    for manifest in to_apply:
        put(client, manifest)
    return to_apply
