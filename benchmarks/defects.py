"""Spoil a measurement on purpose, for real: what do the figures, the ledger and the verdict say?

    make defects
    python benchmarks/defects.py clock      those with a word in their name

On Pis in containers. First an undisturbed run, then one with each defect: a busy loop on one Pi, one Pi at
half its budget, one with another Python, one whose clock is 0.8 s ahead, one that starts its pods 2 s late, a
slow base case. Prints the speedup, the ledger's factors and what each check that flags found. Needs Docker,
root, and a machine with nothing else to do.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from pi_speedup.model.report import Report
from tests.containers.cluster import Cluster
from virtual_cluster.containers.docker import attempt, docker
from virtual_cluster.containers.images import WORKER
from virtual_cluster.tests.rig import await_that

# Some 4 s a trial, and enough rounds for an interval.
SHORT = {"benchmark_samples_per_process": 16_000_000, "benchmark_rounds": 5, "benchmark_long_rounds": 0}
# Microseconds of each 100 ms.
_LIMIT, _HALF_THE_LIMIT = "50000", "25000"
# What a Pi calls the cgroup with the budget of all it runs.
_CGROUP = "work"
# The settings that a spoilt run has beside SHORT.
Spoilt = dict[str, object]
_CLOCK_AHEAD_SECONDS, _LATE_SECONDS = 0.8, 2


def main(word: str = "") -> None:
    """Measure on a cluster of its own."""
    with tempfile.TemporaryDirectory(prefix="defects-") as folder:
        cluster = Cluster(Path(folder) / "cluster")
        cluster.virtual_cluster("up")
        try:
            chosen = {name: defect for name, defect in DEFECTS.items() if word in name}
            for name, defect in chosen.items():
                with defect(cluster, Path(folder)) as beside:
                    words = {**SHORT, "benchmark_report_formats": "json", **beside}
                    outcome = cluster.play("benchmark.yml", **words)
                assert outcome.exit_code == 0, outcome.output
                show(name, Report.model_validate_json((outcome.run_dir / "report.json").read_bytes()))
        finally:
            cluster.virtual_cluster("down")


def show(name: str, report: Report) -> None:
    """Print what a run said."""
    found, ledger = report.comparisons[0].speedup, report.ledger
    assert found is not None and ledger is not None
    interval, mean = found.interval, ledger.mean
    between = f"{interval.low:.2f} to {interval.high:.2f}" if interval else "no interval"
    print(f"\n{name}: {found.value:.2f} ({between}), {report.verdict.status}")
    print(
        f"  {mean.efficiency:.1%} = {mean.alone_against_together:.1%} alone against together x "
        f"{mean.balance:.1%} balance x {mean.starting_together:.1%} starting together"
    )
    for control in report.controls:
        print(f"  {control.title}: {control.ratio:.3f}")
    for check in report.checks:
        if check.status == "flag":
            print(f"  {check.code} ({check.effect}): {check.found}")
    sys.stdout.flush()


@contextlib.contextmanager
def nothing(_cluster: Cluster, _folder: Path) -> Iterator[Spoilt]:
    """Leave all as it is."""
    yield {}


@contextlib.contextmanager
def control_round(_cluster: Cluster, _folder: Path) -> Iterator[Spoilt]:
    """Measure a round more, with less CPU by a known share."""
    yield {"benchmark_control_round": "true"}


@contextlib.contextmanager
def busy_loop(cluster: Cluster, _folder: Path) -> Iterator[Spoilt]:
    """Compute for nothing on pi-2, within its budget."""
    argv = ["docker", "exec", cluster.container("pi-2"), "python3", "-c", "while True: pass"]
    process = subprocess.Popen(argv)
    try:
        await_that(lambda: busy_loops(cluster), "the loop runs")
        (cpu_budget(cluster, "pi-2").parent / "busy").mkdir(exist_ok=True)
        (cpu_budget(cluster, "pi-2").parent / "busy/cgroup.procs").write_text(busy_loops(cluster))
        yield {}
    finally:
        cluster.on("pi-2", "pkill", "-KILL", "-f", "while True: pass")
        process.wait()


def busy_loops(cluster: Cluster) -> str:
    """Return the number, on the host, of the process that computes for nothing."""
    running = docker("top", cluster.container("pi-2"), "-eo", "pid,args").splitlines()
    return next((line.split()[0] for line in running if line.endswith("while True: pass")), "")


@contextlib.contextmanager
def slow_pi(cluster: Cluster, _folder: Path) -> Iterator[Spoilt]:
    """Give pods on pi-3 half of what they may have."""
    with halved(cluster, "pi-3", "kubepods"):
        yield {}


@contextlib.contextmanager
def slow_base(cluster: Cluster, _folder: Path) -> Iterator[Spoilt]:
    """Give what Docker runs on pi-1 half of what it may have; pods have all of it."""
    with halved(cluster, "pi-1", "docker"):
        yield {}


@contextlib.contextmanager
def halved(cluster: Cluster, pi: str, below: str) -> Iterator[Spoilt]:
    """Halve the CPU limit of each container as soon as it has one.

    A whole Pi's budget can't be lower than that of a pod: version 1 of cgroups refuses to make the pod's.
    """
    file, over = cpu_budget(cluster, pi), threading.Event()

    def halve() -> None:
        while not over.wait(0.02):
            # A container's folder has 64 digits for a name; its limit is there a moment after it.
            for each in (file.parent / below).glob(f"**/{'[0-9a-f]' * 64}/{file.name}"):
                with contextlib.suppress(OSError):
                    if each.read_text().split()[0] == _LIMIT:
                        each.write_text(_HALF_THE_LIMIT)

    thread = threading.Thread(target=halve)
    thread.start()
    try:
        yield {}
    finally:
        over.set()
        thread.join()


def cpu_budget(cluster: Cluster, pi: str) -> Path:
    """Return the file with the CPU budget of what runs on a Pi: of cgroup version 1 or 2."""
    number = docker("inspect", "--format", "{{.Id}}", cluster.container(pi)).strip()
    for name in ("cpu.cfs_quota_us", "cpu.max"):
        for found in Path("/sys/fs/cgroup").glob(f"**/*{number}*/{_CGROUP}/{name}"):
            return found
    raise FileNotFoundError(f"{pi} has no CPU budget")


@contextlib.contextmanager
def late_pods(cluster: Cluster, _folder: Path) -> Iterator[Spoilt]:
    """Let pi-3 take its time to start a container."""
    runc = cluster.on("pi-3", "which", "runc").strip()
    sleep = f'case " $* " in *" start "*) sleep {_LATE_SECONDS / 2} ;; esac'
    wrapper = f'#!/bin/sh\\n{sleep}\\nexec {runc}.real "$@"\\n'
    words = f"mv {runc} {runc}.real && printf '{wrapper}' > {runc} && chmod 755 {runc}"
    cluster.on("pi-3", "sh", "-c", words)
    try:
        yield {}
    finally:
        cluster.on("pi-3", "mv", f"{runc}.real", runc)


@contextlib.contextmanager
def other_python(cluster: Cluster, folder: Path) -> Iterator[Spoilt]:
    """Let pi-3 have another Python under the image's name: this machine's."""
    context = folder / "other-python"
    prefix = Path(sys.base_prefix)
    shutil.copytree(
        prefix, context / "python", symlinks=True, ignore=shutil.ignore_patterns("test", "__pycache__")
    )
    python = f"/opt/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    (context / "Dockerfile").write_text(
        f"FROM {WORKER}\nCOPY python /opt/python\nRUN ln -sf {python} /usr/bin/python3 "
        "&& ln -sf /opt/python/bin/python3 /usr/local/bin/python3\nENV LD_LIBRARY_PATH=/opt/python/lib\n"
    )
    with image(cluster, ["pi-3"], context):
        yield {}


@contextlib.contextmanager
def clock_ahead(cluster: Cluster, folder: Path) -> Iterator[Spoilt]:
    """Let pi-3 tell a time that is ahead, over SSH and in its pods; the kernel's clock is everybody's."""
    context = folder / "clock"
    context.mkdir()
    (context / "sitecustomize.py").write_text(
        "import os, time\n"
        "if os.environ.get('NODE_NAME') == 'pi-3':\n"
        "    right = time.time_ns\n"
        f"    time.time_ns = lambda: right() + {int(_CLOCK_AHEAD_SECONDS * 1e9)}\n"
        "    time.time = lambda: time.time_ns() / 1e9\n"
    )
    (context / "Dockerfile").write_text(
        f"FROM {WORKER}\nCOPY sitecustomize.py /usr/lib/python3.11/sitecustomize.py\n"
    )
    with (
        cluster.clock_ahead("pi-3", _CLOCK_AHEAD_SECONDS),
        image(cluster, ["pi-1", "pi-2", "pi-3"], context),
    ):
        yield {}


@contextlib.contextmanager
def image(cluster: Cluster, pis: list[str], context: Path) -> Iterator[Spoilt]:
    """Build an image, and give it the worker's name on these Pis, for pods and for Docker."""
    name = "localhost/pi-speedup/spoilt:defects"
    # Without the buildx plugin the client refuses its default builder.
    builder = {} if attempt("buildx", "version").returncode == 0 else {"DOCKER_BUILDKIT": "0"}
    docker("build", "--network=host", f"--tag={name}", str(context), environment=builder)
    docker("tag", WORKER, "localhost/pi-speedup/right:defects")
    try:
        give(cluster, pis, name)
        yield {}
    finally:
        give(cluster, pis, "localhost/pi-speedup/right:defects")
        docker("rmi", "--force", name, "localhost/pi-speedup/right:defects")


