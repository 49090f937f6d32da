"""cleanup.yml on a bad day: what can be removed is, and what is left is named with what removes it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pi_speedup.kube.access.client import KubeClient
from pi_speedup.kube.owned.lease import hold
from pi_speedup.kube.owned.owned import Place
from pi_speedup.pi import base
from pi_speedup.store import RunStore
from tests.lab.lab import Lab
from tests.lab.runs import put
from tests.manifests import namespace, owner
from tests.virtual import assert_told

BY_HAND = r"by hand: kubectl -n pi-speedup delete configmap pi-speedup-owner$"


@pytest.fixture
def left(lab: Lab) -> Iterator[subprocess.Popen[bytes]]:
    """A base case that a run has left on the Pi that works alone."""
    run = lab.play("benchmark.yml", benchmark_rounds=1, benchmark_samples_per_process=100_000).run_dir
    name, _, value = base._mark(RunStore(run.resolve()).owners("pi-speedup")[-1]).partition("=")
    words = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(600)"]
    process = subprocess.Popen(words, env={name: value}, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"up\n"
    yield process
    process.kill()
    process.wait()
    assert lab.play("cleanup.yml").exit_code == 0


@pytest.mark.parametrize("kind", ["the API away", "the kubeconfig gone"])
def test_without_the_cluster_the_pi_that_works_alone_is_cleaned_up(
    lab: Lab, tmp_path: Path, left: subprocess.Popen[bytes], kind: str
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    if kind == "the API away":
        kubeconfig.touch(0o600)
        text = (lab.folder / "kubeconfig").read_text()
        kubeconfig.write_text(re.sub(r"https://127\.0\.0\.1:\d+", "https://127.0.0.1:1", text))
    outcome = lab.play("cleanup.yml", benchmark_kubeconfig=kubeconfig)
    away = r"cannot be reached: connection refused \[PS-401\]"
    words = away if kind == "the API away" else r"does not exist \[PS-431\]"
    assert_told(
        outcome,
        rf"{words}\. Next: .*; then run \S*ansible-playbook .*cleanup.yml again, or remove .* {BY_HAND}",
    )
    assert re.search(r"^pi-1: removed process", outcome.output, re.MULTILINE), outcome.output
    assert left.wait(10) != 0


def test_while_somebody_measures_nothing_is_removed_anywhere(
    lab: Lab, direct: KubeClient, left: subprocess.Popen[bytes]
) -> None:
    place = Place("pi-speedup")
    put(direct, namespace(place))
    put(direct, owner(place))
    with hold(direct, place, "ann@laptop", "run-1"):
        outcome = lab.play("cleanup.yml")
        assert_told(outcome, r"^a benchmark is measuring: run run-1 by ann@laptop")
        assert left.poll() is None
        assert direct.find(place.owner_path)
    assert lab.play("cleanup.yml").exit_code == 0
    assert left.wait(10) != 0
    assert lab.left_behind() == []


def test_both_sides_that_fail_have_a_line_each(lab: Lab, tmp_path: Path) -> None:
    outcome = lab.play(
        "cleanup.yml",
        "-e",
        "ansible_connection=ssh",
        "-e",
        "ansible_port=9",
        "-e",
        "ansible_host=127.0.0.1",
        benchmark_kubeconfig=tmp_path / "none",
    )
    assert outcome.exit_code == 2
    assert [line.partition(":")[0] for line in outcome.errors] == [f"kubeconfig {tmp_path}/none", "pi-1"]
