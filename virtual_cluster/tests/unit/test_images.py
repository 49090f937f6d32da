"""The image table."""

import pytest

from virtual_cluster.virtual_pi.images import ImageError, find_image, full_reference


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("python:3.9", "docker.io/library/python:3.9"),
        ("python", "docker.io/library/python:latest"),
        ("docker.io/library/python:3.9-slim", "docker.io/library/python:3.9-slim"),
        ("arm64v8/python:3.9", "docker.io/arm64v8/python:3.9"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
        ("ghcr.io/a/b@sha256:" + "0" * 64, "ghcr.io/a/b@sha256:" + "0" * 64),
    ],
    ids=["short", "without a tag", "full", "another owner", "a registry with a port", "a digest"],
)
def test_names_are_completed_as_by_containerd(name: str, reference: str) -> None:
    assert full_reference(name) == reference


@pytest.mark.parametrize("name", ["python:3.9", "docker.io/library/python:3.13"], ids=["short", "full"])
def test_python_is_this_machines(name: str) -> None:
    image = find_image(name)
    assert image.reference.endswith(name)
    assert image.image_id.startswith("virtual-pi://cpython-")


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("nosuch:1", "ErrImagePull", 'failed to pull and unpack image "docker.io/library/nosuch:1"'),
        ("registry.invalid/python:3.9", "ErrImagePull", "registry.invalid/python:3.9: not found"),
        ("Python:3.9", "InvalidImageName", "couldn't parse image name"),
    ],
    ids=["unknown", "another registry's python", "upper case"],
)
def test_other_images_are_refused_as_by_a_kubelet(name: str, reason: str, words: str) -> None:
    with pytest.raises(ImageError) as refusal:
        find_image(name)
    assert refusal.value.reason == reason
    assert words in str(refusal.value)
