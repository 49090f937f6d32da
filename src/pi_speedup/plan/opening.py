"""Open a door: settings and inventory are right, and run, folder and kubeconfig are known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pi_speedup.codes import Code
from pi_speedup.model.settings import PREFIX, Settings, settings_from
from pi_speedup.plan.progress import Stop, next_trial
from pi_speedup.plan.resume import check_same
from pi_speedup.problem import refuse
from pi_speedup.store import PRIVATE, RunStore
from pi_speedup.text import listed, one_line

Door = Literal["benchmark", "cleanup", "preload", "rbac", "report"]
# Whether a run can do without a Pi: no; no, but another could work alone; yes, if enough others are fit.
Need = Literal["needed", "base", "spare"]
LATEST = "latest"
# A run's file is named after its Pi, which is a node's name.
_PI = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
# What a run that broke off before its plan was sealed may have left in its folder.
_BEFORE_THE_PLAN = {PRIVATE, "hosts", "nodes.json"}
_GROUPS = "see inventory/hosts.yml for the groups pis, base and server"


@dataclass(frozen=True, slots=True)
class Inventory:
    """The groups as Ansible knows them: the names of their hosts, None for a group that is not there.

    An inventory of k3s-ansible has `server` and `agent`, and neither `pis` nor `base`: then its server works
    alone. `limit` is what was given with --limit, `reached` the hosts that it leaves, both None without it.
    """

    pis: Sequence[str] | None
    base: Sequence[str] | None
    server: Sequence[str] | None = None
    agent: Sequence[str] | None = None
    limit: str | None = None
    reached: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Here:
    """The control host: the project's folder, the environment, the moment, and a random number."""

    project: Path
    environment: Mapping[str, str]
    home: Path
    # Of UTC, as %Y%m%d-%H%M%S.
    moment: str
    fresh: int


@dataclass(frozen=True, slots=True)
class Opened:
    """What the plays need to know. `fetch_from` is the Pi whose kubeconfig is fetched, empty for none.

    `continues`: the run has a plan already, and goes on, with the Pis of that plan. `base_pi` is empty and
    `pis` too where the door needs none. `min_pis`: how many Pis are enough; `needs` says of each what then
    becomes of it.
    """

    id: str
    dir: str
    runs_dir: str
    kubeconfig: str
    fetch_from: str
    pis: tuple[str, ...]
    base_pi: str
    min_pis: int
    continues: bool
    settings: Settings

    @property
    def needs(self) -> dict[str, Need]:
        """Return by Pi whether it is needed."""
        if self.continues or self.min_pis >= len(self.pis):
            return dict.fromkeys(self.pis, "needed")
        return {pi: "base" if pi == self.base_pi else "spare" for pi in self.pis}

    def plain(self) -> dict[str, object]:
        """Return the fields built from dict, list, str, int, float, bool and None only."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {
            **fields,
            "pis": list(self.pis),
            "needs": self.needs,
            "settings": self.settings.model_dump(mode="json"),
        }


def open_door(
    door: Door,
    variables: Mapping[str, object],
    inventory: Inventory,
    here: Here,
    *,
    worker_sha256: str = "",
    check_mode: bool = False,
) -> Opened:
    """Return what the plays need to know; ProblemError, one line, for the first thing that is wrong.

    Nothing is written. worker_sha256: of the program that trials run; a run that goes on must have the same.
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
    runs = _runs_folder(settings.runs_dir, here)
    try:
        return _opened(door, settings, inventory, here, pis, base_pi, server, runs, worker_sha256)
    except OSError as error:
        what = f"cannot be looked at ({error.strerror})"
        raise refuse(
            Code.FILE_UNREADABLE, str(runs), what, "make it yours, or choose another benchmark_runs_dir"
        ) from None


def _opened(
    door: Door,
    settings: Settings,
    inventory: Inventory,
    here: Here,
    pis: Sequence[str],
    base_pi: str,
    server: str,
    runs: Path,
    worker_sha256: str,
) -> Opened:
    if door == "report":
        folder = _there(runs, settings.run_id or LATEST)
    elif door in ("cleanup", "preload", "rbac"):
        folder = runs / f".{door}"
    else:
        folder = runs / (settings.run_id or f"{here.moment}-{here.fresh % 65536:04x}")
    kubeconfig, fetch_from = _kubeconfig(settings.kubeconfig, here, server, folder)
    continues, min_pis = False, len(pis)
    if door == "benchmark":
        min_pis = _min_pis(settings, pis)
        store = RunStore(folder)
        continues = _continues(store, settings, pis=pis, base_pi=base_pi, worker_sha256=worker_sha256)
        if continues:
            # A plan is sealed with its Pis: none is left out any more, and none comes back.
            of_the_plan = store.plan().pis
            pis = [pi for pi in pis if store.pi_of(pi) in of_the_plan]
    return Opened(
        id=folder.name,
        dir=str(folder),
        runs_dir=str(runs),
        kubeconfig=str(kubeconfig),
        fetch_from=fetch_from,
        pis=tuple(pis),
        base_pi=base_pi,
        min_pis=min_pis,
        continues=continues,
        settings=settings,
    )


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
    store: RunStore, settings: Settings, *, pis: Sequence[str], base_pi: str, worker_sha256: str
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
    )
    upcoming = next_trial(plan, store.trials(), lambda: None)
    if isinstance(upcoming, Stop) and _is_reported(store.folder):
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


def _is_reported(folder: Path) -> bool:
    """Say whether the report was made after the last trial: a run may be killed between the two."""
    report = folder / "report.json"
    last = max((path.stat().st_mtime_ns for path in (folder / "trials").glob("*.json")), default=0)
    return report.exists() and report.stat().st_mtime_ns >= last
