"""A real lab, brought up and ended in every way: no process of it may stay."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from virtual_cluster.tests.rig import LabRig, await_that


def command(name: str, lab: Path, *arguments: str) -> list[str]:
    return LabRig(lab).command(name, *arguments)


def run(name: str, lab: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return LabRig(lab).attempt(name, *arguments)


def up(lab: Path) -> dict[str, Any]:
    done = run("up", lab, "--pis", "2")
    assert done.returncode == 0, done.stderr
    return status(lab)


def status(lab: Path) -> dict[str, Any]:
    return LabRig(lab).status()


def processes_of(lab: Path) -> list[str]:
    """Command lines of all live processes that name the lab's folder; all of ours do."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            line = b" ".join(words).decode(errors="replace")
            if f"{lab}/" in f"{line}/".replace(" ", "/"):
                found.append(line)
    return found


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "lab"
    yield folder
    run("down", folder)
    assert processes_of(folder) == []


def test_two_labs_run_side_by_side_and_end_one_by_one(lab: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    try:
        first, second = up(lab), up(other)
        assert (first["state"], second["state"]) == ("ready", "ready")
        assert first["server"] != second["server"]
        assert run("down", other).returncode == 0
        assert not other.exists()
        assert processes_of(other) == []
        assert status(lab)["state"] == "ready"
    finally:
        run("down", other)


def test_each_identity_meets_its_refusal(lab: Path) -> None:
    up(lab)

    def kubectl(suffix: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run("kubectl", lab, "--", f"--kubeconfig={lab}/kubeconfig{suffix}", *arguments)

    assert kubectl("", "auth", "can-i", "create", "namespaces").stdout == "yes\n"
    assert kubectl(".readonly", "get", "nodes", "-o", "name").stdout == "node/pi-1\nnode/pi-2\n"
    assert "(Forbidden)" in kubectl(".readonly", "create", "namespace", "x").stderr
    assert "(Unauthorized)" in kubectl(".wrong-token", "get", "nodes").stderr
    assert "not localhost" in kubectl(".wrong-address", "get", "nodes").stderr
    assert {path.stat().st_mode & 0o777 for path in lab.glob("kubeconfig*")} == {0o600}


def test_exec_passes_streams_and_exit_codes(lab: Path) -> None:
    up(lab)
    count = command("exec", lab, "pi-1", "--", "wc", "-c")
    counted = subprocess.run(count, input="four", capture_output=True, text=True, check=True)
    assert counted.stdout.strip() == "4"
    assert run("exec", lab, "pi-2", "--", "sh", "-c", "exit 7").returncode == 7
    assert run("exec", lab, "pi-2", "--", "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM
    assert run("exec", lab, "pi-2", "--", "no-such-command").returncode == 127
    refused = run("exec", lab, "pi-9", "--", "true")
    assert (refused.returncode, refused.stderr.count("\n")) == (125, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["terminated", "killed"])
def test_command_dies_with_exec(lab: Path, number: int) -> None:
    up(lab)
    mark = str(lab / "marker")
    with subprocess.Popen(
        command("exec", lab, "pi-1", "--", "sh", "-c", "echo go; exec tail -f /dev/null " + mark),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"go\n"
        process.send_signal(number)
    await_that(lambda: not any(mark in line for line in processes_of(lab / "marker")), "the command is gone")


def test_command_and_its_children_die_with_the_lab(lab: Path) -> None:
    up(lab)
    with subprocess.Popen(
        command("exec", lab, "pi-1", "--", "sh", "-c", f"tail -f /dev/null {lab}/marker & echo go; wait"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        assert run("down", lab).returncode == 0
        assert "the lab ended before the command" in process.communicate()[1]
        assert process.returncode == 125
    assert processes_of(lab) == []


@pytest.mark.parametrize("next_command", ["up", "down"])
def test_killed_supervisor_leaves_nothing(lab: Path, next_command: str) -> None:
    before = up(lab)
    os.kill(before["supervisor_pid"], signal.SIGKILL)
    await_that(lambda: processes_of(lab) == [], "no process is left")
    assert status(lab)["state"] == "stale"
    if next_command == "up":
        assert up(lab)["state"] == "ready"
    assert run("down", lab).returncode == 0
    assert not lab.exists()


def heed_interrupts() -> None:
    """Undo what a child inherits from whoever runs the tests in the background: to ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start_of_up(lab: Path) -> subprocess.Popen[str]:
    """An `up` whose API server is starting."""
    process = subprocess.Popen(
        command("up", lab),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )
    await_that(lambda: any("kube-apiserver" in line for line in processes_of(lab)), "the API server starts")
    return process


def test_interrupted_up_leaves_nothing(lab: Path) -> None:
    with start_of_up(lab) as process:
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does on Ctrl-C
        assert process.wait() == 130
    assert processes_of(lab) == []
    assert not lab.exists()


def test_killed_up_leaves_nothing(lab: Path) -> None:
    with start_of_up(lab) as process:
        process.kill()
    await_that(lambda: processes_of(lab) == [], "no process is left")


def test_down_ends_an_up_under_way(lab: Path) -> None:
    with start_of_up(lab) as process:
        assert run("down", lab).returncode == 0
        assert process.wait() != 0
    assert processes_of(lab) == []
    assert not lab.exists()


def test_ended_component_is_named(lab: Path) -> None:
    before = up(lab)
    os.kill(before["components"]["kube-scheduler"]["pid"], signal.SIGKILL)
    await_that(
        lambda: status(lab)["components"]["kube-scheduler"]["exit_code"] == -signal.SIGKILL,
        "its end is noted",
    )
    assert status(lab)["state"] == "degraded"


def test_path_too_long_for_sockets_and_hard_for_urls(tmp_path: Path) -> None:
    folder = tmp_path / ("deep " * 20) / "100% a#b"
    try:
        assert up(folder)["state"] == "ready"
        assert run("exec", folder, "pi-1", "--", "true").returncode == 0
    finally:
        run("down", folder)
    assert processes_of(folder) == []


def test_second_up_and_foreign_folder_are_refused_in_one_line(lab: Path, tmp_path: Path) -> None:
    up(lab)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    for folder, word in ((lab, "is running"), (foreign, "holds files and no lab")):
        refused = run("up", folder)
        assert refused.returncode == 1
        assert word in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert run("down", foreign).returncode == 0
    assert (foreign / "thesis.txt").read_text() == "mine"
