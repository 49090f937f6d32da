#!/usr/bin/env python3
"""Estimate pi by Monte Carlo and report the measurement, once.

This is the program that runs on a Pi: in a pod, in a container or as a plain
process. It needs Python 3.9 and the standard library, nothing else, not even
a file of its own: it may come as `python3 -c PROGRAM` or on standard input.
On success it prints three lines:

    Estimated Pi: 3.1415, Time: 1.23 seconds       as in the seed
    {"schema_version":1,...}                       the measurement, at most 4 KiB
    PI-WORKER-END sha256=...                       checksum of the line above

The end mark proves the measurement whole: a log that was cut in the middle of
a line still reads as success to whoever fetched it.

With --processes P it measures in P processes at once, which begin together.
None of them computes on when the others, or this program, have ended.

Exit codes: 0 measured, 2 bad arguments, 124 over its deadline, 143 on SIGTERM, 1 anything else.
"""

from __future__ import annotations

import argparse
import contextlib
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
# Kubernetes cuts a termination message there.
MAX_RESULT_BYTES = 4096
MOST_PROCESSES = 16
# The points that a process draws first are counted in so many groups of so many points, so that whoever reads
# the result can count them again. Several groups: with one, another random stream may give the same count.
STRETCH_GROUPS, STRETCH_GROUP_SAMPLES = 4, 250
# What Linux tells of heat and speed, in thousandths of a degree and in kHz.
TEMPERATURE_FILE = "/sys/class/thermal/thermal_zone0/temp"
FREQUENCY_FILE = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"
# How often a process looks whether the program that started it is still there.
ORPHAN_CHECK_SECONDS = 1.0


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

    Hashed from the run's id and the stream's name, so that no two processes
    share a stream and a run can be repeated to the digit.
    """
    digest = hashlib.sha256("{}/{}".format(run_id, stream).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def measure(options: argparse.Namespace, number: int, wait_for_start: Callable[[], None]) -> dict[str, Any]:
    """Run the engine once, as process `number` of this worker; return its account, ready for JSON.

    Times: epoch in ns (for the order of events across Pis), duration from the
    monotonic performance counter and CPU time of this process, both in seconds.
    """
    rng_seed = derive_rng_seed(options.run_id, name_stream(options, number))
    random.seed(rng_seed)
    count_inside = ENGINES[options.engine]
    first = min(STRETCH_GROUP_SAMPLES, options.samples // STRETCH_GROUPS)
    rest = options.samples - STRETCH_GROUPS * first

    wait_for_start()
    start_epoch_ns = time.time_ns()
    cpu_start = time.process_time()
    wall_start = time.perf_counter()
    stretch = [count_inside(first) for _ in range(STRETCH_GROUPS)]
    inside = count_inside(rest)
    duration_seconds = time.perf_counter() - wall_start
    cpu_seconds = time.process_time() - cpu_start
    end_epoch_ns = time.time_ns()

    return {
        "rng_seed": "{:016x}".format(rng_seed),
        "samples": options.samples,
        "inside": sum(stretch) + inside,
        "stretch": stretch,
        "start_epoch_ns": start_epoch_ns,
        "end_epoch_ns": end_epoch_ns,
        "duration_seconds": shortened(duration_seconds, 9),
        "cpu_seconds": shortened(cpu_seconds, 7),
    }


def thousandth_in(path: str, least: int, most: int) -> Optional[float]:
    """Return a thousandth of the number in a file; None where there is none from `least` to `most`."""
    try:
        with open(path, encoding="ascii") as file:
            number = int(file.read(32)) / 1000
    except (OSError, ValueError):
        return None
    # A sensor's nonsense is not to cost the measurement.
    return round(number, 1) if least <= number <= most else None


def look_at_pi() -> tuple[Optional[float], Optional[float]]:
    """Return the Pi's temperature in degrees Celsius and its frequency in MHz; None for what it hides."""
    return thousandth_in(TEMPERATURE_FILE, -100, 200), thousandth_in(FREQUENCY_FILE, 1, 100_000)


def shortened(seconds: float, digits: int) -> float:
    """Return seconds to so many digits, and to as many decimals: sixteen accounts have to fit into 4 KiB."""
    return round(float("{:.{}g}".format(seconds, digits)), digits)


def name_stream(options: argparse.Namespace, number: int) -> str:
    """Return the name of a process's random stream: the worker's, and the process's number."""
    return "{}.{}".format(name_worker_stream(options), number)


def name_worker_stream(options: argparse.Namespace) -> str:
    """Return what the names of a worker's random streams share: the trial's, and the pod's index."""
    return "{}.{}".format(options.stream, options.completion_index or 0)


