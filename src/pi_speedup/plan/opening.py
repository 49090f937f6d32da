"""Open a door: settings and inventory are right, and run, folder and kubeconfig are known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pi_speedup.codes import Code
from pi_speedup.model.run import Door, Run
from pi_speedup.model.settings import PREFIX, RUN_THE_PROGRAM, Settings, settings_from
from pi_speedup.plan.progress import Stop, next_trial
from pi_speedup.plan.resume import check_same
from pi_speedup.problem import refuse
from pi_speedup.store import CALIBRATION_FILE, OWNER, PRIVATE, RUN_FILE, RunStore
from pi_speedup.text import listed, one_line
from pi_speedup.workload import sha256_of, workload_of
from pi_speedup.workload.command import read_program

LATEST = "latest"
# A run's file is named after its Pi, which is a node's name.
_PI = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
# What a run that broke off before its plan was sealed may have left in its folder.
_BEFORE_THE_PLAN = {PRIVATE, "hosts", "logs", "nodes.json", CALIBRATION_FILE, RUN_FILE, OWNER}
_GROUPS = "see inventory/hosts.yml for the groups pis, base and server"
# Of inventory/hosts.yml as it comes. Source: RFC 5737, nobody's addresses.
SAMPLE_ADDRESSES = ("192.0.2.101", "192.0.2.102", "192.0.2.103")


@dataclass(frozen=True, slots=True)
class Inventory:
    """The groups as Ansible knows them: the names of their hosts, None for a group that is not there.

    An inventory of k3s-ansible has `server` and `agent`, and neither `pis` nor `base`: then its server works
    alone. `limit` is what was given with --limit, `reached` the hosts that it leaves, both None without it.
    `addresses`: the Pis' ansible_host, where one is set.
    """

    pis: Sequence[str] | None
    base: Sequence[str] | None
    server: Sequence[str] | None = None
    agent: Sequence[str] | None = None
    limit: str | None = None
    reached: Sequence[str] | None = None
    addresses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Here:
    """The control host: the project's folder, the environment, the moment, and a random number."""

    project: Path
    environment: Mapping[str, str]
    home: Path
    # Of UTC, as %Y%m%d-%H%M%S.
    moment: str
    fresh: int


def open_door(
    door: Door,
    variables: Mapping[str, object],
    inventory: Inventory,
    here: Here,
    *,
    worker: str = "",
    sha256_of: Callable[[Path], str] = sha256_of,
    check_mode: bool = False,
) -> Run:
    """Return what the roles need to know; ProblemError, one line, for the first thing that is wrong.

    Nothing is written. worker: the program that trials run, where it is not the workload's own; a run that
    goes on must have the same.
    """
    if check_mode:
        raise refuse(
            Code.CHECK_MODE,
            "--check",
            f"{door}.yml cannot tell beforehand what it would do",
            "run it without --check",
        )
    pis, base_pi = ((), "") if door == "report" else _pis_and_base(inventory)
    settings = settings_from(variables)
    server = "" if door == "report" else next(iter(inventory.server or ()), "")
    _check_limit(inventory, pis, server)
    if door != "report":
        _check_sample(inventory.addresses)
    runs = _runs_folder(settings.runs_dir, here)
    try:
        return _opened(door, settings, inventory, here, pis, base_pi, server, runs, worker, sha256_of)
    except OSError as error:
        what = f"cannot be looked at ({error.strerror})"
        raise refuse(
            Code.FILE_UNREADABLE, str(runs), what, "make it yours, or choose another benchmark_runs_dir"
        ) from None


def needs_calibration(run: Run) -> bool:
    """Say whether a Pi has to be asked how much a trial should do: neither the settings nor a plan say it."""
    return not run.continues and workload_of(run.settings).amount_given(run.settings) is None


