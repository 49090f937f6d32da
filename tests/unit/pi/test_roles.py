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

from pi_speedup.model.run import Run
from pi_speedup.model.settings import Settings
from pi_speedup.pi import base
from pi_speedup.store import RUN_FILE, RunStore

PROJECT = Path(__file__).resolve().parents[3]

# A callback plugin that prints each task's result as a line.
AS_JSON = """
import json
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "as_json"

    def v2_runner_on_ok(self, result, **_):
        print(json.dumps(result.result, default=str))

    v2_runner_on_failed = v2_runner_on_unreachable = v2_runner_on_ok
"""


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
    (tmp_path / "as_json.py").write_text(AS_JSON)
    settings = tmp_path / "ansible.cfg"
    settings.write_text("[defaults]\nhost_key_checking = false\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", f"--inventory={inventory}", str(playbook)],
        env={
            **kept,
            "ANSIBLE_CONFIG": str(settings),
            "ANSIBLE_ROLES_PATH": str(PROJECT / "roles"),
            "ANSIBLE_CALLBACK_PLUGINS": str(tmp_path),
            "ANSIBLE_STDOUT_CALLBACK": "as_json",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    last = (done.stdout.splitlines() or [""])[-1]
    assert last.startswith("{"), done.stdout + done.stderr
    result: dict[str, Any] = json.loads(last)
    return result | {"failed": done.returncode != 0}


def opened(
    tmp_path: Path, *, pis: tuple[str, ...] = ("pi-1",), base_pi: str = "pi-1", **settings: Any
) -> str:
    """Put down what opening a run on these Pis, one of which is enough, found out; return its folder."""
    folder = tmp_path / "run"
    run = Run(
        door="benchmark",
        dir=str(folder),
        runs_dir=str(tmp_path),
        kubeconfig="/nowhere",
        fetch_from="",
        worker="/nowhere",
        pis=pis,
        base_pi=base_pi,
        min_pis=1,
        continues=False,
        settings=Settings(**{"base_runtime": "process", **settings}),
    )
    RunStore(folder).write({RUN_FILE: run})
    return str(folder)


def look(tmp_path: Path, entry: str, **variables: Any) -> dict[str, Any]:
    """Look at pi-1; what is said of the run beside that begins with `run_`."""
    said = {name.removeprefix("run_"): value for name, value in variables.items() if name.startswith("run_")}
    given = {name: value for name, value in variables.items() if not name.startswith("run_")}
    return play(tmp_path, "pi_host", entry, pi_host_run_dir=opened(tmp_path, **said), **given)


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


SPARE = {"run_pis": ("pi-1", "pi-2"), "run_base_pi": "pi-2"}


def test_what_a_spare_pi_lacks_is_kept_and_fails_nothing(tmp_path: Path) -> None:
    assert not look(tmp_path, "main", **SPARE, **NO_PYTHON).get("failed")
    (problem,) = RunStore(tmp_path / "run").unfit(["pi-1"])["pi-1"]
    assert str(problem).startswith("pi-1: Ansible found no working Python there (")
    # Looked at once more, it is fit.
    look(tmp_path, "main", **SPARE)
    assert RunStore(tmp_path / "run").unfit(["pi-1"]) == {}


def test_another_pi_could_work_alone(tmp_path: Path) -> None:
    result = look(tmp_path, "main", run_pis=("pi-1", "pi-2"), **NO_PYTHON)
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
        result = look(tmp_path, "main", run_base_runtime="docker")
    finally:
        os.environ["PATH"] = before
    assert result["failed"]
    assert "pi-1: the docker daemon is down (Is the docker daemon running?) [PS-603]. Next: " in result["msg"]


def test_what_is_left_is_ended_and_told(tmp_path: Path) -> None:
    owner = "0a7f2c54-3333-4b1e-9d59-2f5c9ad8ab61"
    name, _, value = base._mark(owner).partition("=")
    words = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(600)"]
    left = subprocess.Popen(words, env={name: value}, stdout=subprocess.PIPE)
    assert left.stdout is not None and left.stdout.readline() == b"up\n"
    # The owner is gone from the cluster, and a run of another namespace, then one of this, has started it.
    given = {"lone_pi_run_dir": opened(tmp_path)}
    run = RunStore(tmp_path / "x")
    run.note_owner("team-b", owner)
    others = play(tmp_path, "lone_pi", "cleanup", **given)
    assert (others["changed"], others["removed"], left.poll()) == (False, [], None)
    run.note_owner("pi-speedup", owner)
    first = play(tmp_path, "lone_pi", "cleanup", **given)
    assert (first["changed"], first["removed"]) == (True, [f"process {left.pid}"])
    assert left.wait() == -signal.SIGTERM
    second = play(tmp_path, "lone_pi", "cleanup", **given)
    assert (second["changed"], second["removed"]) == (False, [])


def test_a_lone_pi_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    result = play(tmp_path, "lone_pi", "cleanup", lone_pi_run_dir=opened(tmp_path), **away)
    assert result["failed"]
    assert result["msg"].startswith(
        "pi-1: cannot be reached over ssh (Connection refused) [PS-201]. Next: ssh -p 1 "
    )
