"""Each next step of the product can be typed, says on which machine, and never destroys first."""

from __future__ import annotations

import re

import pytest

from tests.next_steps import Step, next_steps

STEPS = next_steps()
# What changes or ends what may be well: never the first thing to do.
_DESTRUCTIVE = re.compile(
    r"(?:ssh \S+ )?(?:sudo )?(?:rm|rmdir|reboot|shutdown|kubectl (?:delete|taint|drain|patch)|docker rm|"
    r"usermod|systemctl (?:restart|stop)|ssh-keygen -R|dd|mkfs)\b"
)


def named(steps: list[Step]) -> list[str]:
    return [f"{step.place}: {step.text}" for step in steps]


def test_they_are_found() -> None:
    assert len(STEPS) > 150
    assert len({step.place.partition(":")[0] for step in STEPS}) > 25


def test_a_playbook_is_named_with_the_program_that_runs_it() -> None:
    bare = r"(?<!ansible-playbook )\b(?:run |then |away: )(?:benchmark|cleanup|report|rbac|preload)\.yml"
    assert named([step for step in STEPS if re.search(bare, step.text)]) == []


def test_ssh_reaches_a_pi_by_what_the_callback_puts_in_for_it() -> None:
    # A Pi's name alone, for which `typable` has the command, or one that `Remote` made.
    other = r"\bssh (?!\{…\}|\{pi\}|-add\b)\S"
    assert named([step for step in STEPS if re.search(other, step.text)]) == []


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.place)
def test_the_form(step: Step) -> None:
    assert not _DESTRUCTIVE.match(step.text), step.text
    assert step.text == step.text.strip() and not step.text.endswith("."), step.text
    assert step.text.count("`") % 2 == 0 and step.text.count("(") == step.text.count(")"), step.text
    assert "\n" not in step.text and "  " not in step.text
