#!/usr/bin/env python3
"""Estimate pi by Monte Carlo and report the measurement, once.

This is the program that runs on a Pi: in a pod, in a container or as a plain
process. It needs Python 3.9 and the standard library, nothing else. On
success it prints three lines:

    Estimated Pi: 3.1415, Time: 1.23 seconds       as in the seed
    {"schema_version":1,...}                       the measurement, at most 1 KiB
    PI-WORKER-END sha256=...                       checksum of the line above

The end mark proves the measurement whole: a log that was cut in the middle of
a line still reads as success to whoever fetched it.

Exit codes: 0 measured, 2 bad arguments, 124 over its deadline, 143 on SIGTERM, 1 anything else.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import re
import signal
import sys
import time
from typing import Any, Callable, NoReturn, Optional, Sequence

SCHEMA_VERSION = 1
END_MARK = "PI-WORKER-END"
MAX_RESULT_BYTES = 1024


def count_inside_seed(num_samples: int) -> int:
    """Return how many of num_samples random points lie in the unit quarter circle.

    The loop is the seed's, to the letter: what it costs is what is measured.
    """
    inside_circle = 0
    for _ in range(num_samples):
        x, y = random.random(), random.random()
        if x**2 + y**2 <= 1:
            inside_circle += 1
    return inside_circle


ENGINES = {"seed": count_inside_seed}


def derive_rng_seed(run_id: str, stream: str) -> int:
    """Return the 64-bit seed of a stream's random numbers.

    Hashed from the run's id and the stream's name, so that no two pods share
    a stream and a run can be repeated to the digit.
    """
    digest = hashlib.sha256("{}/{}".format(run_id, stream).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def measure(
    run_id: str, stream: str, completion_index: Optional[int], engine: str, samples: int, node: str
) -> dict[str, Any]:
    """Run the engine once and return the measurement as a dict, ready for JSON.

    Times: epoch in ns (for the order of events across Pis), duration from the
    monotonic performance counter and CPU time of this process, both in seconds.
    """
    rng_seed = derive_rng_seed(run_id, stream)
    random.seed(rng_seed)
    count_inside = ENGINES[engine]

    start_epoch_ns = time.time_ns()
    cpu_start = time.process_time()
    wall_start = time.perf_counter()
    inside = count_inside(samples)
    duration_seconds = time.perf_counter() - wall_start
    cpu_seconds = time.process_time() - cpu_start
    end_epoch_ns = time.time_ns()

    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": run_id,
        "stream": stream,
        "completion_index": completion_index,
        "engine": engine,
        "samples": samples,
        "inside": inside,
        "start_epoch_ns": start_epoch_ns,
        "end_epoch_ns": end_epoch_ns,
        "duration_seconds": duration_seconds,
        "cpu_seconds": cpu_seconds,
        "python_version": platform.python_version(),
        "python_implementation": platform.python_implementation(),
        "machine": platform.machine(),
        "node": node,
        "rng_seed": "{:016x}".format(rng_seed),
    }


class OneLineParser(argparse.ArgumentParser):
    """A parser whose complaint is one line: it is read in a pod's log."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, "pi_worker: {}\n".format(message))


def matching(pattern: str, what: str) -> Callable[[str], str]:
    """Return an argparse type that accepts only text matching pattern in full."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise argparse.ArgumentTypeError("{!r} is not {}".format(text[:80], what))
        return text

    return check


def positive_integer(text: str) -> int:
    """Return text as an int of at least 1; argparse type."""
    # No sign, no underscore, no more digits than a year of work on a Pi takes.
    if not re.fullmatch(r"[0-9]{1,15}", text) or int(text) == 0:
        raise argparse.ArgumentTypeError("{!r} is not a whole number of at least 1".format(text[:80]))
    return int(text)


def deadline_in_seconds(text: str) -> int:
    """Return text as an int that the system's timer takes; argparse type."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise argparse.ArgumentTypeError("{!r} is not whole seconds, at least 1".format(text[:80]))
    return int(text)


def give_up_after(seconds: int) -> None:
    """End this program by itself, wherever it is then, once seconds of real time have passed."""
    words = "pi_worker: not finished after {} s, so it ended itself\n".format(seconds).encode()

    def give_up(*_: object) -> NoReturn:
        os.write(2, words)
        os._exit(124)

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def parse_arguments(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    """Return the parsed command line; exit 2 with one line where it is wrong."""
    label = matching(r"[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?", "a name of letters, digits and dashes")
    node_name = matching(r"[A-Za-z0-9]([-.A-Za-z0-9]{0,251}[A-Za-z0-9])?", "a node name")
    parser = OneLineParser(
        prog="pi_worker", description="Estimate pi by Monte Carlo and report the measurement."
    )
    parser.add_argument("--run-id", required=True, type=label, help="names the run; part of the random seed")
    parser.add_argument(
        "--stream",
        type=label,
        help="names this worker's random stream; default: the pod's completion index, JOB_COMPLETION_INDEX",
    )
    parser.add_argument("--samples", required=True, type=positive_integer, help="how many points to draw")
    parser.add_argument("--engine", choices=sorted(ENGINES), default="seed", help="which loop to run")
    parser.add_argument("--node", type=node_name, help="name of the Pi; default: NODE_NAME")
    parser.add_argument(
        "--termination-log", metavar="PATH", help="also write the measurement's JSON to this file"
    )
    parser.add_argument(
        "--deadline-seconds",
        metavar="SECONDS",
        type=deadline_in_seconds,
        help="end after this time even if whoever started the worker is gone; default: never",
    )
    options = parser.parse_args(arguments)

    options.completion_index = None
    if options.stream is None:
        index = os.environ.get("JOB_COMPLETION_INDEX", "")
        if not re.fullmatch(r"[0-9]{1,9}", index):
            parser.error("neither --stream nor a whole number in JOB_COMPLETION_INDEX is given")
        options.stream = index
        options.completion_index = int(index)
    if options.node is None:
        try:
            options.node = node_name(os.environ.get("NODE_NAME", ""))
        except argparse.ArgumentTypeError as error:
            parser.error("neither --node is given nor NODE_NAME usable: {}".format(error))
    return options


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Measure once and print the result; see the module's head."""
    # As PID 1 of a container Python would ignore SIGTERM, and a deadline would cost the whole grace period.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    options = parse_arguments(arguments)
    if options.deadline_seconds is not None:
        give_up_after(options.deadline_seconds)
    result = measure(
        options.run_id,
        options.stream,
        options.completion_index,
        options.engine,
        options.samples,
        options.node,
    )
    line = json.dumps(result, separators=(",", ":"))
    if len(line) > MAX_RESULT_BYTES:
        sys.exit("pi_worker: the result has {} bytes, more than {}".format(len(line), MAX_RESULT_BYTES))

    estimate = (result["inside"] / result["samples"]) * 4
    print("Estimated Pi: {}, Time: {:.2f} seconds".format(estimate, result["duration_seconds"]))
    print(line)
    print("{} sha256={}".format(END_MARK, hashlib.sha256(line.encode()).hexdigest()), flush=True)
    if options.termination_log:
        try:
            with open(options.termination_log, "w", encoding="utf-8") as log:
                log.write(line)
        except OSError as error:
            sys.exit("pi_worker: cannot write {}: {}".format(options.termination_log, error.strerror))


if __name__ == "__main__":
    main()
