"""The image table: which image names stand for which interpreter of this machine."""

import hashlib
import os
import platform
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# name[:tag][@digest] with an optional registry; the grammar of github.com/distribution/reference, shortened.
_REFERENCE = re.compile(
    r"(?P<name>(?:[A-Za-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?P<digest>@sha256:[0-9a-f]{64})?"
)
_PYTHON = "docker.io/library/python"


class ImageError(Exception):
    """The image cannot be had; ``reason`` is the container's waiting reason, the text the runtime's."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is there: its full name, ID, default command and environment, and its interpreter."""

    reference: str
    image_id: str
    description: str
    command: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    prefix: str
    executable: str


def find_image(name: str) -> Image:
    """Look ``name`` up as written in a pod; ImageError when it is malformed or not in the table."""
    reference = full_reference(name)
    if re.split(r"[:@]", reference)[0] != _PYTHON:
        detail = f"failed to resolve reference {_quoted(reference)}: {reference}: not found"
        raise ImageError("ErrImagePull", f"failed to pull and unpack image {_quoted(reference)}: {detail}")
    executable = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    version = platform.python_version()
    return Image(
        reference=reference,
        image_id=f"virtual-pi://cpython-{version}@sha256:{_sha256(executable)}",
        description=f"virtual Pi: stands for this machine's {platform.python_implementation()} {version}",
        command=("python3",),
        env=(
            ("PATH", "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("LANG", "C.UTF-8"),
            ("PYTHON_VERSION", version),
        ),
        prefix=os.path.realpath(sys.base_prefix),
        executable=executable,
    )


def full_reference(name: str) -> str:
    """``python:3.9`` → ``docker.io/library/python:3.9``, as in containerd; ImageError when malformed."""
    match = _REFERENCE.fullmatch(name)
    if match is None:
        quoted = _quoted(name)
        raise ImageError(
            "InvalidImageName",
            f"Failed to apply default image tag {quoted}: couldn't parse image name {quoted}: "
            "invalid reference format",
        )
    repository = match["name"]
    host, _, rest = repository.partition("/")
    if not rest:
        repository = f"docker.io/library/{repository}"
    elif "." not in host and ":" not in host and host != "localhost":
        repository = f"docker.io/{repository}"
    tag = match["tag"] or ("" if match["digest"] else "latest")
    return repository + (f":{tag}" if tag else "") + (match["digest"] or "")


def _quoted(text: str) -> str:
    return f'"{text}"'


@cache
def _sha256(executable: str) -> str:
    return hashlib.sha256(Path(executable).read_bytes()).hexdigest()
