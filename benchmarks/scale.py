"""What a run costs the control host with 100 Pis and with three: two labs, in turn.

    make scale

The client's own time is the playbook's wall time less the Job's, as job.json has it. The pods are real ones:
they compute for long enough that none of the hundred has ended before the last has begun.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.lab.conftest import Lab

PAIRS = 5
SAMPLES = {3: 1_000_000, 100: 400_000}


def main() -> None:
    """Measure PAIRS pairs, each lab up only while it is measured, so that neither disturbs the other."""
    print(f"{'pair':>4} {'Pis':>4} {'wall s':>8} {'Job s':>7} {'own s':>7}")
    own: dict[int, list[float]] = {3: [], 100: []}
    for pair in range(1, PAIRS + 1):
        for pis, seconds in own.items():
            wall, job = run_once(pis)
            seconds.append(wall - job)
            print(f"{pair:>4} {pis:>4} {wall:>8.2f} {job:>7.2f} {seconds[-1]:>7.2f}", flush=True)
    ratios = [many / few for few, many in zip(own[3], own[100], strict=True)]
    print(f"own time, 100 Pis / 3 Pis: median {statistics.median(ratios):.2f}, most {max(ratios):.2f}")


def run_once(pis: int) -> tuple[float, float]:
    """Run the playbook on a fresh lab; return its wall seconds and the Job's."""
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        lab = Lab(Path(folder) / "lab")
        lab.virtual_cluster("up", "--pis", str(pis), "--cpus", "0.5")
        try:
            start = time.perf_counter()
            # One comparison with a small base case: what grows with the Pis is what is looked at.
            outcome = lab.play(
                "benchmark.yml", benchmark_samples_per_pod=SAMPLES[pis], benchmark_scalings="weak"
            )
            wall = time.perf_counter() - start
            assert outcome.exit_code == 0, outcome.output
            job: float = json.loads((outcome.run_dir / "job.json").read_text())["wall_seconds"]
            baseline = json.loads((outcome.run_dir / "results/baseline-weak.json").read_text())["worker"]
            return wall - baseline["duration_seconds"], job
        finally:
            lab.virtual_cluster("down")


if __name__ == "__main__":
    main()
