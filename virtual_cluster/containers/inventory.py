"""The inventory through which the product meets the containers: that of three Pis, with another address."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml

from virtual_cluster.containers.images import WORKER
from virtual_cluster.containers.pis import ContainerPi


def render(pis: Sequence[ContainerPi], architecture: str, key: Path, known_hosts: Path) -> str:
    """The text of inventory.yml; pi-1 is the K3s server, and the Pi that works alone."""
    first = pis[0]
    # ssh takes a space for the end of a file's name, and % for the beginning of something it puts in.
    key_file, known_file = (str(path).replace("%", "%%") for path in (key, known_hosts))
    options = shlex.join(["-o", f'UserKnownHostsFile="{known_file}"', "-o", "IdentitiesOnly=yes"])
    return yaml.safe_dump(
        {
            "all": {
                "vars": {
                    "benchmark_caveat": "virtual Pis: says nothing about real hardware",
                    "benchmark_architecture": architecture,
                    "benchmark_cpu_limit_cores": first.cpus,
                    "benchmark_image": WORKER,
                    # There is a containerd, but no k3s.
                    "preload_ctr": ["ctr", "--namespace=k8s.io"],
                },
                "children": {
                    "pis": {
                        "hosts": {pi.name: {"ansible_host": pi.address} for pi in pis},
                        "vars": {
                            "ansible_user": "pi",
                            "ansible_ssh_private_key_file": key_file,
                            "ansible_ssh_common_args": options,
                        },
                    },
                    "server": {"hosts": {first.name: {}}},
                    "base": {"hosts": {first.name: {}}},
                },
            }
        },
        sort_keys=False,
        width=1000,
        allow_unicode=True,
    )


def addresses(text: str) -> dict[str, str]:
    """Pi -> address, from the text of an inventory that `render` wrote; the server is the first."""
    hosts = yaml.safe_load(text)["all"]["children"]["pis"]["hosts"]
    return {name: variables["ansible_host"] for name, variables in hosts.items()}
