"""The roles that look at a Pi and clean the lone one, run by Ansible with this machine as the Pi."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pi_speedup.model.settings import Settings
from pi_speedup.pi import base
from pi_speedup.store import RunStore

PROJECT = Path(__file__).resolve().parents[3]


def play(tmp_path: Path, role: str, entry: str, **variables: Any) -> dict[str, Any]:
    """Run one entry of a role on a Pi named pi-1; return the result of its task."""
    playbook = tmp_path / "play.yml"
    task = {
        "ansible.builtin.import_role": {"name": role, "tasks_from": entry},
        "vars": {name: value for name, value in variables.items() if not name.startswith("ansible_")},
    }
    playbook.write_text(yaml.safe_dump([{"hosts": "pi-1", "gather_facts": False, "tasks": [task]}]))
    inventory = tmp_path / "inventory.yml"
    on_pi = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable} | {
        name: value for name, value in variables.items() if name.startswith("ansible_")
    }
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"pi-1": on_pi}}}))
    settings = tmp_path / "ansible.cfg"
    settings.write_text("[defaults]\nhost_key_checking = false\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", f"--inventory={inventory}", str(playbook)],
        env={
            **kept,
            "ANSIBLE_CONFIG": str(settings),
            "ANSIBLE_ROLES_PATH": str(PROJECT / "roles"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    tasks = json.loads(done.stdout)["plays"][0]["tasks"]
    result: dict[str, Any] = tasks[-1]["hosts"]["pi-1"]
    return result


def look(tmp_path: Path, entry: str, **variables: Any) -> dict[str, Any]:
    names = {"pi_host_name": "pi-1", "pi_host_run_dir": str(tmp_path / "run")}
    return play(tmp_path, "pi_host", entry, **names, **variables)


@pytest.mark.parametrize(("entry", "when"), [("main", "before"), ("after", "after")])
def test_a_look_is_kept(tmp_path: Path, entry: str, when: str) -> None:
    result = look(tmp_path, entry)
    assert result["changed"] is False
    (host,) = RunStore(tmp_path / "run").hosts(["pi-1"])
    state = getattr(host, when)
    assert (state.kernel, state.cores) == (os.uname().release, os.cpu_count())
    assert abs(state.clock_offset_seconds) <= state.clock_uncertainty_seconds < 30


NO_PYTHON = {"ansible_python_interpreter": "/nowhere/python3"}


def test_a_pi_without_python_is_refused_in_one_line(tmp_path: Path) -> None:
    result = look(tmp_path, "main", **NO_PYTHON)
    assert result["failed"]
    assert result["msg"].startswith("pi-1: Ansible found no working Python there (")
    assert result["msg"].endswith("Next: set ansible_python_interpreter for pi-1 in the inventory")


def test_what_a_spare_pi_lacks_is_kept_and_fails_nothing(tmp_path: Path) -> None:
    assert not look(tmp_path, "main", pi_host_need="spare", **NO_PYTHON).get("failed")
    (problem,) = RunStore(tmp_path / "run").unfit(["pi-1"])["pi-1"]
    assert str(problem).startswith("pi-1: Ansible found no working Python there (")
    # Looked at once more, it is fit.
    look(tmp_path, "main", pi_host_need="spare")
    assert RunStore(tmp_path / "run").unfit(["pi-1"]) == {}


def test_another_pi_could_work_alone(tmp_path: Path) -> None:
    result = look(tmp_path, "main", pi_host_need="base", **NO_PYTHON)
    assert result["failed"]
    assert result["msg"].endswith("for pi-1 in the inventory; or put another Pi into the group `base`")
    assert RunStore(tmp_path / "run").unfit(["pi-1"]) == {}


def test_after_the_run_nothing_fails(tmp_path: Path) -> None:
    result = look(tmp_path, "after", **NO_PYTHON)
    assert not result.get("failed")
    (warning,) = result["warnings"]
    assert warning.startswith("pi-1 could not be looked at after the run")
    assert RunStore(tmp_path / "run").hosts(["pi-1"]) == ()


def test_each_thing_that_is_lacking_is_named(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    docker = programs / "docker"
    docker.write_text("#!/bin/sh\necho 'Is the docker daemon running?' >&2; exit 1\n")
    docker.chmod(0o755)
    # The module looks in the PATH of whoever runs it.
    os.environ["PATH"], before = f"{programs}:{os.environ['PATH']}", os.environ["PATH"]
    try:
        result = look(tmp_path, "main", pi_host_runtime="docker")
    finally:
        os.environ["PATH"] = before
    assert result["failed"]
    assert "pi-1: the docker daemon is down (Is the docker daemon running?) [PS-603]. Next: " in result["msg"]


def test_what_is_left_is_ended_and_told(tmp_path: Path) -> None:
    prefix = ["env", f"TEST={tmp_path}"]
    name, _, value = base._mark(Settings(base_command_prefix=tuple(prefix))).partition("=")
    words = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(600)"]
    left = subprocess.Popen(words, env={name: value}, stdout=subprocess.PIPE)
    assert left.stdout is not None and left.stdout.readline() == b"up\n"
    given = {"lone_pi_name": "pi-1", "lone_pi_runtime": "process", "lone_pi_command_prefix": prefix}
    first = play(tmp_path, "lone_pi", "cleanup", **given)
    assert (first["changed"], first["removed"]) == (True, [f"process {left.pid}"])
    assert left.wait() == -signal.SIGTERM
    second = play(tmp_path, "lone_pi", "cleanup", **given)
    assert (second["changed"], second["removed"]) == (False, [])


def test_a_lone_pi_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    result = play(tmp_path, "lone_pi", "cleanup", lone_pi_name="pi-1", lone_pi_runtime="process", **away)
    assert result["failed"]
    assert result["msg"].startswith(
        "pi-1: cannot be reached over ssh (Connection refused) [PS-201]. Next: ssh -p 1 "
    )
