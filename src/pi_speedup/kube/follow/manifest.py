"""A trial's Job, as Kubernetes is asked for it."""

from __future__ import annotations

from typing import Any

import jinja2
import yaml

from pi_speedup.kube.access.client import Json
from pi_speedup.kube.owned.owned import (
    APP,
    NETWORK_LABEL,
    RUN_ID_LABEL,
    TRIAL_LABEL,
    Place,
    labels,
    owner_reference,
)
from pi_speedup.model.plan import Plan, Slot
from pi_speedup.workload import Assignment, workload_of

# Kubernetes ends the Job, and takes its pods' logs, only after our own deadline and collection.
DEADLINE_MARGIN_SECONDS = 60
PLAN_ANNOTATION, FOLLOWS_ANNOTATION = f"{APP}/plan-sha256", f"{APP}/follows-sha256"
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


def job_name(plan: Plan, slot: Slot, attempt: int) -> str:
    """Return the Job's name, at most 57 characters: with a pod's index it is a host name, of at most 63."""
    return f"{APP}-{plan.run_id}-r{slot.round:03d}-{slot.position:02d}-a{attempt}"


def job_manifest(
    template: str,
    plan: Plan,
    slot: Slot,
    attempt: int,
    *,
    place: Place,
    owner_uid: str,
    program: str,
    follows_sha256: str,
) -> Json:
    """Return the Job of one trial; `program` is what workers run, `owner_uid` our ConfigMap's uid.

    `follows_sha256`: of the trial that was measured before it, of the plan for the first.
    """
    cell = plan.cell(slot.cell)
    settings = plan.settings
    millicores = round(cell.cpu_limit_cores(settings) * 1000)
    deadline_seconds = settings.timeout_seconds + DEADLINE_MARGIN_SECONDS
    # With a deadline of its own: on a Pi that the cluster has lost nobody else would end it.
    told = Assignment(plan, slot, attempt, deadline_seconds, termination_log=TERMINATION_LOG)
    words = [unexpanded(word) for word in workload_of(settings).pod_words(told, program)]
    return render(
        template,
        name=job_name(plan, slot, attempt),
        namespace=place.namespace,
        labels={
            **labels(),
            RUN_ID_LABEL: plan.run_id,
            TRIAL_LABEL: slot.attempt(attempt),
            **({NETWORK_LABEL: "allowed"} if settings.network else {}),
        },
        annotations={PLAN_ANNOTATION: plan.sha256, FOLLOWS_ANNOTATION: follows_sha256},
        owner=owner_reference(place, owner_uid),
        pis=cell.pis,
        architecture=settings.architecture,
        image=settings.image,
        command=words[:3],
        arguments=words[3:],
        cpu_limit=f"{millicores}m",
        cpu_request=f"{millicores // 2 if cell.processes_per_pi > 1 or millicores > 1000 else millicores}m",
        memory_limit=f"{settings.container_memory_mib(cell.processes_per_pi)}Mi",
        scratch=f"{settings.scratch_mib}Mi" if settings.command else None,
        deadline_seconds=deadline_seconds,
        ttl_seconds=settings.ttl_seconds,
    )


def unexpanded(text: str) -> str:
    """Return text that a kubelet hands over as it is: it replaces $(NAME) in commands, and $$ by $."""
    return text.replace("$", "$$")
