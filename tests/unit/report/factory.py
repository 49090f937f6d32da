"""Runs made up through the real models: plans by the real planner, trials with given noise and defects."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pi_speedup.codes import Code
from pi_speedup.model.calibration import Calibration, Reading
from pi_speedup.model.host import AFTER, BEFORE, Host, HostLook, HostState
from pi_speedup.model.node import Node, Nodes
from pi_speedup.model.plan import Cell, LeftOut, Plan, Slot
from pi_speedup.model.settings import Settings
from pi_speedup.model.trial import Event, Milestones, Moment, OtherPods, OtherRun, Outage, Trial, Worker
from pi_speedup.model.worker import END_MARK, WorkerReport
from pi_speedup.plan.make import make_plan
from pi_speedup.problem import Problem
from pi_speedup.report.evidence import Contents
from pi_speedup.report.workload.pi import seed_of, stretch_of
from pi_speedup.store import RunStore
from pi_speedup.workload.command import first_part
from pi_speedup.workload.pi import STRETCH_GROUP_SAMPLES, STRETCH_GROUPS

RUN = "20261124-071530-3fa2"
EPOCH_NS = 1_795_504_530_000_000_000
MANIFEST = f"docker.io/library/python@sha256:{'4d' * 32}"
RATE = 1_000_000.0
BOOT = "0e1c1f0a-8d5d-4c59-a7f7-2f5c9ad8ab61"


@dataclass
class WorkerDraft:
    """One worker before it is made: times in seconds after the trial's start, by the control host's clock."""

    pi: str
    index: int | None
    start: float
    seconds: float
    runtime: str
    cpu_share: float = 0.995
    clock_offset: float = 0.0
    # How far the Pi's clock is set ahead while it computes.
    clock_step: float = 0.0
    limit: float | None = 1.0
    image: str | None = "python:3.9"
    image_ids: tuple[str, ...] = (MANIFEST,)
    pulled: float | None = None
    report: dict[str, Any] = field(default_factory=dict)
    process: dict[str, Any] = field(default_factory=dict)


@dataclass
class Draft:
    """One trial before it is made; a test's defect changes it."""

    slot: Slot
    cell: Cell
    workers: list[WorkerDraft]
    started_ns: int
    number: int
    # How far the control host's clock was set ahead by then, in seconds.
    host_clock: float = 0.0
    # None: some time after the last worker, as is usual.
    wall: float | None = None
    attempt: int = 1
    outcome: Literal["ok", "failed", "interrupted"] = "ok"
    problem: Problem | None = None
    outages: tuple[Outage, ...] = ()
    unheard: tuple[Any, ...] = ()
    other_runs: tuple[OtherRun, ...] = ()
    other_pods: tuple[OtherPods, ...] = ()
    events: tuple[Event, ...] = ()
    spent: float | None = None
    session: int = 1

    @property
    def base(self) -> bool:
        """Whether one Pi works alone."""
        return self.cell.kind == "base"


Defect = Callable[[Draft], object]
# Draws a factor of a time.
Noise = Callable[[random.Random], float]


def lognormal(spread: float) -> Noise:
    """Return noise whose logarithm is normal, with this standard deviation."""
    return lambda chance: math.exp(spread * chance.gauss(0, 1))


def settings(**values: Any) -> Settings:
    """Return settings that measure 10 s a pod."""
    return Settings(**{**({"runs_per_process": 1} if "command" in values else {}), "order_seed": 4, **values})


def plan(pis: int = 3, **values: Any) -> Plan:
    """Return the sealed plan of some Pis, the first of which is the base."""
    names = [f"pi-{number}" for number in range(1, pis + 1)]
    return make_plan(
        settings(**values),
        run_id=RUN,
        made_at="2026-11-24T07:15:30Z",
        pis=names,
        base_pi="pi-1",
        worker_sha256="ab" * 32,
        calibration=Calibration(readings=(Reading(amount=10_000_000, seconds=10.0),)),
        cores=dict.fromkeys(names, 4),
        fresh_seed=4,
    )


