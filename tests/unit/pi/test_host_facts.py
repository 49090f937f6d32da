"""The module that runs on a Pi, run on this machine: what it reads is what the parser understands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.pi.state import host_state

PROJECT = Path(__file__).resolve().parents[3]
LIBRARY = PROJECT / "roles" / "pi_host" / "library"


def environment(path: str) -> dict[str, str]:
    """Return what a program is given, with `path` as the PATH of what it starts."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return {**kept, "PATH": path}


def observed(path: str = os.defpath, **arguments: Any) -> dict[str, Any]:
    """Run the module as a program, as Ansible does on the Pi."""
    done = subprocess.run(
        [sys.executable, str(LIBRARY / "pi_host_facts.py")],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        env=environment(path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module", name="this_machine")
def fixture_this_machine() -> dict[str, Any]:
    """Run the module through Ansible itself."""
    words = [sys.executable, "-m", "ansible", "adhoc", "localhost", "--inventory=localhost,"]
    words += ["--connection=local", f"--module-path={LIBRARY}", "--module-name=pi_host_facts", "--extra-vars"]
    words.append(json.dumps({"ansible_python_interpreter": sys.executable}))
    settings = {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    done = subprocess.run(
        words,
        env={**environment(os.defpath), **settings, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "SUCCESS => " in done.stdout, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout.partition("SUCCESS => ")[2])
    return result


def test_it_reads_what_this_machine_tells(this_machine: dict[str, Any]) -> None:
    now = time.time_ns()
    state = host_state("pi-1", this_machine, asked_ns=now, answered_ns=now)
    assert (state.kernel, state.machine) == (os.uname().release, os.uname().machine)
    assert state.userland_bits == (64 if sys.maxsize > 2**32 else 32)
    assert state.memory_bytes == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert state.load_1_minute is not None
    assert state.memory_cgroup in (True, False, None)
    assert state.cores == os.cpu_count()


def test_it_times_itself(this_machine: dict[str, Any]) -> None:
    assert this_machine["first_epoch_ns"] <= this_machine["last_epoch_ns"] <= time.time_ns()


def test_it_changes_nothing_and_asks_no_runtime(this_machine: dict[str, Any]) -> None:
    assert this_machine["changed"] is False
    assert this_machine["runtime"] is None


def program(folder: Path, name: str, script: str) -> str:
    """Make a program of this name; return a PATH that finds it first."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return f"{folder}:{os.defpath}"


PROGRAMS: dict[str, tuple[str, str, dict[str, Any], str, Any]] = {
    "vcgencmd answers": (
        "vcgencmd",
        'case "$1" in get_throttled) echo throttled=0x50005 ;; measure_temp) echo "temp=48.3\'C" ;; esac',
        {},
        "throttled",
        0x50005,
    ),
    "vcgencmd's temperature": (
        "vcgencmd",
        'case "$1" in measure_temp) echo "temp=48.3\'C" ;; *) exit 1 ;; esac',
        {},
        "temperature_celsius",
        48.3,
    ),
    "docker answers": ("docker", "echo 27.3.1", {"runtime": "docker"}, "runtime_version", "27.3.1"),
    "docker refuses": ("docker", "echo no >&2; exit 1", {"runtime": "docker"}, "runtime_version", None),
}


@pytest.mark.parametrize(
    ("name", "script", "arguments", "field", "value"), PROGRAMS.values(), ids=PROGRAMS.keys()
)
def test_commands_of_a_pi(
    tmp_path: Path, name: str, script: str, arguments: dict[str, Any], field: str, value: Any
) -> None:
    found = observed(program(tmp_path, name, script), **arguments)
    assert getattr(host_state("pi-1", found, asked_ns=1, answered_ns=1), field) == value


def test_a_vcgencmd_that_may_not_ask_says_nothing(tmp_path: Path) -> None:
    found = observed(program(tmp_path, "vcgencmd", "echo 'VCHI initialization failed'; exit 255"))
    assert (found["vcgencmd_throttled"], found["vcgencmd_temperature"]) == (None, None)


@pytest.mark.parametrize(
    ("script", "rc"), [("exec sleep 60", 124), ("echo denied >&2; exit 1", 1)], ids=["hangs", "refuses"]
)
def test_a_runtime_that_cannot_be_used(tmp_path: Path, script: str, rc: int) -> None:
    path = program(tmp_path, "podman", script)
    found = observed(path, runtime="podman", command_timeout_seconds=0.5)["runtime"]
    assert found["rc"] == rc
    assert found["stderr"]