def give(cluster: Cluster, pis: list[str], name: str) -> None:
    """Let an image have the worker's name on these Pis."""
    for pi in pis:
        # `docker save` and `load` name the image; what had the name before loses it.
        container = cluster.container(pi)
        for load in (["ctr", "--namespace=k8s.io", "images", "import", "-"], ["docker", "load"]):
            with subprocess.Popen(["docker", "save", name], stdout=subprocess.PIPE) as saved:
                subprocess.run(
                    ["docker", "exec", "-i", container, *load],
                    stdin=saved.stdout,
                    capture_output=True,
                    check=True,
                )
        cluster.on(pi, "ctr", "--namespace=k8s.io", "images", "tag", "--force", name, WORKER)
        cluster.on(pi, "docker", "tag", name, WORKER)


DEFECTS: dict[str, Callable[[Cluster, Path], AbstractContextManager[Spoilt]]] = {
    "nothing": nothing,
    "nothing, and a control round": control_round,
    "a busy loop on pi-2": busy_loop,
    "pi-3 at half its budget": slow_pi,
    "pi-3 with another Python": other_python,
    "pi-3's clock 0.8 s ahead": clock_ahead,
    "pi-3 starts pods 2 s late": late_pods,
    "the base case at half the budget": slow_base,
}


if __name__ == "__main__":
    main(*sys.argv[1:])
