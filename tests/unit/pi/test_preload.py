"""What an archive holds, and what is done on a Pi until it has this image and no other."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.pi.shell import ShellOutcome
from pi_speedup.problem import ProblemError
from pi_speedup.setup.preload import Archive, Target, full_name, preload, read_archive, remove
from tests.look_alikes import seen
from tests.unit.pi.local import LocalShell

IMAGE = "python:3.9"
CONFIG = json.dumps({"architecture": "arm64", "rootfs": {"diff_ids": ["sha256:aa"]}}).encode()
DIGEST = f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"
MANIFEST = [{"Config": "config.json", "RepoTags": [IMAGE], "Layers": []}]


def written(folder: Path, **files: bytes) -> Path:
    path = folder / "image.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{name}.json")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_an_archive_is_known_by_its_images_digest(tmp_path: Path) -> None:
    path = written(tmp_path, manifest=json.dumps(MANIFEST).encode(), config=CONFIG)
    found = read_archive(path, "docker.io/library/python:3.9", "arm64")
    assert (found.digest, found.layers) == (DIGEST, ("sha256:aa",))
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


BAD: dict[str, tuple[dict[str, bytes], str, str]] = {
    "another image": (
        {"manifest": json.dumps(MANIFEST).encode(), "config": CONFIG},
        "debian:12",
        "holds python:3.9, and not debian:12",
    ),
    "no manifest": ({"config": CONFIG}, IMAGE, "not an archive as docker save writes it"),
    "a manifest of something else": ({"manifest": b"{}"}, IMAGE, "holds no named image"),
    "no configuration": (
        {"manifest": json.dumps(MANIFEST).encode()},
        IMAGE,
        "not an archive as docker save writes it",
    ),
    "for another processor": (
        {"manifest": json.dumps(MANIFEST).encode(), "config": CONFIG.replace(b"arm64", b"amd64")},
        IMAGE,
        "python:3.9 is built for amd64, benchmark_architecture is arm64",
    ),
}


@pytest.mark.parametrize(("files", "image", "what"), BAD.values(), ids=BAD)
def test_an_archive_that_will_not_do_is_refused(
    tmp_path: Path, files: dict[str, bytes], image: str, what: str
) -> None:
    path = written(tmp_path, **files)
    with pytest.raises(ProblemError, match=rf"^archive {re.escape(f'{path}: {what}')}.*\. Next: docker "):
        read_archive(path, image, "arm64")


@pytest.mark.parametrize("content", [b"", b"no archive", None], ids=["empty", "no archive", "missing"])
def test_a_file_that_is_not_an_archive_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "README.md"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ProblemError) as caught:
        read_archive(path, IMAGE, "arm64")
    # The next step must not overwrite what was named by mistake.
    assert f"--output {path}" not in str(caught.value)


NAMES = {
    "python": "docker.io/library/python:latest",
    "python:3.9": "docker.io/library/python:3.9",
    "user/python": "docker.io/user/python:latest",
    "ghcr.io/a/b:1": "ghcr.io/a/b:1",
    "registry:5000/a": "registry:5000/a:latest",
    "localhost/a/b:1": "localhost/a/b:1",
    "python@sha256:aa": "docker.io/library/python@sha256:aa",
}


@pytest.mark.parametrize(("given", "expected"), NAMES.items(), ids=NAMES)
def test_full_names(given: str, expected: str) -> None:
    assert full_name(given) == expected


class Pi:
    """Answers scripts by the words in their commands: the first row that matches wins."""

    def __init__(self, *answers: tuple[str, int, str]) -> None:
        self.answers = answers
        self.scripts: list[str] = []

    def run(self, command: str, stdin: bytes = b"") -> ShellOutcome:
        self.scripts.append(command)
        said = ""
        for words, name in re.findall(r"^said=\$\((.*) 2>&1\); section (\w+) ", command, re.MULTILINE):
            rc, text = next(((rc, text) for found, rc, text in self.answers if found in words), (0, ""))
            said += f"\npi-speedup: {name} {rc}\n{text}\n"
        return ShellOutcome(0, f"{said}\npi-speedup: end 0\n\n".encode())


LISTED = ("images ls", 0, f"REF TYPE DIGEST\n{IMAGE} x sha256:{'1' * 64}")
OURS = ("content get", 0, json.dumps({"config": {"digest": DIGEST}}))
OTHER = ("content get", 0, json.dumps({"config": {"digest": f"sha256:{'2' * 64}"}}))
INSPECTED = (
    "image inspect",
    0,
    json.dumps([{"Id": DIGEST.removeprefix("sha256:"), "RootFS": {"Layers": []}}]),
)


def done(*answers: tuple[str, int, str], runtime: str = "docker") -> tuple[bool, str, int]:
    """Return what came of a preload on a Pi that answers so, and how often the archive was sent."""
    pi: Any = Pi(*answers)
    sent: list[str] = []

    def upload() -> str:
        sent.append("x")
        return "/home/pi/x.tar"

    archive = Archive(path="image.tar", image=IMAGE, digest=DIGEST, layers=("sha256:aa",), sha256="f" * 64)
    target = Target("pi-1", "/images", ["k3s", "ctr"], runtime, root=pi, user=pi)
    changed, line = preload(archive, target, upload)
    return changed, line, len(sent)


def test_a_pi_that_has_it_gets_nothing_sent() -> None:
    there = ("sha256sum", 0, f"{'f' * 64}  /images/pi-speedup.tar")
    changed, line, sent = done(there, LISTED, OURS, INSPECTED)
    assert (changed, sent) == (False, 0)
    assert line == f"pi-1: has python:3.9 already ({DIGEST[:19]})"


def test_before_k3s_is_there_the_file_waits_for_it() -> None:
    changed, line, sent = done(("command -v", 1, ""), INSPECTED)
    assert (changed, sent) == (True, 1)
    assert line == "pi-1: /images/pi-speedup.tar is there; K3s is not, and takes it when it starts"


def test_an_index_is_followed_to_the_image() -> None:
    index = (
        f"content get sha256:{'1' * 64}",
        0,
        json.dumps({"manifests": [{"digest": f"sha256:{'3' * 64}"}]}),
    )
    assert done(LISTED, index, OURS, INSPECTED)[1] == f"pi-1: has python:3.9 now ({DIGEST[:19]})"


FAILS: dict[str, tuple[list[tuple[str, int, str]], str]] = {
    "docker is down": (
        [("docker load", 1, "Cannot connect to the Docker daemon")],
        "docker load failed (Cannot connect to the Docker daemon) [PS-812]. Next: ssh pi-1 docker info",
    ),
    "the disk is full": (
        [("cp ", 1, "cp: error writing 'x': No space left on device"), INSPECTED],
        "writing /images/pi-speedup.tar failed (cp: error writing 'x': No space left on device) [PS-812]. "
        "Next: ssh pi-1 df -h",
    ),
    "containerd is down": (
        [("images import", 1, "ctr: failed to dial"), INSPECTED],
        "k3s ctr images import failed (ctr: failed to dial) [PS-812]. Next: ssh pi-1 sudo k3s ctr version",
    ),
    "containerd has another": (
        [LISTED, OTHER, INSPECTED],
        f"containerd has sha256:{'2' * 12} as python:3.9, and the archive {DIGEST[:19]} [PS-813]. Next: run",
    ),
    "containerd has none": (
        [("images ls", 0, "REF TYPE DIGEST"), INSPECTED],
        "containerd has nothing as python:3.9, and the archive ",
    ),
    "docker has another": (
        [
            (
                "image inspect",
                0,
                json.dumps([{"Id": f"sha256:{'4' * 64}", "RootFS": {"Layers": ["sha256:bb"]}}]),
            )
        ],
        f"docker has sha256:{'4' * 12} as python:3.9, and the archive ",
    ),
    "docker has none": (
        [("image inspect", 1, "Error: No such image")],
        "docker has nothing as python:3.9, and the archive ",
    ),
}


@pytest.mark.parametrize(("answers", "line"), FAILS.values(), ids=FAILS)
def test_what_fails_on_a_pi_is_one_line(answers: list[tuple[str, int, str]], line: str) -> None:
    with pytest.raises(ProblemError) as caught:
        done(*answers)
    assert str(caught.value).startswith(f"pi-1: {line}")


def test_dockers_containerd_store_is_told_by_the_layers() -> None:
    inspected = (
        "image inspect",
        0,
        json.dumps([{"Id": f"sha256:{'4' * 64}", "RootFS": {"Layers": ["sha256:aa"]}}]),
    )
    assert done(LISTED, OURS, inspected)[0]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """K3s's folder for images, on a Pi where K3s does not run yet."""
    return tmp_path / "images"


