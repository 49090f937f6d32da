"""One image, known by digests of two kinds."""

from __future__ import annotations

import pytest

from pi_speedup.report.images import comparable_kinds, digest, same_images, short_name

HEX = "4d" * 32


@pytest.mark.parametrize(
    ("image_id", "expected"),
    [
        (f"docker.io/library/python@sha256:{HEX}", ("manifest", f"sha256:{HEX}")),
        (f"docker-pullable://python@sha256:{HEX}", ("manifest", f"sha256:{HEX}")),
        (f"sha256:{HEX}", ("configuration", f"sha256:{HEX}")),
        (HEX, ("configuration", f"sha256:{HEX}")),
        ("latest", None),
        (f"sha256:{HEX}ff", None),
    ],
    ids=["pulled", "dockershim's", "imported", "without a prefix", "a tag", "too long"],
)
def test_what_an_id_is_the_digest_of(image_id: str, expected: tuple[str, str] | None) -> None:
    assert digest(image_id) == expected


def test_those_who_share_a_digest_by_way_of_others_had_the_same() -> None:
    manifest, configuration = f"python@sha256:{HEX}", f"sha256:{'c0' * 32}"
    (group,) = same_images({"a": [manifest], "b": [manifest, configuration], "c": [configuration]})
    assert group.owners == ("a", "b", "c") and len(group.digests) == 2


def test_a_configuration_says_nothing_of_a_manifest() -> None:
    groups = same_images({"a": [f"python@sha256:{HEX}"], "b": [f"sha256:{HEX}"], "c": [], "d": ["latest"]})
    assert [group.owners for group in groups] == [("a",), ("b",), ("c", "d")]
    assert comparable_kinds(groups) == frozenset()


@pytest.mark.parametrize(
    ("image", "expected"),
    [("docker.io/library/python:3.9", "python:3.9"), ("ghcr.io/a/b:1", "ghcr.io/a/b:1"), (None, "unnamed")],
    ids=["Docker's long form", "another registry", "none"],
)
def test_short_names(image: str | None, expected: str) -> None:
    assert short_name(image) == expected