def settings_of(run: Mapping[str, object], pis: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Return the settings of a run: its own, and those that stand with a group or with the Pis themselves.

    run: the variables of this machine; pis: those of each Pi. Only names that begin like a setting count.
    What all Pis have goes before what this machine has: `all` is the widest group, and -e the same for each.
    ProblemError where the Pis differ, since a run has one value.
    """
    found = {name: value for name, value in run.items() if name.startswith(PREFIX)}
    names = dict.fromkeys(name for each in pis.values() for name in each if name.startswith(PREFIX))
    for name in names:
        first, *others = pis
        if name.removeprefix(PREFIX) not in Settings.model_fields:
            # Its name is what is wrong, and is told later.
            first, others = next(pi for pi in pis if name in pis[pi]), []
        for other in others:
            # 3 and "3" are the same: YAML and INI differ in that.
            if str(pis[first].get(name)) != str(pis[other].get(name)):
                had = " and ".join(
                    f"{one_line(repr(pis[pi][name]), 60)} for {_named(pi)}"
                    if name in pis[pi]
                    else f"not set for {_named(pi)}"
                    for pi in (first, other)
                )
                raise refuse(
                    Code.SETTING_NOT_VALID,
                    one_line(name, 60),
                    f"it is {had}, and a run has one value",
                    "set it for all: in inventory/group_vars/all.yml, or with -e",
                )
        found[name] = pis[first][name]
    return found


def _opened(
    door: Door,
    settings: Settings,
    inventory: Inventory,
    here: Here,
    pis: Sequence[str],
    base_pi: str,
    server: str,
    runs: Path,
    worker: str,
    sha256_of: Callable[[Path], str],
) -> Run:
    if door == "report":
        folder = _there(runs, settings.run_id or LATEST)
    elif door in ("cleanup", "preload", "rbac"):
        # Of its namespace: another one's clean-up at the same time would read what this one opened.
        folder = runs / f".{door}-{settings.namespace}"
    else:
        folder = runs / (settings.run_id or f"{here.moment}-{here.fresh % 65536:04x}")
    kubeconfig, fetch_from = _kubeconfig(settings.kubeconfig, here, server, folder)
    continues, min_pis, session = False, len(pis), 1
    worker = worker or str(here.project / workload_of(settings).program)
    program = _program(settings.program, settings.command, here) if door == "benchmark" else ""
    if door == "benchmark":
        min_pis = _min_pis(settings, pis)
        store = RunStore(folder)
        continues = _continues(
            store,
            settings,
            pis=pis,
            base_pi=base_pi,
            worker_sha256=sha256_of(Path(worker)),
            program_sha256=sha256_of(Path(program)) if program else "",
        )
        if continues:
            # A plan is sealed with its Pis: none is left out any more, and none comes back.
            of_the_plan = store.plan().pis
            pis = [pi for pi in pis if store.pi_of(pi) in of_the_plan]
            session += max((trial.session for trial in store.trials()), default=0)
    return Run(
        door=door,
        dir=str(folder),
        runs_dir=str(runs),
        kubeconfig=str(kubeconfig),
        fetch_from=fetch_from,
        pis=tuple(pis),
        worker=worker,
        program=program,
        base_pi=base_pi,
        min_pis=min_pis,
        continues=continues,
        session=session,
        settings=settings,
        addresses={pi: inventory.addresses[pi] for pi in pis if inventory.addresses.get(pi)},
    )


def _program(given: str, command: str, here: Here) -> str:
    """Return the path of the user's program, which can be read and run; empty without one."""
    if not given:
        return ""
    path = here.project / (here.home / given[2:] if given.startswith("~/") else given)
    read_program(path, by_its_first_line=command == RUN_THE_PROGRAM)
    return str(path)


def _pis_and_base(inventory: Inventory) -> tuple[Sequence[str], str]:
    pis, base = inventory.pis, inventory.base
    server = inventory.server or ()
    if pis is None and (server or inventory.agent):
        pis = [*server, *(each for each in inventory.agent or () if each not in server)]
    if base is None and server and server[0] in (pis or ()):
        base = server[:1]
    if pis is None:
        raise refuse(
            Code.INVENTORY_GROUPS,
            "inventory",
            "there is no group `pis`",
            f"-i names the inventory; {_GROUPS}",
        )
    if not pis:
        raise refuse(
            Code.INVENTORY_GROUPS, "inventory", "the group `pis` is empty", f"put your Pis into it; {_GROUPS}"
        )
    for number, pi in enumerate(pis):
        if pi in pis[:number]:
            raise refuse(
                Code.PI_NAMED_TWICE, _named(pi), "named twice in the group `pis`", "name each Pi once"
            )
        if not _PI.fullmatch(pi):
            raise refuse(
                Code.PI_NOT_A_NODE_NAME,
                _named(pi),
                "not the name of a node",
                "name it as `kubectl get nodes` does, not by its address",
            )
    if base is None:
        raise refuse(
            Code.INVENTORY_GROUPS,
            "inventory",
            "there is no group `base`",
            f"put the Pi that works alone into it; {_GROUPS}",
        )
    if not base:
        raise refuse(
            Code.INVENTORY_GROUPS,
            "inventory",
            "the group `base` is empty",
            f"put the Pi that works alone into it; {_GROUPS}",
        )
    if len(base) > 1:
        what = f"the group `base` has {len(base)} Pis ({_names(base)}), and one works alone"
        raise refuse(Code.INVENTORY_GROUPS, "inventory", what, "leave one of them in it")
    if base[0] not in pis:
        raise refuse(
            Code.INVENTORY_GROUPS,
            _named(base[0]),
            "in the group `base`, but not in `pis`",
            "put it into both",
        )
    return pis, base[0]


def _min_pis(settings: Settings, pis: Sequence[str]) -> int:
    if settings.min_pis is None:
        return len(pis)
    if settings.min_pis > len(pis):
        raise refuse(
            Code.TOO_FEW_PIS,
            f"{PREFIX}min_pis",
            f"{settings.min_pis} Pis are wanted, and the inventory has {len(pis)}",
            f"set it to {len(pis)} at most, or leave it out: then all are needed",
        )
    return settings.min_pis


def _named(pi: str) -> str:
    return one_line(pi, 60) or "inventory"


def _names(names: Iterable[str]) -> str:
    return listed((one_line(name, 40) for name in names), most=3)


def _check_limit(inventory: Inventory, pis: Sequence[str], server: str) -> None:
    if inventory.limit is None or inventory.reached is None:
        return
    needed = [*pis, *([server] if server and server not in pis else [])]
    left_out = [pi for pi in needed if pi not in inventory.reached]
    subject = f"--limit {one_line(inventory.limit, 60)}"
    if left_out:
        step = f"take {'it' if len(left_out) == 1 else 'them'} out of the inventory, or run without --limit"
        raise refuse(Code.LIMIT_LEAVES_OUT, subject, f"leaves {_names(left_out)} out", step)
    if "localhost" not in inventory.reached:
        raise refuse(
            Code.LIMIT_LEAVES_OUT, subject, "leaves this machine (localhost) out", "run without --limit"
        )


def _check_sample(addresses: Mapping[str, str]) -> None:
    for pi, address in addresses.items():
        if address in SAMPLE_ADDRESSES:
            raise refuse(
                Code.INVENTORY_IS_THE_SAMPLE,
                "inventory",
                f"{_named(pi)} has the address of the example ({address}), which is nobody's",
                'make inventory ARGS="--server pi@ADDRESS", with the K3s server\'s address, writes it; or '
                "correct inventory/hosts.yml",
            )


def _runs_folder(given: str, here: Here) -> Path:
    # `~` is the shell's, and not expanded within -e benchmark_runs_dir=~/runs.
    folder = here.home / given[2:] if given.startswith("~/") else Path(given or "runs")
    return here.project / folder


def _there(runs: Path, name: str) -> Path:
    folder = runs / name
    if not folder.is_dir():
        what = "there is no such run" if name != LATEST else "there is no run yet"
        raise refuse(Code.RUN_MISSING, str(folder), what, "measure first: ansible-playbook benchmark.yml")
    return folder.resolve()


def _kubeconfig(given: str, here: Here, server: str, folder: Path) -> tuple[Path, str]:
    """Return the kubeconfig's path, and the Pi from which it is to be fetched or an empty text."""
    path = given or here.environment.get("KUBECONFIG", "")
    if not given and ":" in path:
        raise refuse(
            Code.KUBECONFIG_SEVERAL,
            "$KUBECONFIG",
            "names several files",
            "name one with -e benchmark_kubeconfig=FILE",
        )
    if path:
        return (here.home / path[2:] if path.startswith("~/") else Path(path)).absolute(), ""
    if server:
        return folder / PRIVATE / "kubeconfig", server
    return here.home / ".kube/config", ""


def _continues(
    store: RunStore,
    settings: Settings,
    *,
    pis: Sequence[str],
    base_pi: str,
    worker_sha256: str,
    program_sha256: str,
) -> bool:
    """Say whether the run has a plan; ProblemError if it cannot go on, or is complete."""
    if not store.has_plan:
        foreign = sorted({each.name for each in _entries(store.folder)} - _BEFORE_THE_PLAN)
        if foreign:
            what = f"not the folder of a run, it holds {_names(foreign)}"
            raise refuse(
                Code.FILE_IN_THE_WAY,
                str(store.folder),
                what,
                "choose another benchmark_run_id or benchmark_runs_dir",
            )
        return False
    plan = store.plan()
    check_same(
        plan,
        settings,
        pis=[store.pi_of(pi) for pi in pis],
        base_pi=store.pi_of(base_pi),
        worker_sha256=worker_sha256,
        program_sha256=program_sha256,
    )
    upcoming = next_trial(plan, store.trials(), lambda: None)
    if isinstance(upcoming, Stop) and store.is_reported:
        ended = {"complete": "complete", "budget": "over: its benchmark_budget_minutes are spent"}
        raise refuse(
            Code.RUN_COMPLETE,
            f"run {plan.run_id}",
            f"it is {ended.get(upcoming.why, upcoming.why)}",
            f"ansible-playbook report.yml -e benchmark_run_id={plan.run_id}, or leave benchmark_run_id out "
            "to begin a new run",
        )
    return True


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
