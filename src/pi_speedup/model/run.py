"""run.json: what opening a door found out; each role reads it, and it is written anew when a run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from pi_speedup.model.base import Model, Session, Text
from pi_speedup.model.settings import Settings

Door = Literal["benchmark", "cleanup", "preload", "rbac", "report"]
# Whether a run can do without a Pi: no; no, but another could work alone; yes, if enough others are fit.
Need = Literal["needed", "base", "spare"]


class Run(Model):
    """A run, or what one of the other doors is opened for. Pis are named as in the inventory.

    `dir` is the run's folder, `worker` the program that trials run, and `program` the user's that it runs,
    empty for none. `fetch_from` is the Pi whose kubeconfig
    is fetched, empty for none. `continues`: the run has a plan already, and goes on, with the Pis of that
    plan. `base_pi` is empty and `pis` too where the door needs none. `min_pis`: how many Pis are enough.
    `addresses`: how Pis are reached, where the inventory says so.
    """

    schema_version: Literal[1] = 1
    door: Door
    dir: Text
    runs_dir: Text
    kubeconfig: Text
    fetch_from: Text
    worker: Text
    program: Text = ""
    pis: tuple[Text, ...]
    base_pi: Text
    min_pis: int = Field(ge=0, le=10_000)
    continues: bool
    # Counted by those that measured something.
    session: Session = 1
    settings: Settings
    addresses: dict[Text, Text] = Field(default_factory=dict)

    @property
    def id(self) -> str:
        """The run's name."""
        return Path(self.dir).name

    @property
    def folder(self) -> Path:
        """Where run.json is: a report may be made while another door holds the run's folder."""
        return Path(self.runs_dir) / ".report" if self.door == "report" else Path(self.dir)

    @property
    def needs(self) -> dict[str, Need]:
        """Return by Pi what becomes of the run if it is not fit."""
        if self.continues or self.min_pis >= len(self.pis):
            return dict.fromkeys(self.pis, "needed")
        return {pi: "base" if pi == self.base_pi else "spare" for pi in self.pis}

    def runtime(self, pi: str) -> str:
        """Return the container runtime that a Pi must be able to use besides K3s' own, empty for none."""
        runtime = self.settings.base_runtime
        return runtime if pi == self.base_pi and runtime != "process" else ""