def to_this_machine(folder: Path) -> Target:
    here = LocalShell(folder.parent)
    return Target("pi-1", str(folder), ["no-k3s"], "", root=here, user=here)


def put_there(folder: Path, content: bytes) -> None:
    sent = folder.parent / "sent.tar"
    sent.write_bytes(content)
    archive = Archive(
        path=str(sent), image=IMAGE, digest=DIGEST, layers=(), sha256=hashlib.sha256(content).hexdigest()
    )
    preload(archive, to_this_machine(folder), lambda: str(sent))


def test_what_was_put_there_is_replaced_and_removed(images: Path) -> None:
    for content in (b"one", b"two"):
        put_there(images, content)
        assert (images / "pi-speedup.tar").read_bytes() == content
    assert remove(to_this_machine(images))
    assert list(images.iterdir()) == []
    assert not remove(to_this_machine(images))


def test_what_broke_off_is_ours_too(images: Path) -> None:
    put_there(images, b"one")
    record = images / ".pi-speedup.tar.sha256"
    # Before the next one was in its place: the record tells of both.
    record.write_text(record.read_text() + hashlib.sha256(b"two").hexdigest() + "\n")
    (images / "pi-speedup.tar.partial").write_bytes(b"tw")
    put_there(images, b"two")
    (images / "pi-speedup.tar").unlink()
    (images / "pi-speedup.tar.partial").write_bytes(b"tw")
    assert not remove(to_this_machine(images))
    assert list(images.iterdir()) == []


