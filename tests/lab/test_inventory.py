"""Mistakes of who types: each ends in one line, in the words that were typed, before anything is done."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.lab import Lab
from tests.virtual import PROJECT, playbook_environment

PIS: dict[str, Any] = {"pi-1": {}, "pi-2": {}, "pi-3": {}}
GOOD: dict[str, Any] = {"pis": {"hosts": PIS}, "base": {"hosts": {"pi-1": {}}}}


@dataclass(frozen=True)
class Mistake:
    """What is wrong with the inventory, the command line or a setting, and the line that one must read."""

    line: str
    groups: dict[str, Any] = field(default_factory=lambda: GOOD)
    words: tuple[str, ...] = ()
    settings: dict[str, object] = field(default_factory=dict)


def setting(name: str, value: object, line: str = "") -> Mistake:
    shown = re.escape(f"benchmark_{name}: ")
    return Mistake(
        rf"^{shown}{line or re.escape(repr(value))}.*Next: ", settings={f"benchmark_{name}": value}
    )


OF_BOTH_DOORS = {
    "no group pis": Mistake(r"^inventory: there is no group `pis`.*Next: ", {"base": GOOD["base"]}),
    "empty group pis": Mistake(r"^inventory: the group `pis` is empty.*Next: ", {"pis": {}, "base": {}}),
    "no group base": Mistake(r"^inventory: there is no group `base`.*Next: ", {"pis": GOOD["pis"]}),
    "two base Pis": Mistake(
        r"^inventory: .*`base` has 2 Pis \(pi-1, pi-2\).*Next: ",
        {**GOOD, "base": {"hosts": {"pi-1": {}, "pi-2": {}}}},
    ),
    "base Pi that is none of the Pis": Mistake(
        r"^pi-9: .*not in `pis`.*Next: ", {**GOOD, "base": {"hosts": {"pi-9": {}}}}
    ),
    "limit to one Pi": Mistake(
        r"^--limit pi-2: leaves pi-1, pi-3 out \[PS-106\]\. Next: ", words=("--limit", "pi-2")
    ),
    "limit to the Pis": Mistake(r"^--limit pis: .*localhost.*Next: ", words=("--limit", "pis")),
    "check mode": Mistake(r"^--check: .*Next: run it without --check", words=("--check",)),
}
OF_SETTINGS = {
    "a word for a number": setting("rounds", "abc"),
    "a name that is not a setting": setting("samples_per_pod", 5, "not a setting"),
    "no cores": setting("cpu_limit_cores", 0, "'0'|0"),
    "not a number": setting("cpu_limit_cores", "nan"),
    "no memory": setting("memory_limit_mib", "0", ".0."),
    "endless": setting("timeout_seconds", 10**12, ".?10{12}.?"),
    "a wrong type": setting("image", [1]),
    "an image of no kind": setting("image", "a b", "'a b' is not valid"),
    "a template that fails": setting("caveat", "{{ nobody.knows }}", "its template fails"),
}


def play(door: str, mistake: Mistake, folder: Path) -> subprocess.CompletedProcess[str]:
    inventory = folder / "hosts.yml"
    variables = {
        "ansible_connection": "local",
        "benchmark_host_checks": False,
        "benchmark_kubeconfig": str(folder / "none"),
        "benchmark_runs_dir": str(folder / "runs"),
        **mistake.settings,
    }
    inventory.write_text(yaml.safe_dump({"all": {"vars": variables, "children": mistake.groups}}))
    return subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), door, *mistake.words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=playbook_environment(),
        check=False,
    )


def assert_one_line(done: subprocess.CompletedProcess[str], mistake: Mistake, folder: Path) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert re.search(mistake.line, done.stderr), done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("door", ["benchmark.yml", "cleanup.yml"])
@pytest.mark.parametrize("mistake", OF_BOTH_DOORS.values(), ids=OF_BOTH_DOORS)
def test_a_mistake_in_the_inventory_is_one_line(door: str, mistake: Mistake, tmp_path: Path) -> None:
    assert_one_line(play(door, mistake, tmp_path), mistake, tmp_path)


@pytest.mark.parametrize("mistake", OF_SETTINGS.values(), ids=OF_SETTINGS)
def test_a_mistake_in_a_setting_is_one_line(mistake: Mistake, tmp_path: Path) -> None:
    assert_one_line(play("benchmark.yml", mistake, tmp_path), mistake, tmp_path)


def test_report_yml_needs_no_inventory(tmp_path: Path) -> None:
    mistake = Mistake(r"latest: there is no run yet \[PS-711\]\. Next: ", groups={})
    assert_one_line(play("report.yml", mistake, tmp_path), mistake, tmp_path)


def test_a_kubeconfig_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = play("benchmark.yml", Mistake(""), tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(r"kubeconfig \S+/none: does not exist \[PS-431\]\. Next: .*\n", done.stderr), (
        done.stderr
    )


def test_the_folder_of_the_runs_is_relative_to_the_project(lab: Lab) -> None:
    relative = os.path.relpath(lab.folder.parent / "elsewhere", PROJECT)
    outcome = lab.play("benchmark.yml", benchmark_runs_dir=relative, benchmark_run_id="there")
    assert outcome.exit_code == 0, outcome.output
    assert (lab.folder.parent / "elsewhere/there/report.json").exists()


def test_other_settings_do_not_go_on_with_a_run(lab: Lab) -> None:
    assert lab.play("benchmark.yml", benchmark_run_id="done").exit_code == 0
    other = lab.play("benchmark.yml", benchmark_run_id="done", benchmark_samples_per_process=5000)
    assert other.exit_code == 2
    (line,) = other.output.splitlines()
    assert re.search(r"run done: .*benchmark_samples_per_process.*1000.*5000.*Next: ", line)
    complete = lab.play("benchmark.yml", benchmark_run_id="done")
    assert complete.exit_code == 2
    (line,) = complete.output.splitlines()
    assert re.fullmatch(
        r"run done: it is complete \[PS-713\]\. Next: ansible-playbook report.yml .*=done, .*", line
    )