# The processes that compute, while there are any beside this one: process id -> number.
children: dict[int, int] = {}


def end_at_once(code: int, words: bytes = b"") -> NoReturn:
    """End this program and its processes, wherever they are."""
    for child in list(children):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    os.write(2, words)
    os._exit(code)


def measure_together(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure in options.processes processes that start together; return their accounts by number.

    Each process seeds its stream, closes its end of `ready`, and waits at the
    gate; once all have done so the gate opens, a byte for each. Exits with one
    line if one of them ends without an account.
    """
    ready_out, ready_in = os.pipe()
    gate_out, gate_in = os.pipe()
    accounts = []
    this = os.getpid()
    # A signal that came between a fork and its being noted would leave that child to compute on.
    signals = {signal.SIGTERM, signal.SIGALRM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    for number in range(options.processes):
        account_out, account_in = os.pipe()
        child = os.fork()
        if child == 0:
            children.clear()
            end_with_parent(this)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
            os.close(gate_in)
            be_one_of_several(options, number, ready_in, gate_out, account_in)
        children[child] = number
        os.close(account_in)
        accounts.append(account_out)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    os.close(ready_in)
    arrived = b""
    while len(arrived) < options.processes:
        more = os.read(ready_out, options.processes)
        if not more:
            # All have closed their end and one has not signed: it has died, and will be found below.
            break
        arrived += more
    if len(arrived) == options.processes:
        os.write(gate_in, b"g" * options.processes)

    while children:
        child, status = os.wait()
        if child not in children:
            # Of whatever became this program.
            continue
        number = children.pop(child)
        if status != 0:
            end_at_once(1, death_words(name_stream(options, number), status))
    return [json.loads(os.read(account, 65536)) for account in accounts]


def be_one_of_several(
    options: argparse.Namespace, number: int, ready_in: int, gate_out: int, account_in: int
) -> NoReturn:
    """Measure as a forked process: sign, wait for the gate, hand the account over, end."""

    def wait_for_start() -> None:
        os.write(ready_in, b"r")
        os.close(ready_in)
        if os.read(gate_out, 1) != b"g":
            # Whoever opens the gate has died.
            os._exit(1)

    code = 1
    try:
        # Short enough for the pipe to take it at once.
        os.write(account_in, json.dumps(measure(options, number, wait_for_start)).encode())
        code = 0
    except Exception as error:
        os.write(2, "pi_worker: process {}: {!r}\n".format(name_stream(options, number), error).encode())
    finally:
        # Not sys.exit: what the parent has yet to print is not to be printed twice.
        os._exit(code)


def end_with_parent(parent: int) -> None:
    """End this process soon after its parent: nobody would take what it computes."""

    def look(*_: object) -> None:
        if os.getppid() != parent:
            os._exit(1)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, ORPHAN_CHECK_SECONDS, ORPHAN_CHECK_SECONDS)


def death_words(stream: str, status: int) -> bytes:
    """Return the line about a process that ended without an account; status as of os.wait."""
    if not os.WIFSIGNALED(status):
        # It has said itself why.
        return b""
    number = os.WTERMSIG(status)
    why = ", perhaps for want of memory" if number == signal.SIGKILL else ""
    return "pi_worker: process {} was killed by signal {}{}\n".format(stream, number, why).encode()


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


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return an argparse type that accepts only whole numbers from least to most."""

    def check(text: str) -> int:
        # No sign, no underscore, and bounded before it becomes a number.
        if not re.fullmatch(r"[0-9]{1,15}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(
                "{!r} is not a whole number from {} to {}".format(text[:80], least, most)
            )
        return int(text)

    return check


def give_up_after(seconds: int) -> None:
    """End this program by itself, wherever it is then, once seconds of real time have passed."""
    words = "pi_worker: not finished after {} s, so it ended itself\n".format(seconds).encode()
    signal.signal(signal.SIGALRM, lambda *_: end_at_once(124, words))
    signal.setitimer(signal.ITIMER_REAL, seconds)


def parse_arguments(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    """Return the parsed command line; exit 2 with one line where it is wrong."""
    run_id = matching(r"[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?", "a name of letters, digits and dashes")
    stream = matching(r"[A-Za-z0-9][-.A-Za-z0-9]{0,79}", "a name of letters, digits, dashes and dots")
    node_name = matching(r"[A-Za-z0-9]([-.A-Za-z0-9]{0,251}[A-Za-z0-9])?", "a node name")
    index = whole_number(0, 10**9)
    parser = OneLineParser(
        prog="pi_worker", description="Estimate pi by Monte Carlo and report the measurement."
    )
    parser.add_argument("--run-id", required=True, type=run_id, help="names the run; part of the random seed")
    parser.add_argument(
        "--stream",
        required=True,
        type=stream,
        help="names the trial; with the completion index and the process's number, the random stream",
    )
    parser.add_argument(
        "--samples",
        required=True,
        type=whole_number(1, 10**15 - 1),
        help="how many points each process draws",
    )
    parser.add_argument(
        "--processes",
        type=whole_number(1, MOST_PROCESSES),
        default=1,
        help="how many processes measure at once; default: 1",
    )
    parser.add_argument("--engine", choices=sorted(ENGINES), default="seed", help="which loop to run")
    parser.add_argument("--node", type=node_name, help="name of the Pi; default: NODE_NAME")
    parser.add_argument(
        "--completion-index",
        type=index,
        help="the pod's number in its Job; default: JOB_COMPLETION_INDEX, or none",
    )
    parser.add_argument(
        "--termination-log", metavar="PATH", help="also write the measurement's JSON to this file"
    )
    parser.add_argument(
        "--deadline-seconds",
        metavar="SECONDS",
        # What the system's timer takes.
        type=whole_number(1, 10**9 - 1),
        help="end after this time even if whoever started the worker is gone; default: never",
    )
    options = parser.parse_args(arguments)

    if options.completion_index is None and os.environ.get("JOB_COMPLETION_INDEX"):
        try:
            options.completion_index = index(os.environ["JOB_COMPLETION_INDEX"])
        except argparse.ArgumentTypeError as error:
            parser.error("JOB_COMPLETION_INDEX: {}".format(error))
    if options.node is None:
        try:
            options.node = node_name(os.environ.get("NODE_NAME", ""))
        except argparse.ArgumentTypeError as error:
            parser.error("neither --node is given nor NODE_NAME usable: {}".format(error))
    hot = (-100.5, 10000.5)
    longest = len(as_line(options, [widest_account(options)] * options.processes, hot, hot))
    if longest > MAX_RESULT_BYTES:
        # Said now and not after an hour's work.
        parser.error(
            "the result may have {} bytes, more than {}: shorten --node, --stream or --run-id".format(
                longest, MAX_RESULT_BYTES
            )
        )
    return options


def widest_account(options: argparse.Namespace) -> dict[str, Any]:
    """Return an account that is at least as long in JSON as any that comes of these options."""
    return {
        "rng_seed": "f" * 16,
        "samples": options.samples,
        "inside": options.samples,
        "stretch": [STRETCH_GROUP_SAMPLES] * STRETCH_GROUPS,
        "start_epoch_ns": 10**18,
        "end_epoch_ns": 10**18,
        "duration_seconds": 0.123456789,
        "cpu_seconds": 12345670.0,
    }


def usable_cores() -> Optional[int]:
    """Return how many cores this process may run on; None where the system does not tell."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return None


def as_line(
    options: argparse.Namespace,
    accounts: Sequence[dict[str, Any]],
    before: Sequence[Optional[float]],
    after: Sequence[Optional[float]],
) -> str:
    """Return the measurement as one line of JSON: what the processes share, and the account of each.

    before, after: temperature and frequency, see look_at_pi.
    """
    shared = {
        "schema_version": SCHEMA_VERSION,
        "run_id": options.run_id,
        "stream": name_worker_stream(options),
        "completion_index": options.completion_index,
        "engine": options.engine,
        "python_version": platform.python_version(),
        "python_implementation": platform.python_implementation(),
        "machine": platform.machine(),
        "node": options.node,
        "usable_cores": usable_cores(),
        "celsius": [before[0], after[0]],
        "megahertz": [before[1], after[1]],
        "processes": list(accounts),
    }
    return json.dumps(shared, separators=(",", ":"))


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Measure once and print the result; see the module's head."""
    # As PID 1 of a container Python would ignore SIGTERM, and a deadline would cost the whole grace period.
    signal.signal(signal.SIGTERM, lambda *_: end_at_once(143))
    options = parse_arguments(arguments)
    if options.deadline_seconds is not None:
        give_up_after(options.deadline_seconds)
    before = look_at_pi()
    if options.processes == 1:
        accounts = [measure(options, 0, lambda: None)]
        seconds = accounts[0]["duration_seconds"]
    else:
        accounts = measure_together(options)
        first_start = min(account["start_epoch_ns"] for account in accounts)
        seconds = (max(account["end_epoch_ns"] for account in accounts) - first_start) / 1e9
    line = as_line(options, accounts, before, look_at_pi())

    inside = sum(account["inside"] for account in accounts)
    estimate = (inside / (options.samples * options.processes)) * 4
    print("Estimated Pi: {}, Time: {:.2f} seconds".format(estimate, seconds))
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
