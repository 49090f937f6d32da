"""Settings: what is taken, what is refused, and in which words."""

from __future__ import annotations

import math
import re

import pytest

from pi_speedup.generate import generated
from pi_speedup.model.settings import Settings, settings_from
from pi_speedup.problem import ProblemError


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("rounds", "9", 9),
        ("rounds", 5.0, 5),
        ("sweep", "yes", True),
        ("sweep", "false", False),
        ("target_percent", "", None),
        ("target_percent", "2.5", 2.5),
        ("min_pis", "", None),
        ("min_pis", "2", 2),
        ("processes_per_pi", "all", "all"),
        ("processes_per_pi", "4", 4),
        ("base_command_prefix", ["taskset", "-c", "3"], ("taskset", "-c", "3")),
        ("run_id", None, ""),
    ],
    ids=str,
)
def test_values_come_as_ansible_gives_them(name: str, value: object, meant: object) -> None:
    assert getattr(settings_from({f"benchmark_{name}": value, "other": object()}), name) == meant


REFUSED: dict[str, tuple[str, object, str]] = {
    "text for a number": ("rounds", "abc", "'abc' is not a whole number from 1 to 1,000"),
    "zero rounds": ("rounds", 0, "0 is not a whole number from 1 to 1,000"),
    "true for a number": ("rounds", True, "True is not a whole number"),
    "half a round": ("rounds", 1.5, "1.5 is not a whole number"),
    "number of 500 digits": ("rounds", 10**500, "is not a whole number from 1 to 1,000"),
    "no CPU": ("cpu_limit_cores", 0, "0 is not a number from 0.01 to 256"),
    "CPU not a number": ("cpu_limit_cores", math.nan, "nan is not a number from 0.01 to 256"),
    "infinite CPU": ("cpu_limit_cores", "inf", "'inf' is not a number from 0.01 to 256"),
    "negative CPU": ("cpu_limit_cores", -1, "-1 is not a number"),
    "no memory": ("memory_limit_mib", 0, "0 is not a whole number from 16"),
    "negative memory": ("memory_limit_mib", -5, "-5 is not a whole number from 16"),
    "timeout beyond all calendars": ("timeout_seconds", 10**12, "is not a whole number from 1 to 604,800"),
    "negative target": ("target_percent", -1, "-1 is not a number above 0 and at most 100"),
    "unknown runtime": ("base_runtime", "rkt", "'rkt' is not docker, podman or process"),
    "text for a list": ("base_command_prefix", "taskset", "'taskset' is not a list of texts"),
    "processes in words": ("processes_per_pi", "many", "'many' is not all or a whole number from 1 to 16"),
    "no Pis at all": ("min_pis", 0, "0 is not a whole number from 1 to 10,000"),
    "path for a run's name": ("run_id", "../x", "'../x' is not valid"),
    "upper case for a namespace": ("namespace", "Bad_Name", "'Bad_Name' is not valid"),
    "image with a space": ("image", "python 3", "'python 3' is not valid"),
}


@pytest.mark.fault(
    "setting: text for a number",
    "benchmark_rounds: 'abc' is not a whole number from 1 to 1,000 [PS-101]. Next: correct it (default: 7)",
    kept="nothing begun",
    row="text for a number",
)
@pytest.mark.fault(
    "setting: CPU limit not a number",
    "benchmark_cpu_limit_cores: nan is not a number from 0.01 to 256 [PS-101]. Next: "
    "correct it (default: 1.0)",
    kept="nothing begun",
    row="CPU not a number",
)
@pytest.mark.fault(
    "setting: no memory",
    "benchmark_memory_limit_mib: 0 is not a whole number from 16 to 1,048,576 [PS-101]. "
    "Next: correct it (default: 128)",
    kept="nothing begun",
    row="no memory",
)
@pytest.mark.fault(
    "setting: image that is not a name",
    "benchmark_image: 'python 3' is not valid [PS-101]. Next: name one as in docker pull, such as python:3.9",
    kept="nothing begun",
    row="image with a space",
)
@pytest.mark.fault(
    "setting: unknown runtime",
    "benchmark_base_runtime: 'rkt' is not docker, podman or process [PS-101]. Next: "
    "correct it (default: docker)",
    kept="nothing begun",
    row="unknown runtime",
)
@pytest.mark.parametrize(("name", "value", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_one_line_in_the_users_words(name: str, value: object, words: str) -> None:
    with pytest.raises(ProblemError) as refused:
        settings_from({f"benchmark_{name}": value})
    assert refused.value.problem.subject == f"benchmark_{name}"
    assert words in refused.value.problem.what
    assert refused.value.problem.next_step
    assert "\n" not in str(refused.value)


@pytest.mark.fault(
    "setting: any, of a wrong type",
    "benchmark_rounds: {'x': 1} is not a whole number from 1 to 1,000 [PS-101]. Next: "
    "correct it (default: 7)",
    kept="nothing begun",
    row="rounds",
)
@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_setting_refuses_a_value_of_a_wrong_type(name: str) -> None:
    # One takes names with texts.
    wrong = [1] if name == "environment" else {"x": 1}
    shown = re.escape(str(wrong))
    with pytest.raises(ProblemError, match=rf"^benchmark_{name}: {shown} is not .* \[PS-101\]\. Next: "):
        settings_from({f"benchmark_{name}": wrong})


@pytest.mark.fault(
    "setting: mistyped",
    "benchmark_…: not a setting [PS-102]. Next: did you mean benchmark_rounds?",
    kept="nothing begun",
)
def test_a_mistyped_setting_is_not_silently_left_at_its_default() -> None:
    with pytest.raises(
        ProblemError,
        match=r"benchmark_round: not a setting \[PS-102\]\. Next: did you mean benchmark_rounds\?",
    ):
        settings_from({"benchmark_round": 3})


def test_where_a_run_is_made_is_not_part_of_what_is_measured() -> None:
    here = Settings(kubeconfig="/a", runs_dir="/b", host_checks=False, run_id="x", rounds=5)
    there = Settings(kubeconfig="/c", rounds=5)
    assert here.without_local() == there.without_local()


def test_what_is_made_from_the_models_is_up_to_date() -> None:
    for path, text in generated().items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run make generate"
