"""What files/run_command.sh adds to a command, against the same command started by hand in the same way.

    make wrapper [IMAGE=python:3.9]

Takes pairs, the order turned round in each, so that what else the machine does meets both. In a container of
an image with Docker, else as a process of this machine.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from pi_speedup.model.settings import Settings
from pi_speedup.pi.runtime import Case, command
from pi_speedup.plan.make import make_plan
from pi_speedup.workload import workload_of

PROJECT = Path(__file__).resolve().parents[1]
PAIRS = 40
# It takes the same time whatever else runs, as far as anything does.
BY_HAND = "sleep 0.5"


def main() -> None:
    """Print what the wrapper adds to a trial, and to the time that it reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", default="")
    image = parser.parse_args().image
    case = a_case(image)
    settings = case.plan.settings
    workload = workload_of(settings)
    wrapper = (PROJECT / workload.program).read_text("utf-8")
    wrapped = workload.base_input(case.told, workload.text(wrapper, ""))
    argv = command(case)
    # What a first start has to read from the disk is not the wrapper's.
    timed(argv, BY_HAND), timed(argv, wrapped)
    whole, reported = [], []
    for number in range(PAIRS):
        first, second = (BY_HAND, wrapped) if number % 2 else (wrapped, BY_HAND)
        seconds, output = {}, b""
        for text in (first, second):
            seconds[text], said = timed(argv, text)
            output = said if text == wrapped else output
        report = workload.read(output, case.pi)
        whole.append(seconds[wrapped] - seconds[BY_HAND])
        reported.append(report.seconds - float(BY_HAND.split()[1]))
    where = f"docker container of {image}" if image else "process"
    print(f"{BY_HAND!r} as a {where}, {PAIRS} pairs, milliseconds: median, 5th and 95th percentile")
    print(f"  a trial takes longer by           {spread(whole)}")
    print(f"  the time that is reported exceeds {spread(reported)}")


def a_case(image: str) -> Case:
    """Return the base case of a plan for one Pi."""
    where = {"base_runtime": "docker", "image": image} if image else {"base_runtime": "process"}
    plan = make_plan(
        Settings.model_validate({"command": BY_HAND, **where}),
        run_id="wrapper",
        made_at="2026-11-29T12:00:00Z",
        pis=("pi-1",),
        base_pi="pi-1",
        worker_sha256="0" * 64,
        cores={},
        fresh_seed=1,
    )
    return Case("pi-1", plan, next(slot for slot in plan.slots if slot.cell == "alone"), 1, "wrapper")


def timed(argv: tuple[str, ...], text: str) -> tuple[float, bytes]:
    """Return how long the words took with that on their standard input, and what they wrote."""
    started = time.perf_counter()
    done = subprocess.run(argv, input=text.encode(), capture_output=True, check=True)
    return time.perf_counter() - started, done.stdout


def spread(seconds: list[float]) -> str:
    """Return median, 5th and 95th percentile in milliseconds."""
    twentieths = statistics.quantiles(seconds, n=20)
    low, median, high = (
        f"{each * 1000:.0f}" for each in (twentieths[0], statistics.median(seconds), twentieths[-1])
    )
    return f"{median:>4} ({low} to {high})"


if __name__ == "__main__":
    main()
