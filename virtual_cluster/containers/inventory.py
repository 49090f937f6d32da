"""The inventory through which the product meets the containers: that of three Pis, with another address."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from virtual_cluster.containers.images import WORKER
from virtual_cluster.containers.pis import ContainerPi


def render(pis: Sequence[ContainerPi], architecture: str, key: Path, known_hosts: Path) -> str:
    """The text of inventory.yml; pi-1 is the K3s server, and the Pi that runs the baseline."""
    first = pis[0]
    return yaml.safe_dump(
        {
            "all": {
                "vars": {
                    "benchmark_caveat": "virtual Pis: says nothing about real hardware",
                    "benchmark_architecture": architecture,
                    "benchmark_cpu_limit_cores": first.cpus,
                    "benchmark_image": WORKER,
                },
                "children": {
                    "pis": {
                        "hosts": {pi.name: {"ansible_host": pi.address} for pi in pis},
                        "vars": {
                            "ansible_user": "pi",
                            "ansible_ssh_private_key_file": str(key),
                            "ansible_ssh_common_args": (
                                f"-o UserKnownHostsFile={known_hosts} -o IdentitiesOnly=yes"
                            ),
                        },
                    },
                    "server": {"hosts": {first.name: {}}},
                    "baseline": {"hosts": {first.name: {}}},
                },
            }
        },
        sort_keys=False,
        width=1000,
    )


def addresses(text: str) -> dict[str, str]:
    """Pi -> address, from the text of an inventory that `render` wrote; the server is the first."""
    hosts = yaml.safe_load(text)["all"]["children"]["pis"]["hosts"]
    return {name: variables["ansible_host"] for name, variables in hosts.items()}
