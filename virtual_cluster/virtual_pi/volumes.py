"""Volumes: a pure plan, and the files that a pod finds at its mount paths."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .api import ApiError, Json, Link
from .config import Pi
from .downward import field_value

# path → (content, mode or None for the volume's default)
Files = dict[str, tuple[bytes, int | None]]


class MountError(Exception):
    """The volume cannot be set up now; the text is the kubelet's. To be tried again."""


@dataclass(frozen=True, slots=True)
class VolumePlan:
    """A volume and the projected sources that fill it (none: emptyDir). ``default_mode`` for its files."""

    name: str
    sources: tuple[Json, ...]
    default_mode: int
    writable: bool


def plan_volumes(pod: Json, pi: Pi) -> tuple[tuple[VolumePlan, ...], list[str]]:
    """The pod's volumes, and what about them is not implemented."""
    plans, problems = [], []
    for volume in pod["spec"].get("volumes") or []:
        name = volume["name"]
        [kind] = volume.keys() - {"name"} or ["emptyDir"]
        content = volume.get(kind) or {}
        match kind:
            case "emptyDir":
                sources = []
            case "configMap" | "downwardAPI":
                sources = [{kind: content}]
            case "secret":
                sources = [{kind: content | {"name": content["secretName"]}}]
            case "projected":
                sources = content.get("sources") or []
            case _:
                problems.append(f"volume {name}: {kind}")
                continue
        for source in sources:
            [source_kind] = source
            if source_kind not in ("configMap", "secret", "downwardAPI", "serviceAccountToken"):
                problems.append(f"volume {name}: {source_kind}")
            for item in source.get("downwardAPI", {}).get("items", []):
                if _downward(pod, pi, item) is None:
                    problems.append(f"volume {name}: {item['path']} from a resource or unknown field")
        mode = content.get("defaultMode", 0o644)
        plans.append(VolumePlan(name, tuple(sources), mode, writable=kind == "emptyDir"))
    return tuple(plans), problems


async def fill_volume(volume: VolumePlan, folder: Path, pod: Json, pi: Pi, link: Link) -> None:
    """Write the volume's files into ``folder``; MountError when something it names is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    if volume.writable:
        folder.chmod(0o777)
    for source in volume.sources:
        [(kind, content)] = source.items()
        try:
            files = await _files(kind, content, pod, pi, link)
        except MountError as error:
            if content.get("optional"):
                continue
            raise MountError(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from error
        for path, (data, mode) in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            target.write_bytes(data)
            target.chmod(volume.default_mode if mode is None else mode)


async def _files(kind: str, content: Json, pod: Json, pi: Pi, link: Link) -> Files:
    core = f"/api/v1/namespaces/{pod['metadata']['namespace']}"
    if kind == "downwardAPI":
        return {
            item["path"]: ((_downward(pod, pi, item) or "").encode(), item.get("mode"))
            for item in content.get("items", [])
        }
    if kind == "serviceAccountToken":
        account = pod["spec"].get("serviceAccountName", "default")
        reference = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"]}
        spec: Json = {
            "expirationSeconds": content.get("expirationSeconds", 3600),
            "boundObjectRef": reference | {"uid": pod["metadata"]["uid"]},
        }
        if audience := content.get("audience"):
            spec["audiences"] = [audience]
        path, body = f"{core}/serviceaccounts/{account}/token", {"spec": spec}
        answer = await _fetch("POST", path, body, link, f'serviceaccount "{account}" not found')
        return {content["path"]: (answer["status"]["token"].encode(), 0o600)}
    plural = "configmaps" if kind == "configMap" else "secrets"
    name = content["name"]
    missing = f'{kind.lower()} "{name}" not found'
    found = await _fetch("GET", f"{core}/{plural}/{name}", None, link, missing)
    return select(object_files(kind, found), content.get("items"), kind)


async def _fetch(method: str, path: str, body: Json | None, link: Link, missing: str) -> Json:
    try:
        return await link.call(method, path, body)
    except ApiError as error:
        raise MountError(missing if error.status == 404 else str(error)) from error


def object_files(kind: str, found: Json) -> dict[str, bytes]:
    """The keys of a ConfigMap or Secret as files."""
    encoded = found.get("binaryData" if kind == "configMap" else "data") or {}
    plain = (found.get("data") or {}) if kind == "configMap" else {}
    return {key: value.encode() for key, value in plain.items()} | {
        key: base64.b64decode(value) for key, value in encoded.items()
    }


def select(files: Mapping[str, bytes], items: list[Json] | None, kind: str) -> Files:
    """``items`` picks, renames and gives modes; without it all keys. MountError for a missing key."""
    if not items:
        return {key: (data, None) for key, data in files.items()}
    chosen = {}
    for item in items:
        if item["key"] not in files:
            raise MountError(f"{kind.lower()} references non-existent config key: {item['key']}")
        chosen[item["path"]] = (files[item["key"]], item.get("mode"))
    return chosen


def _downward(pod: Json, pi: Pi, item: Json) -> str | None:
    return field_value(pod, pi, item.get("fieldRef", {}).get("fieldPath", ""))
