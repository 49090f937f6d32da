"""What nobody wrote for this project: inventories, and a kubeconfig of Rancher's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.lab import Lab
from tests.virtual import FEW, PROJECT, playbook_environment


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROJECT / "src/pi_speedup"), *words],
        capture_output=True,
        text=True,
        env=playbook_environment(),
        cwd=PROJECT,
        check=False,
    )


def addresses(lab: Lab) -> dict[str, str]:
    """Return the Pis' addresses by name."""
    return {
        node["metadata"]["name"]: next(
            each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP"
        )
        for node in lab.get("nodes")["items"]
    }


def play(lab: Lab, inventory: Path, door: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Open a door with an inventory, and what of the lab's own is no group: how its Pis are reached."""
    own = yaml.safe_load((lab.folder / "inventory.yml").read_text())["all"]["vars"]
    values = {**own, "benchmark_runs_dir": str(inventory.parent / "runs"), **FEW, **settings}
    return subprocess.run(
        [
            *(str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), door),
            *("-e", json.dumps(values)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=playbook_environment(),
        check=False,
    )


def report(inventory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((inventory.parent / "runs/latest/report.json").read_text())
    return found


def test_the_inventory_made_from_the_cluster_measures(lab: Lab, tmp_path: Path) -> None:
    inventory = tmp_path / "made/hosts.yml"
    words = ("inventory", "--kubeconfig", str(lab.folder / "kubeconfig"), "--output", str(inventory))
    made = command(*words)
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines() == [
        f"{inventory}: 3 Pis",
        "  pis     pi-1, pi-2, pi-3: each takes pods",
        "  base    pi-1: not asked whether it has Docker",
        "  server  pi-1: the first one's kubeconfig is fetched for each run",
        f"Next: look at {inventory}; then make benchmark 'ARGS=-i {inventory}'",
    ]
    found = yaml.safe_load(inventory.read_text())
    assert found["pis"]["hosts"] == {
        name: {"ansible_host": address} for name, address in addresses(lab).items()
    }
    assert (list(found["base"]["hosts"]), list(found["server"]["hosts"])) == (["pi-1"], ["pi-1"])
    again = command(*words)
    assert again.returncode == 2
    assert again.stderr.startswith(f"{inventory}: is there already [PS-704]. Next: --force replaces it")
    inventory.write_text("")
    assert command(*words, "--force").returncode == 0
    assert yaml.safe_load(inventory.read_text()) == found
    done = play(lab, inventory, "benchmark.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (report(inventory)["pis"], report(inventory)["base_pi"]) == (["pi-1", "pi-2", "pi-3"], "pi-1")


def k3s_ansible(names: Iterable[str]) -> dict[str, Any]:
    """Return an inventory as k3s-ansible's inventory-sample.yml has it."""
    server, *agents = names
    return {
        "k3s_cluster": {
            "children": {
                "server": {"hosts": {server: None}},
                "agent": {"hosts": dict.fromkeys(agents)},
            },
            "vars": {
                "ansible_port": 22,
                "ansible_user": "debian",
                "k3s_version": "v1.34.4+k3s1",
                "token": "changeme!",
                "api_endpoint": "{{ hostvars[groups['server'][0]]['ansible_host'] "
                "| default(groups['server'][0]) }}",
            },
        }
    }


@pytest.mark.parametrize("by", ["name", "address"])
def test_an_inventory_of_k3s_ansible_measures_as_it_is(lab: Lab, tmp_path: Path, by: str) -> None:
    known = addresses(lab)
    names = ["pi-2", "pi-1", "pi-3"]
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(
        yaml.safe_dump(k3s_ansible(known[name] if by == "address" else name for name in names))
    )
    done = play(lab, inventory, "benchmark.yml", benchmark_run_id="first")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (report(inventory)["pis"], report(inventory)["base_pi"]) == (names, "pi-2")
    # The run is known again by the same inventory.
    again = play(lab, inventory, "benchmark.yml", benchmark_run_id="first")
    assert again.stderr.startswith("run first: it is complete [PS-713]. Next: "), again.stdout + again.stderr
    cleaned = play(lab, inventory, "cleanup.yml")
    assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr


@pytest.mark.fault(
    "names of one's own in the inventory, ansible_host is the node's address", "survived", kept="all"
)
def test_names_of_ones_own_are_known_by_their_addresses(lab: Lab, tmp_path: Path) -> None:
    known = addresses(lab)
    own = {f"rpi4-{name}": {"ansible_host": known[name]} for name in ("pi-3", "pi-1", "pi-2")}
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"pis": {"hosts": own}, "base": {"hosts": {"rpi4-pi-1": None}}}))
    done = play(lab, inventory, "benchmark.yml", benchmark_run_id="own")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (report(inventory)["pis"], report(inventory)["base_pi"]) == (["pi-1", "pi-2", "pi-3"], "pi-1")
    again = play(lab, inventory, "benchmark.yml", benchmark_run_id="own")
    assert again.stderr.startswith("run own: it is complete [PS-713]. Next: "), again.stdout + again.stderr


def test_an_address_that_no_node_has_is_one_line(lab: Lab, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(yaml.safe_dump(k3s_ansible(["127.9.9.9", *list(addresses(lab).values())[1:]])))
    done = play(lab, inventory, "benchmark.yml")
    assert done.returncode == 2
    assert done.stderr.startswith("127.9.9.9: no node of the cluster has this address [PS-309]. Next: "), (
        done.stderr
    )
    assert done.stderr.count("\n") == 1


@pytest.fixture
def behind_a_path(lab: Lab, tmp_path: Path) -> Iterator[Path]:
    """Return a kubeconfig as Rancher writes it: its server is a path of another one, with / at its end."""
    path = "/k8s/clusters/c-1/"
    proxy = subprocess.Popen(
        lab.command("kubectl", "--", "proxy", "--port=0", f"--api-prefix={path}"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert proxy.stdout is not None
    address = proxy.stdout.readline().split()[-1]
    kubeconfig = tmp_path / "rancher.yml"
    kubeconfig.touch(0o600)
    cluster = {"name": "c", "cluster": {"server": f"http://{address}{path}"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    found = {"apiVersion": "v1", "kind": "Config", "current-context": "c", "clusters": [cluster]}
    found |= {"contexts": [context], "users": [{"name": "u", "user": {"token": "abc"}}]}
    kubeconfig.write_text(yaml.safe_dump(found))
    yield kubeconfig
    proxy.kill()
    proxy.wait()


def test_an_api_server_behind_a_path_measures(lab: Lab, behind_a_path: Path) -> None:
    done = lab.play("benchmark.yml", benchmark_kubeconfig=behind_a_path)
    assert done.exit_code == 0, done.output
