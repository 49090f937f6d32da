"""What the Kubernetes API's objects look like, as far as they are read: all else of a wrong type is left out.

So that whatever answers, no reader meets a number where it expects a list. What is absent means "not set", as
in the API itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

# As in a path of the API, and safe to show anywhere; see model.base.Name.
NAME: Final = re.compile(r"[-._:A-Za-z0-9]{1,253}")
_UID: Final = re.compile(r"[-._:A-Za-z0-9]{1,128}")
_TEXT: Final = str
_TEXTS: Final = [_TEXT]
_STATE: Final = {"reason": _TEXT, "message": _TEXT, "exitCode": int, "startedAt": _TEXT}
_CONDITIONS: Final = [{"type!": _TEXT, "status": _TEXT, "reason": _TEXT, "message": _TEXT}]

# A type; a pattern that a whole text must match; a list, whose items that do not fit are left out; an object
# by key, "*" for any other one. One that lacks a key which ends with ! does not fit.
_OBJECT: Final[Mapping[str, Any]] = {
    "metadata": {
        "name": NAME,
        "namespace": NAME,
        "uid": _UID,
        "resourceVersion": _TEXT,
        "continue": _TEXT,
        "labels": {"*": _TEXT},
        "annotations": {"*": _TEXT},
        "finalizers": _TEXTS,
        "ownerReferences": [{"uid!": _UID, "controller": bool}],
    },
    "spec": {
        "nodeName": NAME,
        "containers": [{"image": _TEXT, "resources": {"limits": {"cpu": _TEXT}, "requests": {"cpu": _TEXT}}}],
        "unschedulable": bool,
        "suspend": bool,
        "taints": [{}],
        "renewTime": _TEXT,
        "acquireTime": _TEXT,
        "leaseDurationSeconds": int,
        "holderIdentity": _TEXT,
    },
    "status": {
        "phase": _TEXT,
        "reason": _TEXT,
        "message": _TEXT,
        "conditions": _CONDITIONS,
        "containerStatuses": [
            {"imageID": _TEXT, "state": {"waiting": _STATE, "running": _STATE, "terminated": _STATE}}
        ],
        "addresses": [{"type": _TEXT, "address": _TEXT}],
        "nodeInfo": {"*": _TEXT},
        "resourceRules": [
            {"verbs": _TEXTS, "apiGroups": _TEXTS, "resources": _TEXTS, "resourceNames": _TEXTS}
        ],
        "allowed": bool,
        "token": _TEXT,
        "expirationTimestamp": _TEXT,
    },
    # An event's.
    "type": _TEXT,
    "reason": _TEXT,
    "message": _TEXT,
    "involvedObject": {"kind": _TEXT, "name": _TEXT, "uid": _TEXT},
    "series": {"count": int, "lastObservedTime": _TEXT},
    "count": int,
    "firstTimestamp": _TEXT,
    "lastTimestamp": _TEXT,
    "eventTime": _TEXT,
    # The lists of kinds that an API server serves.
    "versions": [
        {
            "version!": _TEXT,
            "resources": [{"resource!": _TEXT, "scope!": _TEXT, "verbs!": _TEXTS}],
        }
    ],
}
# A number of more bits is not one of the API's.
_MOST_BITS: Final = 63


def shaped(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object, or a list with its `items`, without what has a wrong type; all have `metadata`."""
    found = _fit(answer, {**_OBJECT, "items": [_OBJECT]})
    for each in (found, *found.get("items", ())):
        each.setdefault("metadata", {})
    return dict(found)


def is_object(item: Mapping[str, Any]) -> bool:
    """Say whether it has the name and the uid without which it is not an object of a cluster."""
    return "name" in item["metadata"] and "uid" in item["metadata"]


_NOT: Final = object()


def _fit(value: Any, shape: Any) -> Any:
    """Return as much of a value as has the shape, _NOT if nothing has."""
    if shape is int:
        fits = isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= _MOST_BITS
        return value if fits else _NOT
    if isinstance(shape, type):
        return value if isinstance(value, shape) else _NOT
    if isinstance(shape, re.Pattern):
        return value if isinstance(value, str) and shape.fullmatch(value) else _NOT
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _NOT
        return [fits for each in value if (fits := _fit(each, shape[0])) is not _NOT]
    if not isinstance(value, dict):
        return _NOT
    needed = {key[:-1] for key in shape if key.endswith("!")}
    found = {}
    for key, item in value.items():
        wanted = shape.get(key, shape.get(f"{key}!", shape.get("*")))
        fits = item if wanted is None else _fit(item, wanted)
        if fits is not _NOT:
            found[key] = fits
    return found if needed <= found.keys() else _NOT


def is_controlled_by(item: Mapping[str, Any], uid: str) -> bool:
    """Say whether the object with this uid is the item's controller; names and labels prove nothing."""
    return any(
        owner.get("uid") == uid and owner.get("controller") is True
        for owner in item["metadata"].get("ownerReferences") or ()
    )


def cores(quantity: str) -> float | None:
    """Return a Kubernetes CPU quantity ("2", "0.5", "500m") in cores, None if it is not one."""
    try:
        found = float(Decimal(quantity.removesuffix("m")) / (1000 if quantity.endswith("m") else 1))
    except (ArithmeticError, ValueError):
        # Decimal's overflow is not Python's, and a signaling NaN is a wrong value.
        return None
    return found if 0 < found <= 10_000 else None