def degraded() -> Plan:
    """Return the sealed plan of two of three Pis."""
    problem = Problem(
        code=Code.NODE_CORDONED,
        subject="pi-3",
        what="cordoned (unschedulable)",
        next_step="kubectl uncordon pi-3",
    )
    return plan(2).model_copy(update={"left_out": (LeftOut(pi="pi-3", problem=problem),)})


def trials(
    of: Plan,
    *,
    noise: float | Noise = 0.01,
    of_trial: Noise | None = None,
    shared: float = 0.0,
    drift: float = 0.0,
    jitter: float = 0.1,
    seed: int = 1,
    clocks: Mapping[str, float] | None = None,
    defect: Defect | None = None,
    rounds: int | None = None,
) -> tuple[Trial, ...]:
    """Return the trials of a run, in order.

    noise: relative, of each pod and base case by itself; of_trial: of all workers of a trial alike; shared:
    relative, of all in a round alike; drift: how much
    slower everything is at the end than at the beginning; jitter: standard deviation of the pods' starts in
    seconds; clocks: how far the clock of a Pi is ahead, in seconds; defect: changes each trial before it is
    made; rounds: stop after so many.
    """
    chance = random.Random(seed)
    seal = of.sha256
    cells = {cell.name: cell for cell in of.cells}
    now = EPOCH_NS
    found: list[Trial] = []
    slots = [slot for slot in of.slots if rounds is None or slot.round <= rounds]
    of_round: dict[int, float] = {}
    # A command takes 10 s.
    rate = 0.1 if of.settings.command else RATE
    drawn = noise if callable(noise) else lognormal(noise)
    for place, slot in enumerate(slots):
        together = of_round.setdefault(slot.round, math.exp(shared * chance.gauss(0, 1)))
        speed = together * (1 + drift * place / len(of.slots))
        if of_trial is not None:
            speed *= of_trial(chance)
        cell, number = cells[slot.cell], place + 1
        draft = _draft(cell, slot, now, number, chance, drawn, jitter, speed, clocks or {}, rate)
        if defect is not None:
            defect(draft)
        follows = found[-1].sha256 if found else seal
        made = _trial(of, seal, draft, chance).model_copy(update={"follows_sha256": follows})
        found.append(made)
        now = max(now, draft.started_ns) + round((made.spent_seconds + 1) * 1e9)
    return tuple(found)


def contents(
    of: Plan | None = None, *, nodes: Nodes | None = None, hosts: tuple[Host, ...] = (), **how: Any
) -> Contents:
    """Return all that a run left."""
    known = plan() if of is None else of
    made = trials(known, **how)
    return Contents(known, made, nodes or all_nodes(known), hosts, logs(made))


def logs(made: Sequence[Trial]) -> dict[tuple[str, str], bytes]:
    """Return what the workers printed, where that is kept: base cases, and the pods of the warm-up."""
    return {
        (trial.name, worker.name): _printed(worker.report)
        for trial in made
        for worker in trial.workers
        if worker.report is not None and (worker.runtime != "kubernetes" or trial.slot.round == 0)
    }


def _printed(report: WorkerReport) -> bytes:
    line = report.model_dump_json()
    return f"{line}\n{END_MARK} sha256={hashlib.sha256(line.encode()).hexdigest()}\n".encode()


def write(folder: Path, what: Contents) -> Path:
    """Write a run's files; return their folder."""
    store = RunStore(folder)
    store.seal(what.plan)
    for trial in what.trials:
        printed = {name: log for (of, name), log in what.logs.items() if of == trial.name}
        store.add(trial, printed)
    files: dict[str, Any] = {"nodes.json": what.nodes} if what.nodes else {}
    for host in what.hosts:
        for when, state in ((BEFORE, host.before), (AFTER, host.after)):
            if state is not None:
                look = HostLook(pi=host.name, when=when, session=host.session, state=state)  # type: ignore[arg-type]
                files[look.file] = look
    store.write(files)
    return folder