OF_OTHERS: dict[str, Callable[[Path], object]] = {
    "a file": lambda path: path.write_bytes(b"mine"),
    "a link": lambda path: path.symlink_to("airgap.tar"),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a folder": Path.mkdir,
    "a part": lambda path: path.with_name(f"{path.name}.partial").write_bytes(b"mine"),
}


@pytest.mark.fault(
    "an archive of others in K3s's folder for images",
    "pi-1: …/pi-speedup.tar is there already, and preload.yml did not put it there [PS-704]. "
    "Next: ssh pi-1 sudo mv …; then run ansible-playbook preload.yml again",
    kept="theirs",
    row="a file",
)
@pytest.mark.parametrize("put", OF_OTHERS.values(), ids=OF_OTHERS)
def test_an_archive_of_others_stays(images: Path, put: Callable[[Path], object]) -> None:
    images.mkdir()
    (images / "airgap.tar").write_bytes(b"mine")
    put(images / "pi-speedup.tar")
    before = seen(images)
    with pytest.raises(ProblemError, match=r"tar is there already, .*\[PS-704\]\. Next: ssh pi-1 sudo mv "):
        put_there(images, b"one")
    assert not remove(to_this_machine(images))
    assert seen(images) == before


def test_one_that_was_changed_since_stays(images: Path) -> None:
    put_there(images, b"one")
    (images / "pi-speedup.tar").write_bytes(b"mine")
    before = seen(images)
    assert not remove(to_this_machine(images))
    assert seen(images) == before
