"""The downward API: what a pod may ask about itself."""

import re

from .api import Json
from .config import Pi


def field_value(pod: Json, pi: Pi, path: str) -> str | None:
    """The value of a downward API ``fieldPath``, None for one that is not implemented."""
    meta = pod["metadata"]
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        return str((meta.get(match[1]) or {}).get(match[2], ""))
    values: dict[str, str] = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "spec.nodeName": pi.name,
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "default"),
        "status.podIP": pi.address,
        "status.podIPs": pi.address,
        "status.hostIP": pi.address,
        "status.hostIPs": pi.address,
    }
    return values.get(path)
