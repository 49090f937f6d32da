"""Pure: a Pod as the API server has it → what to run, or a refusal that names each thing not implemented.

Fields are listed by name: one that is in none of these lists is refused, so nothing is ignored unseen.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .api import Json
from .config import Pi
from .downward import field_value
from .quantity import cores
from .volumes import VolumePlan, plan_volumes

# Decided by the API server or the scheduler, or naming things that a virtual Pi has no part in.
_POD_ELSEWHERE = {
    "affinity", "automountServiceAccountToken", "dnsPolicy", "enableServiceLinks", "hostNetwork", "hostname",
    "imagePullSecrets", "nodeName", "nodeSelector", "overhead", "preemptionPolicy", "priority",
    "priorityClassName", "schedulerName", "serviceAccount", "serviceAccountName", "tolerations",
    "topologySpreadConstraints",
}  # fmt: skip
_POD_HERE = {
    "activeDeadlineSeconds", "containers", "restartPolicy", "securityContext",
    "terminationGracePeriodSeconds", "volumes",
}  # fmt: skip
_CONTAINER = {
    "args", "command", "env", "image", "imagePullPolicy", "name", "ports", "resources", "securityContext",
    "terminationMessagePath", "terminationMessagePolicy", "volumeMounts", "workingDir",
}  # fmt: skip
# fsGroup, supplementalGroups and seccomp filters are accepted and not shown: see node.NOT_SHOWN.
_POD_SECURITY = {
    "fsGroup", "fsGroupChangePolicy", "runAsGroup", "runAsNonRoot", "runAsUser", "seccompProfile",
    "supplementalGroups",
}  # fmt: skip
_CONTAINER_SECURITY = {
    "allowPrivilegeEscalation", "capabilities", "privileged", "readOnlyRootFilesystem", "runAsGroup",
    "runAsNonRoot", "runAsUser", "seccompProfile",
}  # fmt: skip


class UnsupportedPodError(Exception):
    """The pod asks for something that a virtual Pi does not do; the text lists what."""


@dataclass(frozen=True, slots=True)
class Mount:
    """Volume ``volume`` at ``path`` in the container."""

    volume: str
    path: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class ContainerPlan:
    """All that is to be known of one container. ``cpu_limit`` in cores; None = only the Pi's own budget."""

    name: str
    image: str
    always_pull: bool
    never_pull: bool
    command: tuple[str, ...]
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    working_dir: str
    mounts: tuple[Mount, ...]
    uid: int | None
    gid: int
    run_as_non_root: bool
    read_only_root: bool
    no_new_privileges: bool
    drop_capabilities: bool
    cpu_limit: float | None
    message_path: str
    message_from_log: bool


@dataclass(frozen=True, slots=True)
class PodPlan:
    """A pod to run; ``deadline_seconds`` is its own activeDeadlineSeconds."""

    containers: tuple[ContainerPlan, ...]
    volumes: tuple[VolumePlan, ...]
    deadline_seconds: float | None


def plan_pod(pod: Json, pi: Pi) -> PodPlan:
    """Translate; UnsupportedPodError lists everything that is not implemented."""
    spec = pod["spec"]
    problems = _unknown(spec, _POD_ELSEWHERE | _POD_HERE, "spec")
    if spec.get("restartPolicy", "Always") != "Never":
        problems.append(f"restartPolicy {spec.get('restartPolicy', 'Always')} (only Never)")
    security = spec.get("securityContext") or {}
    problems += _security_problems(security, _POD_SECURITY, "spec.securityContext")
    volumes, volume_problems = plan_volumes(pod, pi)
    problems += volume_problems
    containers = []
    for container in spec["containers"]:
        problems += _container_problems(container)
        env, env_problems = _environment(container, pod, pi)
        problems += env_problems
        containers.append(_container(container, security, env))
    if problems:
        raise UnsupportedPodError("a virtual Pi does not implement " + "; ".join(problems))
    return PodPlan(tuple(containers), volumes, spec.get("activeDeadlineSeconds"))


