"""A user's command in real containers: in an image without Python or bash, without a shell, out of bounds."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands import BASE_FIRST, JOB_FIRST, ODD, check, measure, reports
from tests.containers.cluster import PIS, Cluster
from tests.virtual import assert_told
from virtual_cluster.tests.rig import docker

BUSYBOX, WITHOUT_SH = "localhost/pi-speedup/busybox:test", "localhost/pi-speedup/without-sh:test"
# The Pis' own state matters to tests of its checks only.
UNSEEN = {"host_checks": False}
FIRST = {"in a pod": JOB_FIRST, "alone": BASE_FIRST}
both_sides = pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)


def import_image(name: str, *programs: str) -> None:
    """Make an image of nothing but a static busybox, under the names of some programs."""
    busybox = shutil.which("busybox")
    assert busybox, "apt-get install busybox-static"
    content, packed = Path(busybox).read_bytes(), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for number, program in enumerate(programs):
            entry = tarfile.TarInfo(f"bin/{program}")
            entry.mode = 0o755
            if number == 0:
                entry.size = len(content)
            else:
                entry.type, entry.linkname = tarfile.LNKTYPE, f"bin/{programs[0]}"
            archive.addfile(entry, io.BytesIO(content))
    run(["docker", "import", "-", name], packed.getvalue())


def run(argv: list[str], stdin: bytes = b"") -> bytes:
    done = subprocess.run(argv, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def _images(cluster: Cluster) -> Iterator[None]:
    """Have both images on each Pi, for its pods and for its Docker; nothing of them stays."""
    names = (BUSYBOX, WITHOUT_SH)
    import_image(BUSYBOX, *run(["busybox", "--list"]).decode().split())
    import_image(WITHOUT_SH, "app")
    archive = run(["docker", "save", *names])
    for pi in PIS:
        on_pi = ["docker", "exec", "--interactive", cluster.container(pi)]
        run([*on_pi, "ctr", "--namespace=k8s.io", "images", "import", "-"], archive)
    run(["docker", "exec", "--interactive", cluster.container(PIS[0]), "docker", "load"], archive)
    yield
    cluster.clean_up()
    for pi in PIS:
        cluster.on(pi, "ctr", "--namespace=k8s.io", "images", "rm", *names)
    cluster.on(PIS[0], "docker", "rmi", *names)
    docker("rmi", *names)


@pytest.mark.parametrize("divisible", [False, True], ids=["copies", "parts"])
def test_an_image_of_busybox_alone_is_enough(cluster: Cluster, tmp_path: Path, divisible: bool) -> None:
    command = (
        "head -c $((90000000 / PI_SPEEDUP_COUNT)) /dev/zero | sha256sum >&2\n"
        f'printf %s "$PI_SPEEDUP_INDEX of $PI_SPEEDUP_COUNT $ODD" {ODD}'
    )
    outcome = measure(
        cluster,
        tmp_path,
        **JOB_FIRST,
        **UNSEEN,
        command=command,
        image=BUSYBOX,
        divisible=divisible,
        environment={"ODD": ODD},
    )
    # The shell takes the outer quotes away.
    tail = f" {ODD}{ODD.strip(chr(39))}".encode()
    parts = ["0 of 3", "1 of 3", "2 of 3", "0 of 1"] if divisible else ["0 of 1"] * 4
    wanted = [hashlib.sha256(part.encode() + tail).hexdigest()[:32] for part in parts]
    found = reports(outcome)
    assert sorted(each.processes[0].output_sha256 for each in found) == sorted(wanted)
    assert {each.clock for each in found} == {"adjtimex"}
    for code in ("same_work", "same_output"):
        assert check(outcome, code)["status"] == "pass", outcome.output


@pytest.mark.fault(
    "command: an image without sh",
    "pi-1: image …/app:1 holds no sh (runc create failed: unable to start container process: exec: "
    '"sh": executable file not found in $PATH: unknown) [PS-504]. Next: give it one: printf '
    "'FROM …/app:1\\nCOPY --from=busybox:musl /bin/ /bin/\\n' … docker build --platform=linux/arm64 "
    "-t with-sh -; then bring that to the Pis (by a registry, or preload.yml), and set benchmark_image to it",
    kept="trials",
)
@both_sides
def test_an_image_without_sh_is_one_line_with_what_gives_it_one(
    cluster: Cluster, tmp_path: Path, first: dict[str, Any]
) -> None:
    outcome = measure(cluster, tmp_path, **first, **UNSEEN, command="app true", image=WITHOUT_SH)
    assert_told(
        outcome, r'^(pod \d on pi-\d|pi-1): .*exec: "sh": executable file not found.* \[PS-504\]\. Next: '
    )
    step = re.search(r"give it one: (printf .* -t with-sh -);", outcome.errors[0])
    assert step, outcome.errors
    # As it is shown, with the busybox that is here.
    docker_build = step[1].replace("busybox:musl", BUSYBOX)
    run(["env", "DOCKER_BUILDKIT=0", "sh", "-c", docker_build])
    needed = "for each in cut date head mktemp sed sha256sum tail wc; do command -v $each; done"
    try:
        docker("run", "--rm", "--network=none", "with-sh", "sh", "-ec", needed)
    finally:
        docker("rmi", "with-sh")


@pytest.mark.fault(
    "command: out of memory",
    "pod 0 on pi-3: the command was killed (exit code 137), perhaps for want of memory (and 2 more) "
    "[PS-522]. Next: raise benchmark_memory_limit_mib (whole log: logs/r001-00-together-3/….log)",
    kept="trials",
)
@both_sides
def test_a_command_that_takes_too_much_memory_is_one_line(
    cluster: Cluster, tmp_path: Path, first: dict[str, Any]
) -> None:
    bounds = {"memory_limit_mib": 48, "scratch_mib": 16}
    outcome = measure(cluster, tmp_path, **first, **UNSEEN, **bounds, command="sort /dev/zero", image=BUSYBOX)
    # By cgroup v2 Kubernetes has the whole container killed.
    assert_told(
        outcome,
        r"^(pod \d on pi-\d|pi-1): (the command was killed|the base case was killed|exit code 137, OOMKilled)"
        r".* \[PS-522\]\. Next: raise benchmark_memory_limit_mib",
    )


@pytest.mark.fault(
    "command: /tmp full",
    "pod 0 on pi-3: /tmp is full (and 2 more) [PS-528]. Next: raise benchmark_scratch_mib (whole log: "
    "logs/r001-00-together-3/….log)",
    kept="trials",
)
@both_sides
def test_a_command_that_fills_tmp_is_one_line(
    cluster: Cluster, tmp_path: Path, first: dict[str, Any]
) -> None:
    # That it takes no notice is no matter.
    command = 'head -c 100000000 /dev/zero >"$HOME/x"; echo done'
    outcome = measure(cluster, tmp_path, **first, **UNSEEN, scratch_mib=16, command=command, image=BUSYBOX)
    assert_told(
        outcome, r"^(pod \d on pi-\d|pi-1): /tmp is full.* \[PS-528\]\. Next: raise benchmark_scratch_mib"
    )
