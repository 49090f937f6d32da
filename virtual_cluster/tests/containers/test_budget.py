"""A virtual Pi of half a core gives half a core, however many of its containers ask for more."""

from __future__ import annotations

import time
from pathlib import Path

from virtual_cluster.tests.rig import ContainerRig, await_that, docker

CORES = 0.5
BUSY_PROCESSES = 3
MEASURED_SECONDS = 3.0
# The quota is handed out in periods of 0.1 s, of which one more may begin than fits.
PERIOD_SECONDS = 0.1
# The first has two children, which do as it does.
BUSY = "import os\nos.fork() and os.fork()\nwhile True: pass"


class Budget:
    """What the kernel accounts for the cgroup that a Pi's pods and containers are in."""

    def __init__(self, container_id: str) -> None:
        root = Path("/sys/fs/cgroup")
        first = root / "cpu" if (root / "cpu").is_dir() else root
        (self._folder,) = (
            path / "work" for path in first.rglob(f"*{container_id}*") if (path / "work").is_dir()
        )
        self._nanoseconds = Path(
            str(self._folder).replace("/cgroup/cpu/", "/cgroup/cpuacct/"), "cpuacct.usage"
        )

    def _stat(self) -> dict[str, int]:
        words = (self._folder / "cpu.stat").read_text().split()
        return {name: int(value) for name, value in zip(words[::2], words[1::2], strict=True)}

    @property
    def throttled_periods(self) -> int:
        return self._stat()["nr_throttled"]

    @property
    def seconds(self) -> float:
        if self._nanoseconds.exists():
            return int(self._nanoseconds.read_text()) / 1e9
        return self._stat()["usage_usec"] / 1e6


def test_three_busy_processes_share_half_a_core(cluster: ContainerRig) -> None:
    budget = Budget(docker("inspect", "--format={{.Id}}", cluster.container("pi-2")).strip())
    image = cluster.on("pi-2", "docker", "images", "--format={{.Repository}}:{{.Tag}}", "*/*/python3").strip()
    run = ("docker", "run", "--detach", "--rm", "--network=none", "--name=busy", image, "python3", "-c", BUSY)
    cluster.on("pi-2", *run)
    try:
        await_that(
            lambda: len(cluster.on("pi-2", "docker", "top", "busy").splitlines()) == 1 + BUSY_PROCESSES,
            "busy",
        )
        throttled = budget.throttled_periods
        used, began = budget.seconds, time.monotonic()
        await_that(lambda: time.monotonic() > began + MEASURED_SECONDS, "the time is over")
        used, took = budget.seconds - used, time.monotonic() - began
        # Asked for more all the time, and got no more. Less is the machine's other work.
        assert budget.throttled_periods > throttled
        assert used <= CORES * (took + 2 * PERIOD_SECONDS)
        assert used > 0
    finally:
        cluster.on("pi-2", "docker", "rm", "--force", "busy")
