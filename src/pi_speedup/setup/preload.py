"""An image from one archive on the control host to a Pi: for K3s's containerd, and for Docker or Podman."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pi_speedup.codes import Code
from pi_speedup.files import open_file
from pi_speedup.model.base import MAX_FILE_BYTES, Model, Text
from pi_speedup.pi.runtime import described, inspection
from pi_speedup.pi.shell import SECTION, Outcome, Shell, sections
from pi_speedup.problem import ProblemError, refuse
from pi_speedup.text import listed, one_line, tells_full_disk

# Of images, K3s takes in what it finds in its folder under a name such as this when it starts.
FILE = "pi-speedup.tar"
# Beside it, the SHA-256 of each archive that was put there, one a line. K3s takes no file of such a name.
_RECORD = f".{FILE}.sha256"
# Nothing is there, or what the record tells of.
_IS_OURS = (
    'test -e "$1" -o -L "$1" || { test -e "$2" || test ! -e "$1.partial"; exit; }; '
    'test -f "$1" -a ! -L "$1" && sum=$(sha256sum <"$1") && grep -qsxF "${sum%% *}" "$2"'
)
_REMOVE = 'test ! -e "$2" || rm -f "$1" "$1.partial" "$2"'
ARCHIVE_FILE = "archive.json"
_END = "section end 0 ''\n"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_INDEXES = 3


class Archive(Model):
    """archive.json: an archive as `docker save` writes it, and the one image in it that is wanted.

    `digest` is that of the image's configuration, which every runtime can tell; `layers` are the digests of
    its unpacked layers, `sha256` is that of the file.
    """

    path: Text
    image: Text
    digest: Text
    layers: tuple[Text, ...]
    sha256: Text


def read_archive(path: Path, image: str, architecture: str) -> Archive:
    """Return an archive; ProblemError if it cannot be read, lacks the image, or is for another processor."""
    where, make = f"archive {path}", f"docker save --output image.tar {image}"
    try:
        with open_file(path, follow=True) as file, tarfile.open(fileobj=file) as tar:
            entries = json.loads(_member(tar, "manifest.json"))
            found = {tag: str(entry["Config"]) for entry in entries for tag in entry["RepoTags"] or ()}
            wanted = {full_name(tag): config for tag, config in found.items()}.get(full_name(image))
            if wanted is None:
                raise refuse(
                    Code.ARCHIVE_NOT_VALID,
                    where,
                    f"holds {listed(found) or 'no named image'}, and not {image}",
                    make,
                )
            config = _member(tar, wanted)
        described = json.loads(config)
        layers = tuple(str(each) for each in described["rootfs"]["diff_ids"])
        built_for = str(described["architecture"])
        with open_file(path, follow=True) as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except ProblemError:
        raise
    except OSError as error:
        raise refuse(
            Code.ARCHIVE_NOT_VALID, where, f"cannot be read ({error.strerror or one_line(error, 80)})", make
        ) from None
    except (tarfile.TarError, ValueError, TypeError, LookupError, AttributeError):
        raise refuse(Code.ARCHIVE_NOT_VALID, where, "not an archive as docker save writes it", make) from None
    if built_for != architecture:
        raise refuse(
            Code.IMAGE_FOR_OTHER_PROCESSOR,
            where,
            f"{image} is built for {one_line(built_for, 20)}, benchmark_architecture is {architecture}",
            f"docker pull --platform linux/{architecture} {image}; then {make}",
        )
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    return Archive(path=str(path), image=image, digest=digest, layers=layers, sha256=sha256)


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    # Packed, a small archive may hold a large one of these.
    if file is None or tar.getmember(name).size > MAX_FILE_BYTES:
        raise LookupError(name)
    return file.read()


def full_name(image: str) -> str:
    """Return an image's name as containerd writes it: docker.io/library/python:3.9."""
    first, slash, rest = image.partition("/")
    if not slash or not (first == "localhost" or set(first) & set(".:")):
        image = f"docker.io/{image if slash else f'library/{image}'}"
        first, _, rest = image.partition("/")
    return image if ":" in rest or "@" in rest else f"{image}:latest"


