"""What a large run's report costs: report.yml on 1,000 and on 10,000 worker results of 100 Pis.

    make report-size

The runs are simulated, their files are those of a run. Prints for both, and for each choice of formats, the
wall seconds of `ansible-playbook report.yml`, those without Ansible's start (the same door on the smallest
run), and the most memory that one of its processes had.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from tests.unit.report import factory
from tests.virtual import PROJECT, playbook_environment

PIS = 100
ROUNDS = (10, 100)
FORMATS = ("json", "json,md,csv", "json,md,csv,html")


def main() -> None:
    """Print a line for each number of results and choice of formats."""
    with tempfile.TemporaryDirectory(prefix="report-size-") as folder:
        write(Path(folder), "smallest", pis=1, rounds=1)
        start, _ = report(Path(folder), "smallest", "json")
        print(f"the smallest run: {start:.1f} s")
        for rounds in ROUNDS:
            write(Path(folder), f"run-{rounds}", PIS, rounds)
        for formats in FORMATS:
            seconds = []
            for rounds in ROUNDS:
                wall, mebibytes = report(Path(folder), f"run-{rounds}", formats)
                seconds.append(wall)
                print(
                    f"{PIS * rounds:>6,} results, {formats}: {wall:.1f} s, "
                    f"{wall - start:.1f} s of them over the smallest; {mebibytes:.0f} MiB",
                    flush=True,
                )
            print(f"        ratio {seconds[1] / seconds[0]:.1f}")


def write(folder: Path, name: str, pis: int, rounds: int) -> None:
    """Write a run's files."""
    plan = factory.plan(pis, rounds=rounds)
    factory.write(folder / name, factory.contents(plan, hosts=factory.hosts(plan)))


def report(folder: Path, name: str, formats: str) -> tuple[float, float]:
    """Make a run's report anew; return the wall seconds, and the peak MiB of its largest process."""
    words = {"benchmark_runs_dir": folder, "benchmark_run_id": name, "benchmark_report_formats": formats}
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "report.yml"]
    for setting, value in words.items():
        command += ["-e", f"{setting}={value}"]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=PROJECT, env=playbook_environment(), stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"exit code {process.returncode}"
    # With the children that it waited for.
    return time.perf_counter() - began, used.ru_maxrss / 1024


if __name__ == "__main__":
    main()
