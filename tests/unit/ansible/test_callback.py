"""What one sees of a playbook: real playbooks with the project's settings, on this machine alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
ANSIBLE_PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"
INVENTORY = f"""
all:
  vars: {{ansible_connection: local, ansible_python_interpreter: {sys.executable}}}
  hosts: {{pi-1: {{}}, pi-2: {{}}}}
"""
Play = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Return what runs tasks on pi-1 and pi-2 with the project's ansible.cfg."""
    inventory, playbook = tmp_path / "hosts.yml", tmp_path / "play.yml"
    inventory.write_text(INVENTORY)

    def run(
        tasks: str,
        *words: str,
        hosts: str = "all",
        stdout: int = subprocess.PIPE,
        then: str = "",
        closed: int | None = None,
    ) -> subprocess.CompletedProcess[str]:
        indented = "\n".join(f"    {line}" for line in tasks.strip().splitlines())
        playbook.write_text(f"- hosts: {hosts}\n  gather_facts: false\n  tasks:\n{indented}\n{then}")
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("ANSIBLE") or name == "ANSIBLE_HOME"
        }
        return subprocess.run(
            [str(ANSIBLE_PLAYBOOK), "-i", str(inventory), str(playbook), *words],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**environment, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")},
            preexec_fn=None if closed is None else lambda: os.close(closed),
        )

    return run


def test_tasks_that_are_ok_or_skipped_say_nothing_and_debug_says_its_message(play: Play) -> None:
    done = play(
        """
- assert: {that: true}
- debug: {msg: never}
  when: false
- debug: {msg: [one, two]}
""",
        hosts="pi-1",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "one\ntwo\n", "")


AGAIN = "fail: {msg: '{{ ansible_failed_result.msg }}'}"
FAILURES = {
    "a task of ours": (
        "- fail: {msg: 'pi-1: cordoned. Next: kubectl uncordon pi-1'}",
        ["pi-1: cordoned. Next: kubectl uncordon pi-1"],
    ),
    "several lines": ('- fail: {msg: "pi-1: a\\npi-2: b"}', ["pi-1: a", "pi-2: b"]),
    "a module of others": (
        "- {name: Make a link, ansible.builtin.file: {src: /none, dest: /none/x, state: link}}",
        ["pi-1: Make a link: … [PS-902]. Next: run again with -vvv"],
    ),
    "an item of a loop": (
        "- fail: {msg: '{{ item }}: bad'}\n  loop: [pi-8, pi-9]",
        ["pi-8: bad", "pi-9: bad"],
    ),
    "one that a rescue says better": (
        "- block: [{fail: {msg: first}}]\n  rescue: [{fail: {msg: second}}]",
        ["second"],
    ),
    "one that two rescues say alike": (
        f"- block:\n  - block: [fail: {{msg: a}}]\n    rescue: [{AGAIN}]\n  rescue: [{AGAIN}]",
        ["a"],
    ),
    "a mistake in a playbook": (
        "- {name: Add, assert: {that: nobody.knows}}",
        ["pi-1: Add: Task failed: … [PS-902]. Next: run again with -vvv"],
    ),
    "one that may hold a key": (
        "- {name: Read it, fail: {msg: secret}, no_log: true}",
        ["pi-1: Read it: failed, and what it said is hidden… [PS-902]. Next: run again with -vvv"],
    ),
    "one with control characters": ('- fail: {msg: "a\\e[31mb\\u202e"}', ["a [31mb"]),
}


@pytest.mark.parametrize(("tasks", "lines"), FAILURES.values(), ids=FAILURES)
def test_a_failure_stands_once_and_last(play: Play, tasks: str, lines: list[str]) -> None:
    done = play(tasks, hosts="pi-1")
    assert (done.returncode, done.stdout) == (2, "")
    printed = done.stderr.splitlines()
    assert len(printed) == len(lines), done.stderr
    for found, expected in zip(printed, lines, strict=True):
        begin, _, more = expected.partition("…")
        assert found.startswith(begin) and more in found
        assert found.isprintable()


def test_a_step_over_ssh_is_the_command_that_reaches_the_pi(play: Play) -> None:
    reached = "ansible_connection=ssh ansible_host=10.0.0.1 ansible_port=2222 ansible_user=me"
    done = play("- fail: {msg: 'pi-1: lost. Next: ssh pi-1 df -h, or ssh pi-9'}", "-e", reached, hosts="pi-1")
    assert done.stderr == "pi-1: lost. Next: ssh -p 2222 me@10.0.0.1 df -h, or ssh pi-9\n"