@dataclass(frozen=True, slots=True)
class Target:
    """What takes the image on one Pi.

    `folder` is K3s's for images, `ctr` the command for its containerd, `runtime` docker or podman, empty for
    a Pi that runs no base case in a container. `root` and `user` are shells of both.
    """

    pi: str
    folder: str
    ctr: Sequence[str]
    runtime: str
    root: Shell
    user: Shell


def preload(archive: Archive, target: Target, upload: Callable[[], str]) -> tuple[bool, str]:
    """Have the image on a Pi, and see that it is this one; return whether that took anything, and a line.

    `upload` brings the archive to the Pi and returns its path there; it is called only if something lacks.
    ProblemError if the Pi then has another image, or none.
    """
    if _is_there(archive, target):
        return False, f"{target.pi}: has {archive.image} already ({_short(archive.digest)})"
    there, record = f"{target.folder}/{FILE}", f"{target.folder}/{_RECORD}"
    if not _is_ours(target):
        raise refuse(
            Code.FILE_IN_THE_WAY,
            target.pi,
            f"{there} is there already, and preload.yml did not put it there",
            f"ssh {target.pi} sudo mv {there} {there}.other; then run ansible-playbook preload.yml again",
        )
    sent = upload()
    if target.runtime:
        script = _step("loaded", (target.runtime, "load", "--input", sent))
        loaded = sections(target.pi, target.user.run(SECTION + script + _END), "loaded")["loaded"]
        _see_that_it_went(loaded, target, f"{target.runtime} load")
        _see_that_runtime_has_it(archive, target)
    steps = _step("folder", ("mkdir", "-p", target.folder))
    # Before and after: whenever this breaks off, the record tells of what is there.
    steps += _step("recorded", ("sh", "-c", 'echo "$1" >>"$2"', "sh", archive.sha256, record))
    # Whole or not at all: K3s may look at any moment.
    steps += _step("placed", ("cp", sent, f"{there}.partial")) + _step(
        "moved", ("mv", "-f", f"{there}.partial", there)
    )
    steps += _step("settled", ("sh", "-c", 'echo "$1" >"$2"', "sh", archive.sha256, record))
    steps += _step("ctr", ("sh", "-c", 'command -v "$1"', "sh", target.ctr[0]))
    names = ("folder", "recorded", "placed", "moved", "settled")
    found = sections(target.pi, target.root.run(SECTION + steps + _END), *names, "ctr")
    for name in names:
        _see_that_it_went(found[name], target, f"writing {there}")
    if found["ctr"].rc != 0:
        return True, f"{target.pi}: {there} is there; K3s is not, and takes it when it starts"
    script = _step("imported", (*target.ctr, "images", "import", there))
    imported = sections(target.pi, target.root.run(SECTION + script + _END), "imported")["imported"]
    _see_that_it_went(imported, target, f"{shlex.join(target.ctr)} images import")
    has = _digest_in_containerd(archive, target)
    if has != archive.digest:
        raise _other_image(archive, target, "containerd", has)
    return True, f"{target.pi}: has {archive.image} now ({_short(archive.digest)})"


def remove(target: Target) -> bool:
    """Remove the archive from K3s's folder; what was taken out of it stays, as a pulled image does.

    One that `preload` has not put there stays too.
    """
    if not _is_ours(target):
        return False
    there = f"{target.folder}/{FILE}"
    words = ("sh", "-c", _REMOVE, "sh", there, f"{target.folder}/{_RECORD}")
    script = _step("there", ("test", "-e", there)) + _step("removed", words)
    found = sections(target.pi, target.root.run(SECTION + script + _END), "there", "removed")
    _see_that_it_went(found["removed"], target, f"removing {there}")
    return found["there"].rc == 0


