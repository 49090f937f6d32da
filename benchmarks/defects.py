"""Spoil a measurement on purpose, for real: what do the figures, the ledger and the verdict say?

    make defects

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
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from pi_speedup.model.report import Report
from tests.containers.cluster import Cluster
from virtual_cluster.containers.docker import attempt, docker
from virtual_cluster.containers.images import WORKER

# Some 4 s a trial, and enough rounds for an interval.
SHORT = {"benchmark_samples_per_process": 6_000_000, "benchmark_rounds": 5, "benchmark_long_rounds": 2}
# The cgroup with a Pi's CPU budget, seen from inside of it; its share for Docker lies below.
_WORK = "$(find /sys/fs/cgroup -type d -name work | grep -m1 -E '/cpu[,/]|^/sys/fs/cgroup/[^/]*/?work')"
_HALF_A_BUDGET, _BUDGET = 25_000, 50_000
_CLOCK_AHEAD_SECONDS, _LATE_SECONDS = 0.8, 2


def main() -> None:
    """Measure on a cluster of its own."""
    with tempfile.TemporaryDirectory(prefix="defects-") as folder:
        cluster = Cluster(Path(folder) / "cluster")
        cluster.virtual_cluster("up")
        try:
            for name, defect in DEFECTS.items():
                with defect(cluster, Path(folder)):
                    outcome = cluster.play("benchmark.yml", benchmark_report_formats="json", **SHORT)
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
    for check in report.checks:
        if check.status == "flag":
            print(f"  {check.code} ({check.effect}): {check.found}")
    sys.stdout.flush()


@contextlib.contextmanager
def nothing(_cluster: Cluster, _folder: Path) -> Iterator[None]:
    """Leave all as it is."""
    yield


@contextlib.contextmanager
def busy_loop(cluster: Cluster, _folder: Path) -> Iterator[None]:
    """Compute for nothing on pi-2, within its budget."""
    loop = "import sys; open(sys.argv[1] + '/cgroup.procs', 'w').write('0')\nwhile True: pass"
    argv = [
        "docker",
        "exec",
        cluster.container("pi-2"),
        "sh",
        "-c",
        f'exec python3 -c "$1" "{_WORK}"',
        "sh",
        loop,
    ]
    process = subprocess.Popen(argv)
    try:
        yield
    finally:
        cluster.on("pi-2", "pkill", "-KILL", "-f", "while True: pass")
        process.wait()


@contextlib.contextmanager
def slow_pi(cluster: Cluster, _folder: Path) -> Iterator[None]:
    """Give pi-3 half of its budget."""
    with budget(cluster, "pi-3", ""):
        yield


@contextlib.contextmanager
def slow_base(cluster: Cluster, _folder: Path) -> Iterator[None]:
    """Give what Docker runs on pi-1 half of the Pi's budget; pods have all of it."""
    with budget(cluster, "pi-1", "/docker"):
        yield


@contextlib.contextmanager
def budget(cluster: Cluster, pi: str, below: str) -> Iterator[None]:
    def give(microseconds: int) -> None:
        folder = f"{_WORK}{below}"
        if cluster.on(pi, "sh", "-c", f"ls {folder}/cpu.max 2>/dev/null || true"):
            cluster.on(pi, "sh", "-c", f"echo {microseconds} 100000 > {folder}/cpu.max")
        else:
            cluster.on(
                pi, "sh", "-c", f"mkdir -p {folder} && echo {microseconds} > {folder}/cpu.cfs_quota_us"
            )

    give(_HALF_A_BUDGET)
    try:
        yield
    finally:
        give(_BUDGET)


@contextlib.contextmanager
def late_pods(cluster: Cluster, _folder: Path) -> Iterator[None]:
    """Let pi-3 take its time to start a container."""
    runc = cluster.on("pi-3", "which", "runc").strip()
    sleep = f'case " $* " in *" start "*) sleep {_LATE_SECONDS / 2} ;; esac'
    wrapper = f'#!/bin/sh\\n{sleep}\\nexec {runc}.real "$@"\\n'
    words = f"mv {runc} {runc}.real && printf '{wrapper}' > {runc} && chmod 755 {runc}"
    cluster.on("pi-3", "sh", "-c", words)
    try:
        yield
    finally:
        cluster.on("pi-3", "mv", f"{runc}.real", runc)


@contextlib.contextmanager
def other_python(cluster: Cluster, folder: Path) -> Iterator[None]:
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
        yield


@contextlib.contextmanager
def clock_ahead(cluster: Cluster, folder: Path) -> Iterator[None]:
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
        f"FROM {WORKER}\nCOPY sitecustomize.py /usr/lib/python3/dist-packages/sitecustomize.py\n"
    )
    library = cluster.on("pi-3", "find", "/usr/lib", "-name", "libfaketime.so.1").strip()
    setting = f"SetEnv LD_PRELOAD={library} FAKETIME=+{_CLOCK_AHEAD_SECONDS}s FAKETIME_DONT_FAKE_MONOTONIC=1"
    path = "/etc/ssh/sshd_config.d/clock.conf"
    cluster.on("pi-3", "sh", "-c", f"echo '{setting}' > {path}")
    cluster.restart_sshd("pi-3")
    try:
        with image(cluster, ["pi-1", "pi-2", "pi-3"], context):
            yield
    finally:
        cluster.on("pi-3", "rm", path)
        cluster.restart_sshd("pi-3")


@contextlib.contextmanager
def image(cluster: Cluster, pis: list[str], context: Path) -> Iterator[None]:
    """Build an image, and give it the worker's name on these Pis, for pods and for Docker."""
    name = "localhost/pi-speedup/spoilt:defects"
    # Without the buildx plugin the client refuses its default builder.
    builder = {} if attempt("buildx", "version").returncode == 0 else {"DOCKER_BUILDKIT": "0"}
    docker("build", "--network=host", f"--tag={name}", str(context), environment=builder)
    docker("tag", WORKER, "localhost/pi-speedup/right:defects")
    try:
        give(cluster, pis, name)
        yield
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


DEFECTS: dict[str, Callable[[Cluster, Path], AbstractContextManager[None]]] = {
    "nothing": nothing,
    "a busy loop on pi-2": busy_loop,
    "pi-3 at half its budget": slow_pi,
    "pi-3 with another Python": other_python,
    "pi-3's clock 0.8 s ahead": clock_ahead,
    "pi-3 starts pods 2 s late": late_pods,
    "the base case at half the budget": slow_base,
}


if __name__ == "__main__":
    main()
