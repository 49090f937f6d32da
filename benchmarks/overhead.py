"""What the playbook costs beyond the bare steps: both on one lab, in turn, with next to nothing to compute.

    make overhead

A is `ansible-playbook benchmark.yml` with one comparison. B is bare.sh: the steps by hand. Prints the wall
seconds of each pair, the ratio A/B pair by pair with its median, and how many requests A made, counted from
the API server's audit log.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.lab.lab import PROJECT, Lab

PAIRS = 9


def main() -> None:
    """Measure PAIRS pairs on a lab of its own, after one of each that isn't counted."""
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        lab = Lab(Path(folder) / "lab")
        lab.virtual_cluster("up", "--pis", "3", "--cpus", "0.5")
        try:
            measure(lab)
        finally:
            lab.virtual_cluster("down")


def measure(lab: Lab) -> None:
    """Print the pairs, the ratios and the requests."""
    requests_first = count_requests(lab, lambda: playbook(lab))
    bare(lab)
    print(f"{'pair':>4} {'playbook s':>11} {'bare s':>8} {'ratio':>6}")
    ratios = []
    requests: Counter[str] = Counter()
    for pair in range(1, PAIRS + 1):
        seconds: dict[str, float] = {}

        def timed_playbook(seconds: dict[str, float] = seconds) -> None:
            seconds["playbook"] = playbook(lab)

        requests = count_requests(lab, timed_playbook)
        seconds["bare"] = bare(lab)
        ratios.append(seconds["playbook"] / seconds["bare"])
        print(
            f"{pair:>4} {seconds['playbook']:>11.2f} {seconds['bare']:>8.2f} {ratios[-1]:>6.2f}", flush=True
        )
    print(f"ratio: median {statistics.median(ratios):.2f}, least {min(ratios):.2f}, most {max(ratios):.2f}")
    for title, counted in (("first run", requests_first), ("last run", requests)):
        print(f"API requests of the {title}: {counted.total()}")
        for what, times in sorted(counted.items()):
            print(f"  {times} {what}")


def playbook(lab: Lab) -> float:
    """Run the playbook once; return its wall seconds."""
    start = time.perf_counter()
    outcome = lab.play("benchmark.yml", benchmark_samples_per_pod=1, benchmark_scalings="strong")
    seconds = time.perf_counter() - start
    assert outcome.exit_code == 0, outcome.output
    return seconds


def bare(lab: Lab) -> float:
    """Run the steps by hand once; return their wall seconds."""
    build = [sys.executable, str(PROJECT / "virtual_cluster"), "build"]
    kubernetes = subprocess.run(build, capture_output=True, text=True, check=True).stdout.split()[-1]
    environment = {**os.environ, "KUBECONFIG": str(lab.folder / "kubeconfig")}
    exec_on_pi = [
        sys.executable,
        str(PROJECT / "virtual_cluster"),
        "exec",
        "--dir",
        str(lab.folder),
        "pi-1",
        "--",
    ]
    argv = ["bash", str(PROJECT / "benchmarks" / "bare.sh"), kubernetes, *exec_on_pi, sys.executable]
    start = time.perf_counter()
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Estimated Pi") == 4, done.stdout
    return seconds


def count_requests(lab: Lab, run: object) -> Counter[str]:
    """Return the requests of the lab's administrator while `run` ran: verb and path without names of ours."""
    log = lab.folder / "audit.log"
    offset = log.stat().st_size
    assert callable(run)
    run()
    with log.open(encoding="utf-8") as stream:
        stream.seek(offset)
        events = [json.loads(line) for line in stream]
    return Counter(
        f"{event['verb']} {event['requestURI'].partition('?')[0]}"
        for event in events
        if event["user"]["username"] == "admin" and event["requestURI"] != "/readyz"
    )


if __name__ == "__main__":
    main()