def expand(text: str, env: Mapping[str, str]) -> str:
    """Kubernetes' ``$(NAME)``: known names are replaced, unknown ones stay, ``$$`` is a plain ``$``."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else env.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", value, text)


def _unknown(found: Json, known: set[str], where: str) -> list[str]:
    return [f"{where}.{key}" for key in sorted(found.keys() - known) if found[key]]


def _security_problems(security: Json, known: set[str], where: str) -> list[str]:
    problems = _unknown(security, known, where)
    profile = (security.get("seccompProfile") or {}).get("type", "Unconfined")
    if profile == "Localhost":
        problems.append(f"{where}.seccompProfile.type Localhost")
    if security.get("privileged"):
        problems.append(f"{where}.privileged")
    capabilities = security.get("capabilities") or {}
    if capabilities.get("add"):
        problems.append(f"{where}.capabilities.add")
    if capabilities.get("drop") not in (None, [], ["ALL"]):
        problems.append(f"{where}.capabilities.drop of anything but ALL")
    return problems


def _container_problems(container: Json) -> list[str]:
    where = f"container {container['name']}"
    problems = _unknown(container, _CONTAINER, where)
    problems += _security_problems(container.get("securityContext") or {}, _CONTAINER_SECURITY, where)
    problems += [f"{where}: hostPort" for port in container.get("ports") or [] if port.get("hostPort")]
    known = {"name", "mountPath", "readOnly"}
    for mount in container.get("volumeMounts") or []:
        problems += _unknown(mount, known, f"{where}: mount {mount['name']}")
    resources = container.get("resources") or {}
    for name in sorted({**resources.get("limits", {}), **resources.get("requests", {})}):
        if name not in ("cpu", "memory", "ephemeral-storage"):
            problems.append(f"{where}: resource {name}")
    return problems


def _environment(container: Json, pod: Json, pi: Pi) -> tuple[dict[str, str], list[str]]:
    env: dict[str, str] = {}
    problems = []
    for variable in container.get("env") or []:
        source = variable.get("valueFrom") or {}
        if source:
            value = field_value(pod, pi, source.get("fieldRef", {}).get("fieldPath", ""))
            if value is None:
                problems.append(f"container {container['name']}: env {variable['name']} from {_kind(source)}")
            env[variable["name"]] = value or ""
        else:
            env[variable["name"]] = expand(variable.get("value", ""), env)
    return env, problems


def _kind(source: Json) -> str:
    return str(source["fieldRef"]["fieldPath"]) if "fieldRef" in source else ", ".join(source)


def _container(container: Json, pod_security: Json, env: dict[str, str]) -> ContainerPlan:
    security = {**pod_security, **(container.get("securityContext") or {})}
    limit = ((container.get("resources") or {}).get("limits") or {}).get("cpu")
    policy = container.get("imagePullPolicy", "IfNotPresent")
    return ContainerPlan(
        name=container["name"],
        image=container["image"],
        always_pull=policy == "Always",
        never_pull=policy == "Never",
        command=tuple(expand(word, env) for word in container.get("command") or ()),
        args=tuple(expand(word, env) for word in container.get("args") or ()),
        env=tuple(env.items()),
        working_dir=container.get("workingDir") or "/",
        mounts=tuple(
            Mount(mount["name"], mount["mountPath"], mount.get("readOnly", False))
            for mount in container.get("volumeMounts") or ()
        ),
        uid=security.get("runAsUser"),
        gid=security.get("runAsGroup") or 0,
        run_as_non_root=bool(security.get("runAsNonRoot")),
        read_only_root=bool(security.get("readOnlyRootFilesystem")),
        no_new_privileges=security.get("allowPrivilegeEscalation") is False,
        drop_capabilities=bool((security.get("capabilities") or {}).get("drop")),
        cpu_limit=None if limit is None else cores(limit),
        message_path=container.get("terminationMessagePath") or "/dev/termination-log",
        message_from_log=container.get("terminationMessagePolicy") == "FallbackToLogsOnError",
    )