def all_nodes(of: Plan, **values: Any) -> Nodes:
    """Return the Pis as the cluster describes them; the first is the K3s server."""
    return Nodes(
        nodes=tuple(
            Node(
                **{
                    "name": pi,
                    "architecture": "arm64",
                    "kubelet_version": "v1.35.1+k3s1",
                    "os_image": "Debian GNU/Linux 13 (trixie)",
                    "kernel_version": "6.12.47+rpt-rpi-v8",
                    "container_runtime": "containerd://2.1.5-k3s1",
                    "cores": 4,
                    "memory": "3884092Ki",
                    "server": number == 0,
                    **values,
                }
            )
            for number, pi in enumerate(of.pis)
        ),
        not_in_inventory=(),
    )


def unreadable_nodes(of: Plan) -> Nodes:
    """Return the Pis where the kubeconfig may not list nodes."""
    return Nodes(nodes=tuple(Node(name=pi) for pi in of.pis), readable=False, not_in_inventory=())


def state(**values: Any) -> HostState:
    """Return a Pi that is well."""
    return HostState(
        **{
            "model": "Raspberry Pi 4 Model B Rev 1.5",
            "os_name": "Debian GNU/Linux 13 (trixie)",
            "kernel": "6.12.47+rpt-rpi-v8",
            "machine": "aarch64",
            "userland_bits": 64,
            "cores": 4,
            "memory_bytes": 3_977_310_208,
            "memory_cgroup": True,
            "temperature_celsius": 48.3,
            "throttled": 0,
            "governors": ("ondemand",),
            "load_1_minute": 0.4,
            "clock_offset_seconds": 0.0,
            "clock_uncertainty_seconds": 0.02,
            "runtime_version": "28.5.1",
            **values,
        }
    )


def hosts(
    of: Plan,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    *,
    both: Mapping[str, Any] | None = None,
    pi: str = "pi-2",
    session: int = 1,
) -> tuple[Host, ...]:
    """Return all Pis, looked at before and after; one of them with other values."""
    return tuple(
        Host(
            name=name,
            session=session,
            before=state(**{**(both or {}), **(before or {})} if name == pi else {}),
            after=state(**{**(both or {}), **(after or {})} if name == pi else {}),
        )
        for name in of.pis
    )


def _draft(
    cell: Cell,
    slot: Slot,
    started_ns: int,
    number: int,
    chance: random.Random,
    noise: Noise,
    jitter: float,
    speed: float,
    clocks: Mapping[str, float],
    rate: float,
) -> Draft:
    def seconds() -> float:
        return cell.amount_per_process / rate / cell.parts / cell.cpu_share * speed * noise(chance)

    job = cell.kind == "job"
    workers = [
        WorkerDraft(
            pi=pi,
            index=index if job else None,
            start=1.0 + abs(chance.gauss(0, jitter)) if job else 0.5,
            seconds=seconds(),
            runtime="kubernetes" if job else "docker",
            clock_offset=clocks.get(pi, 0.0),
            cpu_share=0.995 * cell.cpu_share,
            limit=cell.cpu_share * cell.processes_per_pi,
        )
        for index, pi in enumerate(cell.pis)
    ]
    return Draft(slot, cell, workers, started_ns, number)


def _trial(of: Plan, seal: str, draft: Draft, chance: random.Random) -> Trial:
    ok = draft.outcome == "ok"
    wall = draft.wall
    if wall is None:
        wall = max(worker.start + worker.seconds for worker in draft.workers) + (0.2 if draft.base else 0.8)
    spent = draft.spent if draft.spent is not None else wall + 0.2
    return Trial(
        run_id=of.run_id,
        plan_sha256=seal,
        slot=draft.slot,
        attempt=draft.attempt,
        session=draft.session,
        number=draft.number,
        started=Moment(
            epoch_ns=draft.started_ns + round(draft.host_clock * 1e9),
            boot=BOOT,
            boot_seconds=max(0.0, (draft.started_ns - EPOCH_NS) / 1e9 + 600),
        ),
        spent_seconds=spent,
        wall_seconds=wall if ok else None,
        outcome=draft.outcome,
        problem=draft.problem,
        workers=tuple(_worker(of, draft, worker, chance) for worker in draft.workers) if ok else (),
        outages=draft.outages,
        unheard=draft.unheard,
        other_runs=draft.other_runs,
        other_pods=draft.other_pods,
        events=draft.events,
    )