def test_a_step_of_this_machines_play_reaches_the_pis_too(play: Play) -> None:
    own = "ansible_connection=ssh ansible_host=2001:db8::5 ansible_ssh_common_args='-J bastion'"
    done = play(
        "- debug: {msg: [a report, '  Next: ssh pi-1 date']}\n"
        "- fail: {msg: 'pi-1: lost. Next: ssh pi-1 df -h, then ssh pi-2'}",
        *("-e", own, "--user", "ann.lee", "--private-key", "/k/my key"),
        hosts="localhost",
    )
    reached = "ssh -i '/k/my key' -J bastion ann.lee@2001:db8::5"
    assert done.stdout == f"a report\n  Next: {reached} date\n"
    assert done.stderr == f"pi-1: lost. Next: {reached} df -h, then {reached}\n"


def test_a_pi_that_the_cluster_calls_by_another_name_is_reached_too(play: Play, tmp_path: Path) -> None:
    run = tmp_path / "runs/x"
    run.mkdir(parents=True)
    nodes = {"schema_version": 1, "nodes": [{"name": "node-1", "host": "pi-1"}], "not_in_inventory": []}
    (run / "nodes.json").write_text(json.dumps(nodes))
    given = f"ansible_connection=ssh ansible_host=10.0.0.1 benchmark_runs_dir={run.parent} benchmark_run_id=x"
    done = play(
        """
- import_role: {name: run_plan, rolespec_validate: false}
  vars: {run_plan_door: benchmark, run_plan_groups: {pis: [pi-1, pi-2], base: [pi-1]}}
- fail: {msg: 'node-1: lost. Next: ssh node-1 df -h, or ssh pi-1'}
""",
        "-e",
        given,
        hosts="pi-1",
    )
    assert done.stderr == "node-1: lost. Next: ssh 10.0.0.1 df -h, or ssh 10.0.0.1\n"


def test_a_failure_on_each_pi_is_a_line_on_each(play: Play) -> None:
    done = play("- fail: {msg: '{{ inventory_hostname }}: bad'}")
    assert sorted(done.stderr.splitlines()) == ["pi-1: bad", "pi-2: bad"]


def test_a_failure_stands_below_what_plays_after_it_say(play: Play) -> None:
    then = "- {hosts: pi-2, gather_facts: false, tasks: [{debug: {msg: later}}]}\n"
    done = play("- fail: {msg: bad}\n  when: inventory_hostname == 'pi-1'", then=then)
    assert (done.stdout, done.stderr) == ("later\n", "bad\n")


def test_an_unreachable_pi_is_one_line(play: Play) -> None:
    done = play(
        "- ping:\n  vars: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}", hosts="pi-1"
    )
    assert done.returncode == 4
    assert re.match(r"pi-1: unreachable \(.*\) \[PS-201\]\. Next: ", done.stderr), done.stderr
    assert done.stderr.count("\n") == 1


def test_what_was_changed_and_removed_is_said(play: Play, tmp_path: Path) -> None:
    done = play(
        f"- {{name: Make it, ansible.builtin.file: {{path: {tmp_path}/x, state: directory}}}}", hosts="pi-1"
    )
    assert done.stdout == "pi-1: changed: Make it\n"


def test_a_warning_is_said(play: Play) -> None:
    done = play(
        "- ansible.builtin.command: {argv: ['true']}\n  register: when\n  changed_when: false", hosts="pi-1"
    )
    assert "[WARNING]" in done.stderr


def test_verbose_shows_the_names_and_very_verbose_all(play: Play) -> None:
    tasks = "- {name: Look, assert: {that: true}}"
    assert "TASK Look" in play(tasks, "-v").stdout
    assert "TASK [Look] ***" in play(tasks, "-vvv").stdout


def test_a_reader_that_goes_away_does_not_stop_the_playbook(play: Play, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = play(
        f"- debug: {{msg: nobody}}\n- ansible.builtin.file: {{path: {tmp_path}/done, state: touch}}",
        hosts="pi-1",
        stdout=write,
    )
    os.close(write)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "done").exists()


def test_with_stdout_closed_the_failure_is_told_all_the_same(play: Play) -> None:
    done = play("- debug: {msg: hello}\n- fail: {msg: 'pi-1: bad'}", hosts="pi-1", closed=1)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and "pi_speedup" not in done.stderr
    assert done.stderr.splitlines()[-1] == "pi-1: bad"
