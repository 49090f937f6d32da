"""The images of a virtual Pi and of its pods: built once per machine from one Dockerfile."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from virtual_cluster.binary import cache_folder
from virtual_cluster.containers.docker import attempt, docker
from virtual_cluster.errors import LabError, last_line
from virtual_cluster.progress import Progress

_SOURCES = Path(__file__).resolve().parent / "image"
_PUBLISHED_BASE = "debian:bookworm-slim"
_OWN_BASE = "pi-speedup/debian:bookworm"
_PULL_TIMEOUT_SECONDS = 120.0
_BUILD_TIMEOUT_SECONDS = 1200.0
# The name says where it comes from: no registry has it, so nobody may pull it by mistake.
WORKER = "localhost/pi-speedup/python3:bookworm"
PAUSE = "localhost/pi-speedup/pause:bookworm"


@dataclass(frozen=True, slots=True)
class Images:
    """The Pi's image by name, and the archive of what its containerd and Docker shall hold."""

    pi: str
    archive: Path


def find_images(base: str | None, progress: Progress) -> Images:
    """The images, built first if need be (a minute); `base` is any Debian bookworm, None for the usual one.

    Raises LabError if a build fails or there is no base.
    """
    cache = cache_folder(os.environ)
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "images.lock"):
        key = _key(base)
        pi = f"pi-speedup/pi:{key}"
        archive = cache / f"images-{key}.tar"
        if attempt("image", "inspect", pi).returncode != 0 or not archive.exists():
            _build(base or _find_base(progress), pi, archive, progress)
        return Images(pi, archive)


def _key(base: str | None) -> str:
    digest = hashlib.sha256(repr(base).encode())
    for name in ("Dockerfile", "pi_init.py"):
        digest.update((_SOURCES / name).read_bytes())
    return digest.hexdigest()[:12]


def _build(base: str, pi: str, archive: Path, progress: Progress) -> None:
    progress.step("Building the virtual Pi's image, once: about a minute")
    # Without the buildx plugin the client refuses its default builder.
    builder = {} if attempt("buildx", "version").returncode == 0 else {"DOCKER_BUILDKIT": "0"}
    for target, name in (("python", WORKER), ("pause", PAUSE), ("pi", pi)):
        # network=host: the packages come the way they come to this machine.
        words = ("--network=host", f"--build-arg=BASE={base}", f"--target={target}", f"--tag={name}")
        docker("build", *words, str(_SOURCES), timeout_seconds=_BUILD_TIMEOUT_SECONDS, environment=builder)
    partial = archive.with_suffix(".partial")
    docker("save", f"--output={partial}", WORKER, PAUSE, timeout_seconds=_BUILD_TIMEOUT_SECONDS)
    partial.replace(archive)


def _find_base(progress: Progress) -> str:
    for image in (_PUBLISHED_BASE, _OWN_BASE):
        if attempt("image", "inspect", image).returncode == 0:
            return image
    progress.step(f"Pulling {_PUBLISHED_BASE}")
    pulled = attempt("pull", _PUBLISHED_BASE, timeout_seconds=_PULL_TIMEOUT_SECONDS)
    if pulled.returncode == 0:
        return _PUBLISHED_BASE
    debootstrap = shutil.which("debootstrap")
    if debootstrap is None or os.geteuid() != 0:
        raise LabError(
            f"cannot pull {_PUBLISHED_BASE} ({last_line(pulled.stderr)}), nor make a Debian here. "
            "Next: mend the network, or apt-get install debootstrap and run this as root"
        )
    progress.step(f"{_PUBLISHED_BASE} cannot be pulled; making a Debian with debootstrap: half a minute")
    with tempfile.TemporaryDirectory(prefix="pi-speedup-debian-") as folder:
        _bootstrap(debootstrap, Path(folder))
    return _OWN_BASE


def _bootstrap(debootstrap: str, folder: Path) -> None:
    root = folder / "root"
    made = subprocess.run(
        [debootstrap, "--variant=minbase", "bookworm", str(root)],
        capture_output=True,
        text=True,
        timeout=_BUILD_TIMEOUT_SECONDS,
        check=False,
    )
    if made.returncode != 0:
        raise LabError(f"debootstrap failed: {last_line(made.stdout or made.stderr)}")
    archive = folder / "root.tar"
    leave_out = [
        f"--exclude=./{path}" for path in ("var/cache/apt/*", "var/lib/apt/lists/*", "usr/share/doc/*")
    ]
    subprocess.run(["tar", "-C", str(root), *leave_out, "-cf", str(archive), "."], check=True)
    docker("import", str(archive), _OWN_BASE, timeout_seconds=_BUILD_TIMEOUT_SECONDS)
