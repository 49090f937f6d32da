"""What the playbook costs beyond the bare steps: both on one cluster, in turn, with little to compute.

    make overhead                    on a lab
    make overhead KIND=containers    on Pis that one logs in to: needs Docker and root

A is `ansible-playbook benchmark.yml` with one round and no warm-up: one Job, one base case. B is bare.sh:
the same two by hand, with kubectl and, on the containers, ssh and docker run. Prints the wall seconds of each
pair with the ratio A/B, then the ratio of a round in the middle of a run to B; on a lab also the API requests
of one Job trial, counted in the API server's audit log.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from pi_speedup.store import RunStore
from tests.containers.cluster import Cluster
from tests.lab.lab import PROJECT, Lab
from tests.virtual import VirtualCluster

PAIRS = 5
# Of these the first and the last are left out: the rounds in the middle of a run are looked at.
ROUNDS = 6
# Without the page, whose charts take a second: the steps by hand end with figures too, not with a picture.
_QUICK = {
    "benchmark_samples_per_process": 1000,
    "benchmark_long_rounds": 0,
    "benchmark_warm_up": "false",
    "benchmark_report_formats": "json,md",
}


def main() -> None:
    """Measure PAIRS pairs on a cluster of its own, after one of each that isn't counted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=["lab", "containers"], nargs="?", default="lab")
    kind = parser.parse_args().kind
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        cluster = (Lab if kind == "lab" else Cluster)(Path(folder) / "cluster")
        cluster.virtual_cluster("up", *(("--pis", "3", "--cpus", "0.5") if kind == "lab" else ()))
        try:
            measure(cluster, bare_command(cluster, Path(folder)))
        finally:
            cluster.virtual_cluster("down")


def measure(cluster: VirtualCluster, bare_argv: list[str]) -> None:
    """Print the pairs, the ratios and the requests."""
    playbook(cluster, 1)
    bare(bare_argv)
    print(f"{'pair':>4} {'playbook s':>11} {'round s':>8} {'bare s':>8} {'ratio':>6} {'round':>6}")
    whole, inner = [], []
    for pair in range(1, PAIRS + 1):
        start = time.perf_counter()
        playbook(cluster, 1)
        seconds = time.perf_counter() - start
        by_hand = bare(bare_argv)
        in_the_middle = round_seconds(playbook(cluster, ROUNDS))
        whole.append(seconds / by_hand)
        inner.append(in_the_middle / by_hand)
        print(
            f"{pair:>4} {seconds:>11.2f} {in_the_middle:>8.2f} {by_hand:>8.2f} "
            f"{whole[-1]:>6.2f} {inner[-1]:>6.2f}",
            flush=True,
        )
    for what, ratios in (("a whole run", whole), ("a round in the middle", inner)):
        print(f"{what}: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")
    if not (cluster.folder / "audit.log").exists():
        return
    few = count_requests(cluster, lambda: playbook(cluster, 1))
    many = count_requests(cluster, lambda: playbook(cluster, ROUNDS))
    print(f"API requests of a run of one round: {few.total()}")
    print(f"API requests of each further Job trial: {(many.total() - few.total()) / (ROUNDS - 1):.1f}")
    for what in sorted(many.keys() | few.keys()):
        print(f"  {few[what]:>3} {many[what]:>3} {what}")


def playbook(cluster: VirtualCluster, rounds: int) -> Path:
    """Run the playbook once; return the run's folder."""
    outcome = cluster.play("benchmark.yml", benchmark_rounds=rounds, **_QUICK)
    assert outcome.exit_code == 0, outcome.output
    return outcome.run_dir.resolve()


def round_seconds(run: Path) -> float:
    """Return the mean seconds of the rounds in the middle, from one's first trial to the next one's."""
    starts = {
        trial.slot.round: trial.started_epoch_ns
        for trial in reversed(RunStore(run).trials())
        if trial.slot.position == 0
    }
    return (starts[ROUNDS] - starts[2]) / 1e9 / (ROUNDS - 2)


def bare(argv: list[str]) -> float:
    """Run the steps by hand once; return their wall seconds."""
    start = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Estimated Pi") == 4, done.stdout
    return seconds


def bare_command(cluster: VirtualCluster, folder: Path) -> list[str]:
    """Return the command of the bare steps for this cluster."""
    build = [sys.executable, str(PROJECT / "virtual_cluster"), "build"]
    kubernetes = subprocess.run(build, capture_output=True, text=True, check=True).stdout.split()[-1]
    everything = yaml.safe_load((cluster.folder / "inventory.yml").read_text())["all"]
    settings, pis = everything["vars"], everything["children"]["pis"]
    job = yaml.safe_load((PROJECT / "benchmarks/bare.yml").read_text())
    pod = job["spec"]["template"]["spec"]
    pod["nodeSelector"]["kubernetes.io/arch"] = settings["benchmark_architecture"]
    pod["containers"][0]["image"] = settings.get("benchmark_image", "python:3.9")
    manifest = folder / "bare.yml"
    manifest.write_text(yaml.safe_dump(job))
    if isinstance(cluster, Lab):
        on_pi = [*settings["benchmark_base_command_prefix"], settings["benchmark_base_python"], "-"]
    else:
        address = pis["hosts"]["pi-1"]["ansible_host"]
        ssh = ["ssh", "-i", pis["vars"]["ansible_ssh_private_key_file"]]
        ssh += shlex.split(pis["vars"]["ansible_ssh_common_args"])
        docker = ["docker", "run", "--rm", "--interactive", settings["benchmark_image"], "python3", "-"]
        on_pi = [*ssh, f"{pis['vars']['ansible_user']}@{address}", *docker]
    environment = ["env", f"KUBECONFIG={cluster.folder / 'kubeconfig'}"]
    return [*environment, "bash", str(PROJECT / "benchmarks/bare.sh"), kubernetes, str(manifest), *on_pi]


def count_requests(cluster: VirtualCluster, run: Callable[[], object]) -> Counter[str]:
    """Return the requests of the cluster's administrator while `run` ran: verb and path, without names."""
    log = cluster.folder / "audit.log"
    offset = log.stat().st_size
    run()
    with log.open(encoding="utf-8") as stream:
        stream.seek(offset)
        events = [json.loads(line) for line in stream]
    return Counter(
        f"{event['verb']} {'/'.join(event['requestURI'].partition('?')[0].split('/')[:7])}"
        for event in events
        if event["user"]["username"] == "admin"
        and event["requestURI"] != "/readyz"
        and event["stage"] == "ResponseComplete"
    )


if __name__ == "__main__":
    main()