def _of_pi(draft: Draft, index: int) -> dict[str, Any]:
    return {
        "stream": f"{draft.slot.name}.{draft.attempt}.{index}",
        "engine": "seed",
        "python_version": "3.9.25",
        "python_implementation": "CPython",
    }


def _of_command(of: Plan, draft: Draft, worker: WorkerDraft) -> dict[str, Any]:
    return {
        "trial": f"{draft.slot.name}.{draft.attempt}",
        "clock": "date",
        "first_part": first_part(of, draft.slot, worker.pi) or 0,
        "parts": draft.cell.parts,
        "runs": draft.cell.amount_per_process,
        "peak_memory_bytes": 50 * 2**20,
        "throttled_seconds": 0.0,
        "verified": bool(of.settings.verify),
    }


def _worker(of: Plan, draft: Draft, worker: WorkerDraft, chance: random.Random) -> Worker:
    index = worker.index or 0
    command = bool(of.settings.command)
    start_ns = draft.started_ns + round((worker.start + worker.clock_offset) * 1e9)
    end_ns = start_ns + round((worker.seconds + worker.clock_step) * 1e9)
    processes: list[dict[str, Any]] = []
    for number in range(draft.cell.processes_per_pi):
        times = {
            "start_epoch_ns": start_ns,
            "end_epoch_ns": end_ns,
            "duration_seconds": worker.seconds,
            "cpu_seconds": worker.cpu_share * worker.seconds,
        }
        if command:
            processes.append({**times, "output_bytes": 7, "output_sha256": "5e" * 16, **worker.process})
            continue
        samples = draft.cell.amount_per_process
        stream = f"{draft.slot.name}.{draft.attempt}.{index}.{number}"
        seed = seed_of(of.run_id, stream)
        group = min(STRETCH_GROUP_SAMPLES, samples // STRETCH_GROUPS)
        stretch, rest = stretch_of(seed, group), samples - STRETCH_GROUPS * group
        inside = rest * math.pi / 4 + math.sqrt(rest * 0.1685) * chance.gauss(0, 1)
        processes.append(
            {
                "rng_seed": f"{seed:016x}",
                "samples": samples,
                "inside": sum(stretch) + min(rest, max(0, round(inside))),
                "stretch": stretch,
                **times,
                **worker.process,
            }
        )
    job = draft.cell.kind == "job"
    return Worker(
        pi=worker.pi,
        name=f"pi-{draft.slot.name}-{index}" if job else f"base-{draft.slot.name}",
        runtime=worker.runtime,  # type: ignore[arg-type]
        image=worker.image,
        image_ids=worker.image_ids,
        cpu_limit_cores=worker.limit,
        milestones=Milestones(
            created=0.1,
            scheduled=0.2 if job else None,
            pulled=worker.pulled,
            started=worker.start - 0.2,
            finished=worker.start + worker.seconds + 0.1,
        ),
        # Written and read again, as what comes of a real worker is.
        report=WorkerReport.model_validate_json(
            json.dumps(
                {
                    "schema_version": 1,
                    "run_id": of.run_id,
                    "completion_index": worker.index,
                    **(_of_command(of, draft, worker) if command else _of_pi(draft, index)),
                    "machine": "aarch64",
                    "node": worker.pi,
                    "celsius": (None, None),
                    "megahertz": (600.0, 1500.0),
                    "processes": processes,
                    **worker.report,
                }
            )
        ),
    )
