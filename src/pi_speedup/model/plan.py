"""plan.json: what will be measured, in which order, sealed before the first trial."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from pi_speedup.model.base import Count, Model, Name, RunId, Text
from pi_speedup.model.calibration import Calibration
from pi_speedup.model.settings import Settings
from pi_speedup.problem import Problem

CellName = Annotated[str, StringConstraints(pattern=r"^[a-z][-a-z0-9]{0,39}$")]
ALONE, ALONE_LONG, ALONE_ON = "alone", "alone-long", "alone-on-"
# What the control that must not be 1 leaves of the CPU limit.
SLOW, SLOW_SHARE = "slow", 0.8


class Cell(Model):
    """One thing to measure. `job`: a Job with a pod on each of `pis`. `base`: a container or process.

    Every Pi runs `processes_per_pi` processes, each of which does `amount_per_process` of the work.
    `cpu_share` is the share of the usual CPU limit that they may use. `is_divided`: all processes share the
    work of one, each does a part of it.
    """

    name: CellName
    kind: Literal["job", "base"]
    pis: Annotated[tuple[Name, ...], Field(min_length=1)]
    processes_per_pi: Annotated[int, Field(ge=1, le=16)]
    amount_per_process: Annotated[Count, Field(ge=1)]
    cpu_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    is_divided: bool = False

    @property
    def parts(self) -> int:
        """Into how many parts the work of a process is divided."""
        return len(self.pis) * self.processes_per_pi if self.is_divided else 1

    @property
    def amount(self) -> int:
        """How much the whole cell does."""
        return len(self.pis) * self.processes_per_pi * self.amount_per_process // self.parts

    def cpu_limit_cores(self, settings: Settings) -> float:
        """Return the cores that its container, or each of its pods, may use."""
        return settings.cpu_limit_cores * self.processes_per_pi * self.cpu_share


class Slot(Model):
    """One place in the plan: a cell in a round. Round 0 is the warm-up, which no figure counts."""

    round: Annotated[int, Field(ge=0, le=10_000)]
    position: Annotated[int, Field(ge=0, le=10_000)]
    cell: CellName

    @property
    def name(self) -> str:
        """Name of its files: in order of the plan when sorted."""
        return f"r{self.round:03d}-{self.position:02d}-{self.cell}"

    def attempt(self, number: int) -> str:
        """Return the name of one attempt at it, as its files and its pods' label have it."""
        return self.name if number == 1 else f"{self.name}.attempt-{number}"


class LeftOut(Model):
    """A Pi of the inventory that takes no part, and why."""

    pi: Name
    problem: Problem


class Plan(Model):
    """The sealed plan. `order[r]` names the cells of round r in the order in which they are measured.

    `pis` are those that take part; of the inventory's others `left_out` says why they don't.
    """

    schema_version: Literal[1] = 1
    run_id: RunId
    made_at: Text
    tool_version: Text
    settings: Settings
    pis: Annotated[tuple[Name, ...], Field(min_length=1)]
    base_pi: Name
    left_out: tuple[LeftOut, ...] = ()
    # SHA-256 of the worker that all trials run, and of the user's program, empty without one.
    worker_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    program_sha256: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    # By which the amounts were chosen; None where the settings give them.
    calibration: Calibration | None = None
    order_seed: int
    cells: tuple[Cell, ...]
    order: Annotated[tuple[tuple[CellName, ...], ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits_together(self) -> Plan:
        names = [cell.name for cell in self.cells]
        if len(set(names)) != len(names):
            raise ValueError("two cells have the same name")
        if f"together-{len(self.pis)}" not in names:
            raise ValueError(f"there is no cell of all {len(self.pis)} Pis together")
        if unknown := next((name for each in self.order for name in each if name not in names), None):
            raise ValueError(f"the order names {unknown}, which is not one of the cells")
        if any(len(set(each)) != len(each) for each in self.order):
            raise ValueError("a round holds a cell twice")
        for which in (self.pis, *(cell.pis for cell in self.cells)):
            if len(set(which)) != len(which) or not {*which, self.base_pi} <= set(self.pis):
                raise ValueError("a Pi is named twice, or is not one of pis")
        without = [each.pi for each in self.left_out]
        if len({*without, *self.pis}) != len(without) + len(self.pis):
            raise ValueError("a Pi is left out twice, or is one of pis")
        return self

    @cached_property
    def sha256(self) -> str:
        """The seal: SHA-256 of plan.json, of a plan that was read as it was written, by whatever version."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    def sealed(self, sha256: str) -> Self:
        """Return the same plan with the seal of its file."""
        made = self.model_copy()
        made.__dict__["sha256"] = sha256
        return made

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; with anything in it changed its seal is another."""
        made = super().model_copy(update=update, deep=deep)
        if update:
            made.__dict__.pop("sha256", None)
        return made

    def cell(self, name: str) -> Cell:
        """Return the cell of this name; KeyError if there is none."""
        return {cell.name: cell for cell in self.cells}[name]

    @property
    def together(self) -> Cell:
        """The cell of all Pis together."""
        return self.cell(f"together-{len(self.pis)}")

    @property
    def slow(self) -> Cell | None:
        """The cell of all Pis together under a lower limit, None without `control_round`."""
        return next((cell for cell in self.cells if cell.cpu_share < 1), None)

    @property
    def each_alone(self) -> tuple[Cell, ...]:
        """The cells of one pod on each Pi by itself, in the order of `pis`; () without `each_pi`."""
        return tuple(cell for cell in self.cells if cell.name.startswith(ALONE_ON))

    @property
    def sweep(self) -> tuple[Cell, ...]:
        """The cells of 1, 2, ... Pis together, all of them included."""
        return tuple(cell for cell in self.cells if re.fullmatch(r"together-\d+", cell.name))

    @property
    def longest_name(self) -> int:
        """Characters of the longest cell's name, for columns."""
        return max(len(cell.name) for cell in self.cells)

    @property
    def rounds(self) -> int:
        """How many rounds are to be measured, the warm-up apart."""
        return len(self.order) - 1

    @property
    def slots(self) -> tuple[Slot, ...]:
        """All places of the plan, in order."""
        return tuple(
            Slot(round=number, position=position, cell=name)
            for number, names in enumerate(self.order)
            for position, name in enumerate(names)
        )
