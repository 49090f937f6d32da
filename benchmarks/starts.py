"""How far apart the pods of one trial start, on Pis in containers, which share one clock.

    make starts

Prints the seconds between the first pod's start and the last one's for each of 20 Job trials.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from pi_speedup.store import RunStore
from tests.containers.cluster import Cluster

TRIALS = 20


def main() -> None:
    """Measure on a cluster of its own."""
    with tempfile.TemporaryDirectory(prefix="starts-") as folder:
        cluster = Cluster(Path(folder) / "cluster")
        cluster.virtual_cluster("up")
        try:
            outcome = cluster.play(
                "benchmark.yml",
                benchmark_rounds=TRIALS,
                benchmark_samples_per_process=1_000_000,
                benchmark_long_rounds=0,
            )
            assert outcome.exit_code == 0, outcome.output
            spreads = start_spreads(outcome.run_dir.resolve())
        finally:
            cluster.virtual_cluster("down")
    print("seconds from first to last start: " + " ".join(f"{spread:.2f}" for spread in spreads))
    print(f"median {statistics.median(spreads):.2f}, most {max(spreads):.2f}, {len(spreads)} trials")


def start_spreads(run: Path) -> list[float]:
    """Return, for each Job trial that counts, the seconds between its first and its last pod's start."""
    spreads = []
    for trial in RunStore(run).trials():
        starts = [worker.report.start_epoch_ns for worker in trial.workers if worker.report]
        if len(starts) > 1 and trial.slot.round > 0:
            spreads.append((max(starts) - min(starts)) / 1e9)
    return spreads


if __name__ == "__main__":
    main()
