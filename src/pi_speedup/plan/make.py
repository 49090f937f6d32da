"""Make the plan: settings and Pis in, cells and the order of all trials out."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping, Sequence

from pi_speedup import __version__
from pi_speedup.codes import Code
from pi_speedup.model.calibration import Calibration
from pi_speedup.model.plan import ALONE, ALONE_LONG, ALONE_ON, SLOW, SLOW_SHARE, Cell, LeftOut, Plan
from pi_speedup.model.settings import PREFIX, Settings
from pi_speedup.problem import refuse
from pi_speedup.text import listed
from pi_speedup.workload import workload_of

# Up to here a sweep measures each number of Pis, beyond it only powers of two.
_EACH_UP_TO = 8
_MOST_PROCESSES = 16
# In how many rounds what is optional is measured.
_SOME_ROUNDS = 3
# With what goes before it, a cell's name.
_SHORT_NAME = re.compile(r"[a-z0-9][-a-z0-9]{0,30}")


def make_plan(
    settings: Settings,
    *,
    run_id: str,
    made_at: str,
    pis: Sequence[str],
    base_pi: str,
    worker_sha256: str,
    program_sha256: str = "",
    calibration: Calibration | None = None,
    cores: Mapping[str, int | None],
    fresh_seed: int,
    left_out: Sequence[LeftOut] = (),
) -> Plan:
    """Return the plan of a run.

    `calibration` is needed where the settings give no amount. `cores` tells how many each Pi has (None where
    the cluster doesn't say), for `processes_per_pi: all`. `fresh_seed` decides the order where the settings
    don't. `left_out`: the inventory's other Pis. ProblemError if the cores are needed and unknown.
    """
    processes = _processes(settings, pis, cores)
    workload = workload_of(settings)
    divided = workload.is_divided(settings)
    amount = workload.amount_given(settings)
    if amount is None:
        if calibration is None:
            raise ValueError("neither the settings nor a calibration say how much a trial does")
        # Where all share one job, it is for one Pi so many times as long.
        amount = calibration.amount_for(settings.trial_seconds, len(pis) if divided else 1)
    else:
        calibration = None
    ordered = (base_pi, *(pi for pi in pis if pi != base_pi))

    def job(name: str, chosen: Sequence[str], cpu_share: float = 1.0) -> Cell:
        return Cell(
            name=name,
            kind="job",
            pis=tuple(chosen),
            processes_per_pi=processes,
            amount_per_process=amount,
            cpu_share=cpu_share,
            is_divided=divided,
        )

    def base(name: str, amount_per_process: int) -> Cell:
        return Cell(
            name=name,
            kind="base",
            pis=(base_pi,),
            processes_per_pi=processes,
            amount_per_process=amount_per_process,
            is_divided=divided,
        )

    # For one Pi, and where all share one job, the long base case would be the short one again.
    has_long = settings.long_rounds > 0 and len(pis) > 1 and not divided
    cells = [base(ALONE, amount)]
    if has_long:
        cells.append(base(ALONE_LONG, amount * len(pis)))
    if settings.sweep:
        cells += [job(f"together-{count}", ordered[:count]) for count in sweep_counts(len(pis))]
    together = f"together-{len(pis)}"
    cells.append(job(together, pis))
    in_some = []
    if settings.control_round:
        in_some.append(job(f"{together}-{SLOW}", pis, SLOW_SHARE))
    if settings.each_pi:
        in_some += [job(name, [pi]) for name, pi in _names_alone(pis)]
    cells += in_some
    seed = fresh_seed if settings.order_seed is None else settings.order_seed
    return Plan(
        run_id=run_id,
        made_at=made_at,
        tool_version=__version__,
        settings=settings.without_local(),
        pis=tuple(pis),
        base_pi=base_pi,
        left_out=tuple(left_out),
        worker_sha256=worker_sha256,
        program_sha256=program_sha256,
        calibration=calibration,
        order_seed=seed,
        cells=tuple(cells),
        order=_order(
            [cell.name for cell in cells],
            settings,
            seed,
            warm_up=(ALONE, together) if settings.warm_up else (),
            only_in={
                ALONE_LONG: long_rounds(settings),
                **{cell.name: spread_rounds(settings.rounds, _SOME_ROUNDS) for cell in in_some},
            },
        ),
    )


def probe_plan(
    settings: Settings, *, run_id: str, pi: str, amount: int, cores: Mapping[str, int | None]
) -> Plan:
    """Return a plan of one Pi alone that does so much, for a calibration; nothing of it is kept."""
    given = {workload_of(settings).amount_setting.removeprefix(PREFIX): amount}
    fewest = {"rounds": 1, "warm_up": False, "long_rounds": 0, "sweep": False, "each_pi": False}
    return make_plan(
        settings.model_copy(update={**given, **fewest, "control_round": False}),
        run_id=run_id,
        made_at="",
        pis=[pi],
        base_pi=pi,
        worker_sha256="0" * 64,
        cores=cores,
        fresh_seed=0,
    )


def made_again(plan: Plan) -> Plan:
    """Return the plan that the settings, the Pis and the seed of a plan give, by the version that runs."""
    again = make_plan(
        plan.settings,
        run_id=plan.run_id,
        made_at=plan.made_at,
        pis=plan.pis,
        base_pi=plan.base_pi,
        worker_sha256=plan.worker_sha256,
        program_sha256=plan.program_sha256,
        calibration=plan.calibration,
        # Where all cores are used, only the plan tells how many there were.
        cores=dict.fromkeys(plan.pis, plan.together.processes_per_pi),
        fresh_seed=plan.order_seed,
        left_out=plan.left_out,
    )
    return again.model_copy(update={"tool_version": plan.tool_version})


def sweep_counts(pis: int) -> tuple[int, ...]:
    """Return how many Pis a sweep measures together, all of them apart: 1 to 8, then 16, 32, ..."""
    few = range(1, min(pis, _EACH_UP_TO + 1))
    many = (2**power for power in range(4, pis.bit_length()))
    return (*few, *(count for count in many if count < pis))


def long_rounds(settings: Settings) -> frozenset[int]:
    """Return the rounds in which one Pi alone also does the work of all."""
    return spread_rounds(settings.rounds, settings.long_rounds)


def spread_rounds(rounds: int, wanted: int) -> frozenset[int]:
    """Return so many of the rounds 1, 2, ..., spread over the run; all where there are not so many."""
    count = min(wanted, rounds)
    if count <= 1:
        return frozenset([(rounds + 1) // 2][:count])
    step = (rounds - 1) / (count - 1)
    return frozenset(1 + round(number * step) for number in range(count))


def _names_alone(pis: Sequence[str]) -> list[tuple[str, str]]:
    """Return the names of the cells of each Pi by itself: with a number where a Pi's own is too long."""
    short = all(_SHORT_NAME.fullmatch(pi) for pi in pis)
    return [(f"{ALONE_ON}{pi if short else number}", pi) for number, pi in enumerate(pis, start=1)]


def _processes(settings: Settings, pis: Sequence[str], cores: Mapping[str, int | None]) -> int:
    if settings.processes_per_pi != "all":
        return settings.processes_per_pi
    silent = [pi for pi in pis if not cores.get(pi)]
    if silent:
        raise refuse(
            Code.CORES_UNKNOWN,
            "benchmark_processes_per_pi",
            f"all, but {listed(silent)} doesn't tell how many cores it has",
            "set it to a number",
        )
    # Equal everywhere: Pis with different numbers of processes would not do the same work.
    return min(_MOST_PROCESSES, *(cores[pi] or 1 for pi in pis))


def _order(
    names: Sequence[str],
    settings: Settings,
    seed: int,
    *,
    warm_up: Collection[str],
    only_in: Mapping[str, Collection[int]],
) -> tuple[tuple[str, ...], ...]:
    """Return the cells of each round in order, the warm-up first; `only_in`: rounds of those not in all.

    Each second round is the one before it reversed (ABBA), so that a drift of speed over time cancels: a Pi
    that grows hot would favour whatever is measured first. A sweep is shuffled anew for each pair of rounds:
    else it would confound the number of Pis with its place in the round.
    """
    chance = random.Random(seed)
    order = chance.sample(names, len(names))
    # Pulls the image on all Pis and on the one that works alone; nothing of it is counted.
    rounds = [tuple(name for name in order if name in warm_up)]
    for number in range(1, settings.rounds + 1):
        if number % 2 == 0:
            order.reverse()
        elif number > 1:
            order = chance.sample(names, len(names)) if settings.sweep else order[::-1]
        rounds.append(tuple(name for name in order if number in only_in.get(name, (number,))))
    return tuple(rounds)
