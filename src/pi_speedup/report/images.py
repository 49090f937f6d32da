"""Is it the same image? Runtimes know it by digests of different kinds, and only equal kinds compare."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# An image's id; a runtime that isn't containerd may leave out sha256: before a configuration's digest.
_IMAGE_ID = re.compile(r"(?:[-a-z]+://)?(?:(?P<name>.+)@sha256:|(?:sha256:)?)(?P<hex>[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class SameImage:
    """Those that had the same image, and all (kind, digest) by which they knew it."""

    digests: frozenset[tuple[str, str]]
    owners: tuple[str, ...]


def same_images(ids_of: Mapping[str, Iterable[str]]) -> list[SameImage]:
    """Group owners that share a digest, or do so by way of others; those that told none form one group."""
    groups: list[SameImage] = []
    for owner, image_ids in ids_of.items():
        digests = frozenset(found for image_id in image_ids if (found := digest(image_id)))
        same = [group for group in groups if group.digests & digests or (not group.digests and not digests)]
        groups = [group for group in groups if group not in same]
        groups.append(
            SameImage(
                digests.union(*(group.digests for group in same)),
                (*(member for group in same for member in group.owners), owner),
            )
        )
    return groups


def comparable_kinds(groups: Sequence[SameImage]) -> frozenset[str]:
    """Return the kinds of digest that more than one group told: only they can be compared."""
    told = Counter(kind for group in groups for kind in {kind for kind, _ in group.digests})
    return frozenset(kind for kind, tellers in told.items() if tellers > 1)


def digest(image_id: str) -> tuple[str, str] | None:
    """Return what an image's id is the digest of, and the digest; None for an id of another form.

    A runtime that pulled an image names it NAME@sha256:MANIFEST, one that built or imported it
    sha256:CONFIGURATION. In front there may be a scheme, such as docker-pullable://.
    """
    found = _IMAGE_ID.fullmatch(image_id)
    if not found:
        return None
    return "manifest" if found["name"] else "configuration", f"sha256:{found['hex']}"


def short_name(image: str | None) -> str:
    """Return an image's name as Docker shortens it."""
    return (image or "unnamed").removeprefix("docker.io/").removeprefix("library/")
