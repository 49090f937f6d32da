"""The file with a trial's Job: it says what was sent, can be read, and its comments can be followed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from pi_speedup.kube.follow.by_hand import as_yaml, job_by_hand
from tests.manifests import WORKER, job, make_plan, slot_of


def file_of(*, program: str = WORKER, **changed: Any) -> str:
    plan = make_plan(**changed)
    return job_by_hand(job(plan, program=program), plan, slot_of(plan))


def without_owner(text: str) -> str:
    """Do as the comments say: remove the lines from ownerReferences: up to spec:."""
    return re.sub(r"^  ownerReferences:\n.*?(?=^spec:)", "", text, flags=re.MULTILINE | re.DOTALL)


PROGRAMS = {
    "the worker": WORKER,
    "no newline at its end": "a = 1\nprint(a)",
    "many at its end": "print(1)\n\n\n",
    "begins with blanks": "   \n  # a comment\nprint(1)\n",
    "blanks at a line's end": "a = '''x  \n'''\nprint(a)\n",
    "a tab": "if 1:\n\tprint(1)\n",
    "carriage returns": "print(1)\r\nprint(2)\r\n",
    "other alphabets": "print('π, \N{GRINNING FACE}, \u200b')\n",
    "dollars and braces": "print('$(NODE_NAME) $$ ${HOME} {{ name }} {% raw %}')\n",
    "one line": "print('a: b # c')",
    "what YAML takes for its own": "--- # a document\n...\n%YAML\n&a *a !b\n",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_it_is_the_job_that_was_sent(program: str) -> None:
    # In the template's order too, which is a reader's.
    assert json.dumps(yaml.safe_load(file_of(program=program))) == json.dumps(job(program=program))


def test_the_program_stands_there_as_it_is() -> None:
    lines = [line.strip() for line in file_of().splitlines()]
    assert "if x**2 + y**2 <= 1:" in lines
    assert 'print("Estimated Pi: {}, Time: {:.2f} seconds".format(estimate, seconds))' in lines


def test_nothing_stands_there_by_reference_or_in_braces() -> None:
    body = file_of(program="pass")
    assert not re.search(r"[&*]id\d|: [{\[]", body), body
    assert body.count("pi-speedup/trial: r001-00-together-3") == 3


# Numbers, truth values and nothing at all: for Go's parser, for PyYAML's, or for both.
@pytest.mark.parametrize("name", ["1e3", "0x10", "0o7", "12", "y", "n", "on", "no", "null", "1-2-3"])
def test_a_name_is_no_number_for_any_parser(name: str) -> None:
    assert f'pi-speedup/run-id: "{name}"\n' in file_of(run_id=name)


@pytest.mark.parametrize("text", ["", "~", " x", "x: y", "-", "# x", "2026-11-29", "1:30", ".5", "é", "NO"])
def test_a_text_that_is_not_plain_is_quoted(text: str) -> None:
    assert yaml.safe_load(as_yaml({"key": text})) == {"key": text}
    assert as_yaml({"key": text}).startswith('key: "')


def test_its_commands_are_of_this_job() -> None:
    text = file_of(namespace="team-a", timeout_seconds=100)
    name = "pi-speedup-20261124-071530-3fa2-r001-00-a1"
    for command in (
        "kubectl apply -n team-a -f together-3.yaml",
        f"kubectl wait -n team-a --for=condition=complete --timeout=160s job/{name}",
        f"kubectl logs -n team-a -l job-name={name} --prefix --tail=-1",
        f"kubectl delete -n team-a job {name}",
    ):
        assert f"#   {command}\n" in text, text[:3000]
    assert "3 pods, one each on pi-1, pi-2, pi-3." in text


def test_the_owner_can_be_removed_as_it_says() -> None:
    text, wanted = file_of(), job()
    assert "remove the lines from ownerReferences: up to\n#    spec:" in text
    del wanted["metadata"]["ownerReferences"]
    assert yaml.safe_load(without_owner(text)) == wanted


@pytest.mark.parametrize(("program", "told"), [("print('$')", True), ("print(1)", False)])
def test_a_doubled_dollar_is_explained_where_there_is_one(program: str, told: bool) -> None:
    assert ("# $$ in command and args is one $" in file_of(program=program)) is told


def test_a_hundred_pis_are_not_all_named_above() -> None:
    text = file_of(pis=tuple(f"pi-{number}" for number in range(100)))
    assert "100 pods, one each on pi-0, pi-1, pi-2, pi-3, pi-4 and 95 more." in text
    assert max(map(len, text.partition("\n\n")[0].splitlines())) < 150
