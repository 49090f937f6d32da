"""No key is where others can read it, whatever was asked to be told."""

from __future__ import annotations

import base64
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.containers.cluster import ENDLESS, PIS, Cluster
from tests.virtual import Outcome, await_that

K3S = "/etc/rancher/k3s/k3s.yaml"
# Base64 of fewer characters may be in a file by chance.
NEEDLE_CHARACTERS = 24


def pieces(text: str) -> Iterator[str]:
    """Cut base64 into pieces of which each betrays the whole, so that no line break hides it."""
    for start in range(0, len(text) - NEEDLE_CHARACTERS + 1, NEEDLE_CHARACTERS):
        yield text[start : start + NEEDLE_CHARACTERS]


def encoded(pem: str) -> Iterator[str]:
    """Yield pieces of a PEM's own base64, and of all of it in base64 once more, as a kubeconfig has it."""
    yield from pieces("".join(line for line in pem.splitlines() if not line.startswith("-----")))
    yield from pieces(base64.b64encode(pem.encode()).decode())


@pytest.fixture(scope="module", name="secrets")
def fixture_secrets(cluster: Cluster) -> list[str]:
    """Pieces of every private key of the cluster, of its two kubeconfigs and of SSH."""
    folder = cluster.folder
    pems = [path.read_text() for path in (*folder.rglob("*.key"), folder / "id_ed25519")]
    for text in ((folder / "kubeconfig").read_text(), cluster.on("pi-1", "cat", K3S)):
        (user,) = yaml.safe_load(text)["users"]
        pems.append(base64.b64decode(user["user"]["client-key-data"]).decode())
    assert all("PRIVATE KEY-----" in pem for pem in pems)
    found = {piece for pem in pems for piece in encoded(pem)}
    # A key's file holds the public key too, and words that all keys have.
    common = set.intersection(*(set(encoded(pem)) for pem in pems[:-3]))
    public = "".join(path.read_text() for path in (*folder.rglob("*.crt"), folder / "id_ed25519.pub"))
    public += public.replace("\n", "")
    found = {piece for piece in found - common if piece not in public}
    assert len(found) > len(pems)
    return sorted(found)


@pytest.fixture(scope="module", name="told")
def fixture_told(cluster: Cluster) -> Outcome:
    """A run that tells all it can."""
    outcome = cluster.play("benchmark.yml", "-vvv", benchmark_run_id="told")
    assert outcome.exit_code == 0, outcome.output
    return outcome


def seen_in(text: str, secrets: list[str]) -> list[str]:
    return [piece for piece in secrets if piece in text]


def test_the_pieces_find_a_key_where_there_is_one(cluster: Cluster, secrets: list[str]) -> None:
    for path in (cluster.folder / "kubeconfig", cluster.folder / "id_ed25519"):
        assert seen_in(path.read_text(), secrets)


def test_the_most_talkative_run_shows_no_key(told: Outcome, secrets: list[str]) -> None:
    assert "ESTABLISH SSH CONNECTION" in told.output
    assert seen_in(told.output, secrets) == []


def test_a_finished_run_keeps_no_key(told: Outcome, secrets: list[str]) -> None:
    runs = told.run_dir.parent
    files = [path for path in runs.rglob("*") if path.is_file()]
    assert [path for path in files if path.name == "report.json"]
    assert [str(path) for path in files if seen_in(path.read_text(errors="replace"), secrets)] == []
    assert list(runs.rglob("private")) == []


def test_a_stopped_run_keeps_no_key(cluster: Cluster, secrets: list[str]) -> None:
    playing = cluster.start(
        "benchmark.yml", benchmark_run_id="stopped", benchmark_samples_per_process=ENDLESS
    )
    run = playing.run_dir.with_name("stopped")
    # From here on it ends in order; before, Ansible itself ends it, and cleanup.yml removes the key.
    await_that(lambda: cluster.objects("leases"), "it measures")
    kept = [path for path in run.rglob("kubeconfig") if seen_in(path.read_text(), secrets)]
    assert kept == [run / "private/kubeconfig"]
    playing.process.send_signal(signal.SIGTERM)
    assert playing.end(within_seconds=60).exit_code == 2
    files = [path for path in run.rglob("*") if path.is_file()]
    assert [str(path) for path in files if seen_in(path.read_text(errors="replace"), secrets)] == []


def test_the_clusters_folder_is_its_owners(cluster: Cluster, secrets: list[str]) -> None:
    assert cluster.folder.stat().st_mode & 0o777 == 0o700
    files = [path for path in cluster.folder.rglob("*") if path.is_file()]
    open_to_others = [path for path in files if path.stat().st_mode & 0o077]
    assert [str(path) for path in open_to_others if seen_in(path.read_text(), secrets)] == []


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("pi", PIS)
def test_nobody_on_a_pi_can_read_a_key(cluster: Cluster, secrets: list[str], tmp_path: Path, pi: str) -> None:
    if pi == PIS[0]:
        assert cluster.on(pi, "stat", "--format=%a %U %G", K3S).split() == ["600", "root", "root"]
    words = [word for piece in secrets for word in ("-e", piece)]
    places = ["/etc", "/home", "/opt", "/root", "/run", "/tmp", "/var/log", "/var/tmp", str(cluster.folder)]
    # Exit code 1 or 2: nothing found, and places that nobody may enter.
    script = 'grep --recursive --files-with-matches --no-messages --fixed-strings "$@" || test $? -ne 0'
    found = cluster.as_nobody(pi, "sh", "-c", script, "sh", *words, *places)
    assert found == ""
