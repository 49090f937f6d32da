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

from pi_speedup.store import RunStore
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


@pytest.mark.fault(
    "inventory: no group, two base Pis, --limit",
    "inventory: there is no group `pis` [PS-111]. Next: -i names the inventory; see "
    "inventory/hosts.yml for the groups pis, base and server",
    kept="nothing begun",
    row="no group pis-benchmark.yml",
)
@pytest.mark.parametrize("door", ["benchmark.yml", "cleanup.yml"])
@pytest.mark.parametrize("mistake", OF_BOTH_DOORS.values(), ids=OF_BOTH_DOORS)
def test_a_mistake_in_the_inventory_is_one_line(door: str, mistake: Mistake, tmp_path: Path) -> None:
    assert_one_line(play(door, mistake, tmp_path), mistake, tmp_path)


@pytest.mark.fault("setting: mistyped", row="a name that is not a setting")
@pytest.mark.parametrize("mistake", OF_SETTINGS.values(), ids=OF_SETTINGS)
def test_a_mistake_in_a_setting_is_one_line(mistake: Mistake, tmp_path: Path) -> None:
    assert_one_line(play("benchmark.yml", mistake, tmp_path), mistake, tmp_path)


ROUNDS = {"benchmark_rounds": 3}
K3S: dict[str, Any] = {
    "server": {"hosts": {"pi-1": {}}},
    "agent": {"hosts": {"pi-2": {}, "pi-3": {}}},
}
COUNT: dict[str, tuple[dict[str, Any], dict[str, str], tuple[str, ...]]] = {
    "with a group above `pis`": (
        {**GOOD, "k3s_cluster": {"vars": ROUNDS, "children": {"pis": {}}}},
        {},
        (),
    ),
    "with k3s-ansible's group": ({"k3s_cluster": {"vars": ROUNDS, "children": K3S}}, {}, ()),
    "in a file of the group": (GOOD, {"group_vars/pis.yml": "benchmark_rounds: 3"}, ()),
    "in a folder of the group": (GOOD, {"group_vars/pis/rounds.yml": "benchmark_rounds: 3"}, ()),
    "in a file of each Pi": (GOOD, {f"host_vars/{pi}.yml": "benchmark_rounds: 3" for pi in PIS}, ()),
    "by a template of the group": (
        {**GOOD, "pis": {"hosts": PIS, "vars": {"wanted": 3, "benchmark_rounds": "{{ wanted }}"}}},
        {},
        (),
    ),
    "with -e, which goes before a group's": (
        {**GOOD, "pis": {"hosts": PIS, "vars": {"benchmark_rounds": 9}}},
        {},
        ("-e", "benchmark_rounds=3"),
    ),
}


@pytest.mark.parametrize(("groups", "files", "words"), COUNT.values(), ids=COUNT)
def test_settings_count_where_an_inventory_has_them(
    groups: dict[str, Any], files: dict[str, str], words: tuple[str, ...], tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    done = play("benchmark.yml", Mistake("", groups, words, {"benchmark_run_id": "x"}), tmp_path)
    assert "does not exist [PS-431]" in done.stderr
    assert RunStore(tmp_path / "runs/x").run().settings.rounds == 3


DIFFER = {
    "at the agents alone": Mistake(
        r"^benchmark_rounds: it is not set for pi-1 and 3 for pi-2, and a run has one value \[PS-101\]",
        {**K3S, "agent": {**K3S["agent"], "vars": ROUNDS}},
    ),
    "by a template of the Pi's name": Mistake(
        r"^benchmark_caveat: it is 'of pi-1' for pi-1 and 'of pi-2' for pi-2, .*\[PS-101\]",
        {**GOOD, "pis": {"hosts": PIS, "vars": {"benchmark_caveat": "of {{ inventory_hostname }}"}}},
    ),
    "mistyped above the Pis": Mistake(
        r"^benchmark_round: not a setting \[PS-\d+\]\. Next: did you mean benchmark_rounds",
        {**GOOD, "k3s_cluster": {"vars": {"benchmark_round": 3}, "children": {"pis": {}}}},
    ),
    "by a template that fails": Mistake(
        r"^benchmark_caveat: its template fails \(.*nobody.*\) \[PS-\d+\]\. Next: mend it where it is set",
        {**GOOD, "pis": {"hosts": PIS, "vars": {"benchmark_caveat": "{{ nobody.knows }}"}}},
    ),
    "mistyped at one Pi": Mistake(
        r"^benchmark_roundz: not a setting \[PS-102\]\. Next: did you mean benchmark_rounds",
        {**GOOD, "pis": {"hosts": {**PIS, "pi-2": {"benchmark_roundz": 3}}}},
    ),
    "wrong with the group": Mistake(
        r"^benchmark_rounds: 'many'.*\[PS-101\]",
        {**GOOD, "pis": {"hosts": PIS, "vars": {"benchmark_rounds": "many"}}},
    ),
}


@pytest.mark.parametrize("mistake", DIFFER.values(), ids=DIFFER)
def test_settings_beside_the_pis_that_cannot_count_are_one_line(mistake: Mistake, tmp_path: Path) -> None:
    assert_one_line(play("benchmark.yml", mistake, tmp_path), mistake, tmp_path)


def test_report_yml_needs_no_inventory(tmp_path: Path) -> None:
    mistake = Mistake(r"latest: there is no run yet \[PS-711\]\. Next: ", groups={})
    assert_one_line(play("report.yml", mistake, tmp_path), mistake, tmp_path)


@pytest.mark.fault(
    "kubeconfig missing",
    "kubeconfig …: does not exist [PS-431]. Next: name another with -e "
    "benchmark_kubeconfig=FILE; or name none and unset KUBECONFIG, and it is fetched from …",
    kept="nothing begun",
)
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


@pytest.mark.fault(
    "setting: other than those of the run that goes on",
    "run done: cannot go on, its plan differs: benchmark_samples_per_process was 1000 and"
    " is 5000 [PS-712]. Next: give -e benchmark_samples_per_process=1000, or leave "
    "benchmark_run_id out to begin a new run",
    kept="trials",
)
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
        r"run done: it is complete \[PS-713\]\. Next: \S*ansible-playbook -i \S+ report.yml .*=done, .*", line
    )