def _is_ours(target: Target) -> bool:
    words = ("sh", "-c", _IS_OURS, "sh", f"{target.folder}/{FILE}", f"{target.folder}/{_RECORD}")
    script = SECTION + _step("ours", words) + _END
    return sections(target.pi, target.root.run(script), "ours")["ours"].rc == 0


def _step(name: str, words: Sequence[str]) -> str:
    return f'said=$({shlex.join(words)} 2>&1); section {name} $? "$said"\n'


def _is_there(archive: Archive, target: Target) -> bool:
    there = f"{target.folder}/{FILE}"
    found = sections(target.pi, target.root.run(SECTION + _step("file", ("sha256sum", there)) + _END), "file")
    if not found["file"].said.startswith(archive.sha256):
        return False
    if _digest_in_containerd(archive, target) != archive.digest:
        return False
    return not target.runtime or _in_runtime(archive, target) is None


def _digest_in_containerd(archive: Archive, target: Target) -> str:
    """Return the digest of the configuration of containerd's image of this name, else an empty text."""
    words = (*target.ctr, "images", "ls", f"name=={full_name(archive.image)}")
    digest = _first_digest(_ask(target, words))
    for _ in range(_MOST_INDEXES):
        if not digest:
            return ""
        try:
            content = json.loads(_ask(target, (*target.ctr, "content", "get", digest)))
            if "config" in content:
                return str(content["config"]["digest"])
            digest = _first_digest(str(content["manifests"][0]["digest"]))
        except (ValueError, TypeError, LookupError):
            return ""
    return ""


def _ask(target: Target, words: Sequence[str]) -> str:
    script = SECTION + _step("asked", words) + _END
    return sections(target.pi, target.root.run(script), "asked")["asked"].said


def _first_digest(text: str) -> str:
    found = _DIGEST.search(text)
    return found[0] if found else ""


def _see_that_runtime_has_it(archive: Archive, target: Target) -> None:
    other = _in_runtime(archive, target)
    if other is not None:
        raise _other_image(archive, target, target.runtime, other)


def _in_runtime(archive: Archive, target: Target) -> str | None:
    """Return None if Docker or Podman has this image, else the digest of what it has, or an empty text."""
    script = SECTION + _step("image", inspection(target.runtime, archive.image)) + _END
    inspected = sections(target.pi, target.user.run(script), "image")["image"]
    try:
        found = described(inspected)
        digest = f"sha256:{str(found['Id']).removeprefix('sha256:')}"
        layers = tuple(found["RootFS"]["Layers"])
    except (ValueError, TypeError, LookupError):
        return ""
    # To Docker's containerd store the Id is a manifest's digest, which differs from store to store.
    return None if digest == archive.digest or layers == archive.layers else digest


def _see_that_it_went(outcome: Outcome, target: Target, what: str) -> None:
    if outcome.rc == 0:
        return
    step = f"sudo {shlex.join(target.ctr)} version"
    if target.runtime and what.startswith(f"{target.runtime} "):
        step = f"{target.runtime} info"
    if tells_full_disk(outcome.said):
        step = "df -h"
    lines = outcome.said.splitlines()
    said = one_line(lines[-1] if lines else "no word", 120)
    raise refuse(
        Code.PRELOAD_FAILED,
        target.pi,
        f"{what} failed ({said})",
        f"ssh {target.pi} {step}; then run ansible-playbook preload.yml again",
    )


def _other_image(archive: Archive, target: Target, who: str, has: str) -> ProblemError:
    found = _short(has) if has else "nothing"
    what = f"{who} has {found} as {archive.image}, and the archive {_short(archive.digest)}"
    return refuse(
        Code.PRELOAD_OTHER_IMAGE,
        target.pi,
        what,
        "run ansible-playbook preload.yml again; if it stays so, remove that image there",
    )


def _short(digest: str) -> str:
    return digest[:19]
