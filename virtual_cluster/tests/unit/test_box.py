"""The box's helper process where a host forbids namespaces; with them it is tried by every lab."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from virtual_cluster.virtual_pi import box


def run_box(tmp_path: Path, argv: list[str]) -> tuple[str, int, str]:
    """(what the box reports, its exit code, the container's log)."""
    (tmp_path / "root").mkdir()
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "hello.py").write_text("print('hello')")
    plan = {
        "parent": os.getpid(), "root": str(tmp_path / "root"), "namespaces": False,
        "executable": os.path.realpath(sys.executable),
        "binds": [[str(tmp_path / "volume"), "/script", False]],
        "argv": argv, "env": {"PATH": "/usr/bin:/bin"}, "cwd": "/", "drop_capabilities": False,
        "no_new_privileges": True,
    }  # fmt: skip
    command = [sys.executable, "-I", "-S", box.__file__]
    done = subprocess.run(command, input=json.dumps(plan), capture_output=True, text=True, check=False)
    return done.stdout, done.returncode, done.stderr


@pytest.mark.parametrize(
    ("argv", "code", "log"),
    [
        (["python3", "/script/hello.py"], 0, "hello\n"),
        (["sh", "-c", "exit 7"], 7, ""),
        (["sh", "-c", "kill -9 $$"], 137, ""),
        (["sh", "-c", "sleep 600 & echo left one behind"], 0, "left one behind\n"),
    ],
    ids=["a mounted script", "an exit code", "a signal", "a process left behind is ended"],
)
def test_a_command_runs_to_its_end(tmp_path: Path, argv: list[str], code: int, log: str) -> None:
    report, found_code, found_log = run_box(tmp_path, argv)
    assert report.startswith("pid ") and "error" not in report
    assert (found_code, found_log) == (code, log)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("nosuch", 'exec: "nosuch": executable file not found in $PATH'),
        ("/no/such", 'exec: "/no/such": stat /no/such: no such file or directory'),
        ("/etc/passwd", 'exec: "/etc/passwd": permission denied'),
    ],
    ids=["not in PATH", "no such file", "not executable"],
)
def test_a_command_that_cannot_start_is_an_error(tmp_path: Path, command: str, words: str) -> None:
    report, code, _ = run_box(tmp_path, [command])
    assert words in report
    assert code == 128
