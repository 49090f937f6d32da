"""What pi_worker.py writes, read and verified: its log (three lines), its termination message (JSON)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, fields

from pi_speedup.fields import MAX_SECONDS, Fields, load_object

RUN_ID_PATTERN = r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?"
ENGINE_PATTERN = r"[a-z0-9]([-_a-z0-9]{0,30}[a-z0-9])?"
# The worker promises 1 KiB; Kubernetes would cut a termination message at 4 KiB.
MAX_JSON_BYTES = 1024
# Three lines and a few warnings: more is not the worker's.
MAX_OUTPUT_BYTES = 65536

_END_MARK = "PI-WORKER-END"
_END_LINE = re.compile(_END_MARK + r" sha256=([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class WorkerResult:
    """One worker's own account of its run; field order is that of its JSON line.

    `samples` points were drawn and `inside` of them fell in the quarter circle. Start and end are epoch
    nanoseconds of the Pi's clock; `duration_seconds` is by its monotonic clock, `cpu_seconds` its CPU
    time.
    """

    schema_version: int
    run_id: str
    stream: str
    completion_index: int | None
    engine: str
    samples: int
    inside: int
    start_epoch_ns: int
    end_epoch_ns: int
    duration_seconds: float
    cpu_seconds: float
    python_version: str
    python_implementation: str
    machine: str
    node: str
    rng_seed: str


def parse_worker_output(text: str) -> WorkerResult:
    """Read a worker's log: its last line is the end mark with the SHA-256 of the JSON line before it.

    ValueError (one line) for output that is too large, cut off, altered or not the worker's.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_OUTPUT_BYTES:
        raise ValueError(f"worker output: {size} bytes, more than the {MAX_OUTPUT_BYTES} expected")
    lines = [line.rstrip("\r") for line in text.split("\n") if line.strip()]
    if not lines:
        raise ValueError("worker output: empty, the worker wrote nothing")
    marks = [number for number, line in enumerate(lines) if line.startswith(_END_MARK)]
    if not marks:
        raise ValueError(f"worker output: cut off, the end mark {_END_MARK} is missing")
    if len(marks) > 1:
        raise ValueError(f"worker output: {len(marks)} end marks, so more than one worker wrote it")
    match = _END_LINE.fullmatch(lines[marks[0]])
    if match is None:
        raise ValueError("worker output: cut off within the end mark")
    if marks[0] == 0:
        raise ValueError("worker output: no JSON line before the end mark")
    json_line = lines[marks[0] - 1]
    digest = hashlib.sha256(json_line.encode("utf-8", "surrogatepass")).hexdigest()
    if digest != match.group(1):
        raise ValueError("worker output: the checksum doesn't fit the JSON line, so the log was altered")
    return parse_worker_json(json_line)


def parse_worker_json(text: str) -> WorkerResult:
    """Read the worker's JSON alone, a pod's termination message; ValueError (one line) if it isn't whole."""
    return worker_from_fields(Fields(load_object(text, "worker JSON", MAX_JSON_BYTES), "worker JSON"))


def worker_from_fields(data: Fields) -> WorkerResult:
    """Check each field's type and range; ValueError (one line) naming the first that is wrong."""
    data.version()
    data.only(frozenset(field.name for field in fields(WorkerResult)))
    samples = data.integer("samples", minimum=1)
    start_epoch_ns = data.integer("start_epoch_ns", minimum=1)
    return WorkerResult(
        schema_version=1,
        run_id=data.text("run_id", RUN_ID_PATTERN),
        stream=data.text("stream", r"[A-Za-z0-9][-A-Za-z0-9]{0,62}"),
        completion_index=data.integer_or_none("completion_index"),
        engine=data.text("engine", ENGINE_PATTERN),
        samples=samples,
        inside=data.integer("inside", maximum=samples),
        start_epoch_ns=start_epoch_ns,
        end_epoch_ns=data.integer("end_epoch_ns", minimum=start_epoch_ns + 1),
        duration_seconds=data.seconds("duration_seconds"),
        # A clock that ticks in hundredths may count none for a very short run.
        cpu_seconds=data.number("cpu_seconds", 0, MAX_SECONDS),
        python_version=data.text("python_version", r"[0-9][-+.~A-Za-z0-9]{0,31}"),
        python_implementation=data.text("python_implementation", r"[-A-Za-z0-9]{1,32}"),
        machine=data.text("machine", r"[-_A-Za-z0-9]{1,32}"),
        node=data.text("node", r"[-._A-Za-z0-9]{1,253}"),
        rng_seed=data.text("rng_seed", r"[0-9a-f]{1,16}"),
    )
