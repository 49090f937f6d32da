"""What a run costs the control host with 100 Pis and with three: two labs, in turn.

    make scale

The client's own time is the playbook's wall time less the Job's, as job.json has it. The pods are real, but
they rest before they draw a few samples: a hundred would else fight for this machine's cores, and the first
would have ended, and freed its Pi for another, before the last was created.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.lab.lab import PROJECT, Lab

PAIRS = 5
REST_SECONDS = 10


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
            worker = Path(folder) / "resting_worker.py"
            program = (
                (PROJECT / "files/pi_worker.py")
                .read_text()
                .replace("    result = measure(", f"    time.sleep({REST_SECONDS})\n    result = measure(", 1)
            )
            worker.write_text(program)
            start = time.perf_counter()
            # One comparison with a small base case: what grows with the Pis is what is looked at.
            outcome = lab.play(
                "benchmark.yml",
                benchmark_scalings="weak",
                pi_job_worker_path=worker,
            )
            wall = time.perf_counter() - start
            assert outcome.exit_code == 0, outcome.output
            job: float = json.loads((outcome.run_dir / "job.json").read_text())["wall_seconds"]
            return wall, job
        finally:
            lab.virtual_cluster("down")


if __name__ == "__main__":
    main()
