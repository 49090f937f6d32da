"""What Kubernetes is asked for: a trial's Job, and the namespace, owner and NetworkPolicy around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jinja2
import yaml

from pi_speedup.kube.client import Json
from pi_speedup.kube.owned import (
    APP,
    POLICY_NAME,
    RUN_ID_LABEL,
    TRIAL_LABEL,
    Place,
    labels,
    owner_reference,
)
from pi_speedup.model.plan import Cell, Plan, Slot

# Kubernetes ends the Job, and takes its pods' logs, only after our own deadline and collection.
DEADLINE_MARGIN_SECONDS = 60
TERMINATION_LOG = "/dev/termination-log"


def render(template: str, **values: object) -> Json:
    """Return the object that a template describes; `values` go into it as JSON, so they stay data.

    ValueError for a template that asks for a value nobody gave, or is not one of an object.
    """
    # YAML, not HTML: values go in by tojson.
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # nosec B701
    try:
        rendered: Any = yaml.safe_load(environment.from_string(template).render(values))
    except (jinja2.TemplateError, TypeError, yaml.YAMLError) as error:
        # An undefined value has no JSON: TypeError.
        raise ValueError(f"the template cannot be rendered: {error}") from error
    if not isinstance(rendered, dict):
        raise ValueError("the template does not describe an object")
    return rendered


def namespace_manifest(template: str, place: Place) -> Json:
    """Return our namespace."""
    return render(template, namespace=place.namespace, app=APP)


def owner_manifest(template: str, place: Place) -> Json:
    """Return the ConfigMap that owns our Jobs and our Lease."""
    return render(template, namespace=place.namespace, owner=place.owner, app=APP)


def policy_manifest(template: str, place: Place, owner_uid: str) -> Json:
    """Return the NetworkPolicy that cuts our pods off; `owner_uid` is our ConfigMap's."""
    owner = owner_reference(place, owner_uid)
    return render(template, name=POLICY_NAME, namespace=place.namespace, app=APP, owner=owner)


def job_name(plan: Plan, slot: Slot, attempt: int) -> str:
    """Return the Job's name, at most 57 characters: with a pod's index it is a host name, of at most 63."""
    return f"{APP}-{plan.run_id}-r{slot.round:03d}-{slot.position:02d}-a{attempt}"


def trial_label(slot: Slot, attempt: int) -> str:
    """Return the value of the label by which a trial's pods are known."""
    return slot.name if attempt == 1 else f"{slot.name}.attempt-{attempt}"


def stream_prefix(slot: Slot, attempt: int) -> str:
    """Return how the names of a trial's random streams begin: every trial has streams of its own."""
    return f"{slot.name}.{attempt}"


def job_manifest(
    template: str, plan: Plan, slot: Slot, attempt: int, *, place: Place, owner_uid: str, program: str
) -> Json:
    """Return the Job of one trial; `program` is the worker's text, `owner_uid` our ConfigMap's."""
    cell = plan.cell(slot.cell)
    settings = plan.settings
    millicores = round(cell.cpu_limit_cores(settings) * 1000)
    deadline_seconds = settings.timeout_seconds + DEADLINE_MARGIN_SECONDS
    return render(
        template,
        name=job_name(plan, slot, attempt),
        namespace=place.namespace,
        labels={**labels(), RUN_ID_LABEL: plan.run_id, TRIAL_LABEL: trial_label(slot, attempt)},
        owner=owner_reference(place, owner_uid),
        pis=cell.pis,
        architecture=settings.architecture,
        image=settings.image,
        program=unexpanded(program),
        arguments=[unexpanded(word) for word in _arguments(plan, cell, slot, attempt, deadline_seconds)],
        cpu_limit=f"{millicores}m",
        cpu_request=f"{millicores if cell.processes_per_pi == 1 else millicores // 2}m",
        memory_limit=f"{settings.memory_limit_mib * cell.processes_per_pi}Mi",
        deadline_seconds=deadline_seconds,
        ttl_seconds=settings.ttl_seconds,
    )


def _arguments(plan: Plan, cell: Cell, slot: Slot, attempt: int, deadline_seconds: int) -> Sequence[str]:
    values = {
        "run-id": plan.run_id,
        "stream": stream_prefix(slot, attempt),
        "samples": cell.samples_per_process,
        "processes": cell.processes_per_pi,
        "engine": plan.settings.engine,
        "termination-log": TERMINATION_LOG,
        # On a Pi that the cluster has lost nobody else would end it.
        "deadline-seconds": deadline_seconds,
    }
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]


def unexpanded(text: str) -> str:
    """Return text that a kubelet hands over as it is: it replaces $(NAME) in commands, and $$ by $."""
    return text.replace("$", "$$")
