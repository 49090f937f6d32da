"""The inventory through which the product meets a lab: nothing else of a lab is known to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from virtual_cluster.virtual_pi.config import Pi

# The package's folder holds a __main__.py: `python FOLDER` works from any working directory.
PACKAGE = Path(__file__).resolve().parent


def render(pis: Sequence[Pi], folder: Path, kubeconfig: Path) -> str:
    """The text of inventory.yml for the lab in `folder`; pi-1 is also the one that works alone."""
    first = pis[0]
    run_on_first = [sys.executable, str(PACKAGE), "exec", "--dir", str(folder), first.name, "--"]
    return yaml.safe_dump(
        {
            "all": {
                "vars": {
                    "ansible_connection": "local",
                    "ansible_python_interpreter": sys.executable,
                    "benchmark_kubeconfig": str(kubeconfig),
                    "benchmark_caveat": "virtual Pis: says nothing about real hardware",
                    "benchmark_architecture": first.architecture,
                    "benchmark_cpu_limit_cores": first.cpus,
                    # A virtual Pi is no machine that one can log in to.
                    "benchmark_host_checks": False,
                    "benchmark_base_runtime": "process",
                    "benchmark_base_command_prefix": run_on_first,
                    # The interpreter that the pods' image stands for: both sides then run the same Python.
                    "benchmark_base_python": os.path.realpath(
                        getattr(sys, "_base_executable", sys.executable)
                    ),
                },
                "children": {
                    "pis": {"hosts": {pi.name: {} for pi in pis}},
                    "base": {"hosts": {first.name: {}}},
                },
            }
        },
        sort_keys=False,
        width=1000,
        allow_unicode=True,
    )
