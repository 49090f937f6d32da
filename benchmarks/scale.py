"""What a run costs the control host with 100 Pis and with three: two labs, in turn.

    make scale

The client's own time is the playbook's wall time less that of its trials. The pods are real, but they rest
before they draw a few samples: a hundred would else fight for this machine's cores, and the first would have
ended, and freed its Pi for another, before the last was created.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from pi_speedup.store import RunStore
from tests.lab.lab import PROJECT, Lab

PAIRS = 5
REST_SECONDS = 10
_READS_ITS_OPTIONS = "    options = parse_arguments(arguments)\n"
_RESTS = f"    if options.completion_index is not None:\n        time.sleep({REST_SECONDS})\n"


def main() -> None:
    """Measure PAIRS pairs, each lab up only while it is measured, so that neither disturbs the other."""
    print(f"{'pair':>4} {'Pis':>4} {'wall s':>8} {'trials s':>9} {'own s':>7}")
    own: dict[int, list[float]] = {3: [], 100: []}
    for pair in range(1, PAIRS + 1):
        for pis, seconds in own.items():
            wall, trials = run_once(pis)
            seconds.append(wall - trials)
            print(f"{pair:>4} {pis:>4} {wall:>8.2f} {trials:>9.2f} {seconds[-1]:>7.2f}", flush=True)
    ratios = [many / few for few, many in zip(own[3], own[100], strict=True)]
    print(f"own time, 100 Pis / 3 Pis: median {statistics.median(ratios):.2f}, most {max(ratios):.2f}")


def run_once(pis: int) -> tuple[float, float]:
    """Run one round on a fresh lab; return the playbook's wall seconds and those of its trials."""
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        lab = Lab(Path(folder) / "lab")
        lab.virtual_cluster("up", "--pis", str(pis), "--cpus", "0.5")
        try:
            program = (PROJECT / "files/pi_worker.py").read_text()
            assert program.count(_READS_ITS_OPTIONS) == 1
            worker = Path(folder) / "resting_worker.py"
            worker.write_text(program.replace(_READS_ITS_OPTIONS, _READS_ITS_OPTIONS + _RESTS))
            workers = {"_run_plan_worker": worker}
            start = time.perf_counter()
            outcome = lab.play("benchmark.yml", benchmark_warm_up="false", **workers)
            wall = time.perf_counter() - start
            assert outcome.exit_code == 0, outcome.output
            trials = RunStore(outcome.run_dir.resolve()).trials()
            return wall, sum(trial.wall_seconds or 0 for trial in trials)
        finally:
            lab.virtual_cluster("down")


if __name__ == "__main__":
    main()
