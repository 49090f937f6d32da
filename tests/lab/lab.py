"""A lab as tests and benchmarks use it: by its commands, as a person does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """What a playbook printed, its exit code, and the folder of its run."""

    exit_code: int
    output: str
    run_dir: Path


@dataclass(frozen=True)
class Lab:
    """A running lab in `folder`."""

    folder: Path

    def virtual_cluster(self, command: str, *words: str) -> str:
        """Run a command of the lab and return what it printed."""
        argv = [sys.executable, str(PROJECT / "virtual_cluster"), command, "--dir", str(self.folder), *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kubectl(self, *words: str) -> str:
        """Run the unmodified kubectl and return what it printed."""
        return self.virtual_cluster("kubectl", "--", *words)

    def get(self, *words: str) -> Any:
        """Return what kubectl get answers, parsed."""
        return json.loads(self.kubectl("get", *words, "--output=json"))

    def pid(self, component: str) -> int:
        """Return the process of a component of the control plane."""
        return int(json.loads(self.virtual_cluster("status", "--json"))["components"][component]["pid"])

    def play(self, door: str, **settings: object) -> Outcome:
        """Run a playbook as a user does, with settings as -e."""
        runs = self.folder.parent / "runs"
        argv = [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            str(self.folder / "inventory.yml"),
            door,
        ]
        for name, value in {
            "benchmark_runs_dir": runs,
            "benchmark_samples_per_pod": 1000,
            **settings,
        }.items():
            argv += ["-e", f"{name}={value}"]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=PROJECT, env=environment)
        return Outcome(done.returncode, done.stdout + done.stderr, runs / "latest")
