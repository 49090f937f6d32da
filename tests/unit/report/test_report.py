"""The report as a whole: from a run's folder to report.json, report.md and the terminal."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pi_speedup.catalogue import Catalogue
from pi_speedup.codes import Code
from pi_speedup.generate import generated
from pi_speedup.model.base import load
from pi_speedup.model.report import Report
from pi_speedup.problem import Problem, ProblemError
from pi_speedup.report.build import build_report, report_files
from pi_speedup.report.evidence import Contents
from pi_speedup.report.markdown import escape_markdown, markdown
from pi_speedup.report.page.page import page
from pi_speedup.report.terminal import TABLE_COLUMNS, terminal_table
from pi_speedup.report.wording import in_brief
from pi_speedup.text import columns
from tests.unit.report import factory

EN = Catalogue("en")
PROJECT = Path(__file__).resolve().parents[3]
SCHEMA = PROJECT / "src/pi_speedup/report/report.schema.json"
CAVEAT = "virtual Pis: says nothing about real hardware"
PROBLEM = Problem(
    code=Code.NODE_CORDONED,
    subject="pi-2",
    what="cordoned (unschedulable)",
    next_step="kubectl uncordon pi-2",
)


def _validate(report: Report) -> None:
    jsonschema.validate(json.loads(report.text()), json.loads(SCHEMA.read_text("utf-8")))


def _fails_in_round_5(draft: factory.Draft) -> None:
    if draft.slot.round == 5 and not draft.base:
        draft.outcome, draft.problem = "failed", PROBLEM


def _stopped() -> Contents:
    plan = factory.plan()
    trials = factory.trials(plan, defect=_fails_in_round_5)
    end = next(place for place, trial in enumerate(trials) if trial.outcome == "failed")
    return Contents(plan, trials[: end + 1], factory.all_nodes(plan))


RUNS: dict[str, Any] = {
    "a whole run": lambda: factory.contents(hosts=factory.hosts(factory.plan())),
    "a sweep": lambda: factory.contents(factory.plan(4, sweep=True)),
    "one Pi": lambda: factory.contents(factory.plan(1)),
    "all that is optional": lambda: factory.contents(factory.plan(each_pi=True, control_round=True)),
    "one round": lambda: factory.contents(factory.plan(rounds=1)),
    "all cores": lambda: factory.contents(factory.plan(processes_per_pi=4)),
    "nothing known of the cluster": lambda: Contents(factory.plan(), factory.trials(factory.plan())),
    "stopped": _stopped,
    "the warm-up alone": lambda: factory.contents(rounds=0),
    "nothing": lambda: Contents(factory.plan(), ()),
}


@pytest.mark.parametrize("make", RUNS.values(), ids=RUNS)
def test_from_the_folder_to_the_files(tmp_path: Path, make: Any) -> None:
    contents = make()
    files = report_files(factory.write(tmp_path / "run", contents))
    report = load(Report, files["report.json"], "report.json")
    assert report == build_report(contents)
    _validate(report)
    assert files["report.md"] == markdown(report, (), EN)
    assert files["table"] == list(terminal_table(report, EN))
    for line in files["table"]:
        assert columns(line) <= TABLE_COLUMNS and line == line.rstrip() and (line.isprintable() or not line)


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    folder = factory.write(tmp_path / "run", factory.contents())
    assert report_files(folder) == report_files(folder)


def test_what_is_generated_is_up_to_date() -> None:
    assert SCHEMA.read_text("utf-8") == generated()[SCHEMA]
    jsonschema.Draft202012Validator.check_schema(json.loads(SCHEMA.read_text("utf-8")))


@pytest.mark.parametrize(
    "change",
    [
        lambda report: report.pop("caveat"),
        lambda report: report["comparisons"][0].update(pis=3),
        lambda report: report.update(schema_version=2),
        lambda report: report["verdict"].update(status="fine"),
    ],
    ids=["a field missing", "a field too many", "another version", "another verdict"],
)
def test_the_schema_refuses(change: Any) -> None:
    report = json.loads(build_report(factory.contents()).text())
    change(report)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(report, json.loads(SCHEMA.read_text("utf-8")))


def test_a_run_that_was_stopped_is_reported() -> None:
    report = build_report(_stopped())
    progress = report.progress
    assert (progress.rounds_complete, progress.rounds_planned, progress.trials_failed) == (4, 7, 1)
    assert (progress.ending.kind, progress.ending.problem) == ("failed", PROBLEM)
    assert len(report.comparisons[0].rounds) == 4
    shown = " ".join(" ".join(terminal_table(report, EN)).split())
    assert "4 of 7 rounds: stopped by pi-2: cordoned (unschedulable); resume with -e bench" in shown
    # What to do next is for the line that follows.
    assert "Next: " not in shown
    assert "no interval: only 4 rounds complete, and an interval needs 5" in shown


def test_a_pi_that_was_left_out_is_named_wherever_the_pis_are() -> None:
    report = build_report(factory.contents(factory.degraded()))
    assert report.headline.startswith(
        "2 of 3 Pis were 1.98 times as fast as pi-1 alone, with one core each ("
    )
    assert [each.pi for each in report.left_out] == ["pi-3"]
    assert report.comparisons[0].efficiency.value > 0.8
    shown = " ".join(" ".join(terminal_table(report, EN)).split())
    assert "NOTED pi-3 was left out (cordoned (unschedulable)) [left_out]. 2 of 3 Pis measured" in shown
    text = markdown(report, (), EN)
    assert text.startswith("# Speedup of 2 of 3 Pis\n")
    assert "\n2 of 3 Pis took part. Left out of all figures: pi-3 (cordoned (unschedulable)).\n" in text


def test_without_a_round_there_are_trials_and_no_figure() -> None:
    report = build_report(factory.contents(rounds=0))
    assert (report.verdict.status, report.comparisons, report.result) == ("none", (), None)
    assert [row.name for row in report.trials] == ["r000-00-alone", "r000-01-together-3"]
    shown = "\n".join(terminal_table(report, EN))
    assert "There is no figure: no round is complete." in shown and "r000-00-alone ok" in shown
    assert "## Speedup" not in markdown(report, (), EN)


def quiet(**how: Any) -> Contents:
    """Return a run in which every check would have seen what moves the speedup."""
    plan = factory.plan(rounds=9, long_rounds=9)
    return factory.contents(plan, noise=0.001, jitter=0.01, **how)


VERDICTS: dict[str, tuple[Any, str, tuple[str, ...], str]] = {
    "sound": (
        lambda: quiet(hosts=factory.hosts(factory.plan())),
        "sound",
        (),
        "Sound: no check gives a reason to doubt the figures. 51 of 51 checks ran.",
    ),
    "of Pis that nobody looked at": (
        lambda: quiet(),
        "sound",
        (),
        "Sound as far as seen: no check gives a reason to doubt the figures. 45 of 51 checks ran; "
        "not checked: different models, different frequency governors, throttling, overheating, Pis that "
        "were busy before the run, clocks that are apart.",
    ),
    "of rounds that vary much": (
        lambda: factory.contents(hosts=factory.hosts(factory.plan()), noise=0.03),
        "sound",
        (),
        "Sound as far as seen: no check gives a reason to doubt the figures. 51 of 51 checks ran; "
        "too noisy to tell: ",
    ),
    "doubtful": (
        lambda: factory.contents(factory.plan(samples_per_process=1_000_000)),
        "doubtful",
        ("short_run",),
        "Doubtful: the shortest trial took 0.972 s (pi-2 in together-3 in round 5). 45 of 51 checks ran; "
        "not checked: different models, ",
    ),
    "of the inventory only": (
        lambda: factory.contents(
            nodes=factory.unreadable_nodes(factory.plan()), hosts=factory.hosts(factory.plan())
        ),
        "sound",
        (),
        "49 of 51 checks ran; not checked: different kernels, kubelets or systems, a node that "
        "could not take a pod. The Pis are those of the inventory: nothing is known of their nodes",
    ),
    "invalid, which outweighs doubtful": (
        lambda: factory.contents(
            factory.plan(samples_per_process=1_000_000),
            defect=lambda draft: draft.workers[0].process.update(inside=1000),
        ),
        "invalid",
        ("counts",),
        "Invalid: pi-1 in alone in round 1 came to pi = 0.004000 (1,000 of 1,000,000 points inside) and ",
    ),
}


@pytest.mark.parametrize(("make", "status", "because", "words"), VERDICTS.values(), ids=VERDICTS)
def test_the_verdict(make: Any, status: str, because: tuple[str, ...], words: str) -> None:
    verdict = build_report(make()).verdict
    assert (verdict.status, verdict.because) == (status, because)
    assert words in verdict.words
    assert verdict.looked_at + len(verdict.not_looked_at) == verdict.checks


@pytest.mark.parametrize(
    ("settings", "cores", "used", "idle"),
    [
        ({}, 4, "one core", "3 of 4 cores of each Pi were idle"),
        ({"processes_per_pi": 4}, 4, "all 4 cores", "no core was idle"),
        ({"processes_per_pi": 2}, 4, "2 cores", "2 of 4 cores of each Pi were idle"),
        ({"cpu_limit_cores": 0.5}, 1, "0.5 of a core", "no core was idle"),
        ({}, None, "one core", "how many cores a Pi has is not known"),
    ],
    ids=["one of four", "all", "two of four", "half of one", "not known"],
)
def test_what_of_a_pi_was_used(settings: dict[str, Any], cores: int | None, used: str, idle: str) -> None:
    plan = factory.plan(**settings)
    report = build_report(factory.contents(plan, nodes=factory.all_nodes(plan, cores=cores)))
    assert (report.used, report.idle) == (used, idle)
    assert f"times as fast as pi-1 alone, with {used} each (" in report.headline


def test_weak_scaling_end_to_end_is_an_efficiency_only() -> None:
    lines = terminal_table(build_report(factory.contents()), EN)
    (share,) = (line for line in lines if line.startswith("end to end, one Pi's part"))
    # Both times, no speedup, the efficiency.
    assert len([word for word in share.split() if word.replace(".", "").rstrip("%").isdigit()]) == 4


def test_the_label_is_wherever_figures_are() -> None:
    report = build_report(factory.contents(factory.plan(4, caveat=CAVEAT, sweep=True)))
    assert report.caveat == CAVEAT
    assert any(CAVEAT in line for line in terminal_table(report, EN))
    sections = markdown(report, (), EN).split("\n## ")
    assert len(sections) == 9
    assert all(
        CAVEAT in section for section in sections if not section.startswith(("Every trial", "The Pis"))
    )
    assert "NOTE" not in "".join(terminal_table(build_report(factory.contents()), EN))


def test_pis_before_and_after() -> None:
    plan = factory.plan()
    hosts = factory.hosts(plan, {}, {"temperature_celsius": 84.5, "throttled": 0x40004})
    text = markdown(build_report(factory.contents(plan, hosts=hosts)), (), EN)
    row = next(line for line in text.splitlines() if line.startswith("| pi-2 | Raspberry Pi 4"))
    assert "48.3 °C → 84.5 °C | +0.000 s ± 0.020 s | 0.40 | ondemand |" in row
    assert "after the run: throttled, during the run: throttled" in row
    # The plan may say that the Pis were to be looked at: why there is no look is not known.
    unlooked = markdown(build_report(factory.contents()), (), EN)
    assert "The Pis were not inspected over SSH" in unlooked and "is false" not in unlooked


HOSTILE = "x\n# Hello <b> | `c` [l](http://a.b) \x1b[31m\u202e @you $x$"


def _hostile() -> Contents:
    plan = factory.plan(caveat="<script>alert(1)</script> | **bold**")
    nodes = factory.all_nodes(plan, os_image=HOSTILE, memory=HOSTILE)
    hosts = factory.hosts(plan, both={"model": HOSTILE, "governors": (HOSTILE,)})

    def failing(draft: factory.Draft) -> None:
        if draft.slot.round == 6:
            draft.outcome, draft.problem = (
                "failed",
                Problem(code=Code.POD_FAILED, subject=HOSTILE, what=HOSTILE, next_step=HOSTILE),
            )

    return Contents(
        plan,
        factory.trials(plan, defect=failing),
        nodes.model_copy(update={"not_in_inventory": (HOSTILE,)}),
        hosts,
    )


def test_foreign_text_is_inert_everywhere(tmp_path: Path) -> None:
    files = report_files(factory.write(tmp_path / "run", _hostile()))
    text = files["report.md"]
    for harmful in (
        "<b>",
        "<script>",
        "\x1b",
        "\u202e",
        "@you",
        "](http://",
        "\n# Hello",
        " $x$",
        "| **bold**",
    ):
        assert harmful not in text, harmful
    tables = [line for line in text.splitlines() if line.startswith("| pi-")]
    assert tables and all("\\| \\`c\\`" in line for line in tables if "Hello" in line)
    assert all(line.isprintable() for line in files["table"])


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("<img src=x>", r"\<img src=x\>"),
        ("[x](http://a.b)", r"\[x\](http&#58;//a.b)"),
        ("two\nlines\x1b[31m", r"two lines \[31m"),
        ("**bold** `code` # h", r"\*\*bold\*\* \`code\` \# h"),
        ("WWW.example.org @you", "www&#46;example.org &#64;you"),
        ("containerd://2.1.5", "containerd://2.1.5"),
        ("right\u202eto left", "right to left"),
        ("- item", r"\- item"),
        ("1. item", r"\1. item"),
        ("-1.5 s", "-1.5 s"),
        ("$x^2$ &lt;", r"\$x^2\$ \&lt;"),
    ],
    ids=[
        "cell border",
        "HTML",
        "link",
        "lines and escapes",
        "markup",
        "automatic links",
        "no link",
        "bidi",
        "a list",
        "a numbered list",
        "a negative number",
        "mathematics and entities",
    ],
)
def test_foreign_text_adds_no_markup(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


def test_the_terminal_keeps_its_width_whatever_comes() -> None:
    plan = factory.plan(caveat="\N{CJK UNIFIED IDEOGRAPH-4E00}" * 150)
    lines = terminal_table(build_report(factory.contents(plan)), EN)
    assert max(map(columns, lines)) <= TABLE_COLUMNS
    assert "".join(lines).count("\N{CJK UNIFIED IDEOGRAPH-4E00}") == 150


@pytest.mark.parametrize(
    ("language", "finding", "remedy"),
    [
        ("en", "pi-2 was throttled during the run", "Use a better power supply or more cooling."),
        ("zh-TW", "pi-2 在測試期間被降頻", "請改善供電或散熱。"),
    ],
    ids=["en", "zh-TW"],
)
def test_a_doubt_is_what_was_found_with_what_helps(language: str, finding: str, remedy: str) -> None:
    hosts = factory.hosts(factory.plan(), after={"throttled": 0x40000})
    report, words = build_report(factory.contents(hosts=hosts)), Catalogue(language)
    terminal = " ".join(terminal_table(report, words)).replace("  ", " ")
    for text in (markdown(report, (), words), page(report, (), words), terminal):
        assert finding in text and remedy in text
    verdict = words.say(report.verdict.words)
    assert finding in verdict and "throttled," not in verdict and "_" not in verdict


def _hot_and_short() -> Contents:
    plan = factory.plan(4, sweep=True, samples_per_process=1_000_000, control_round=True, each_pi=True)
    hosts = factory.hosts(plan, after={"temperature_celsius": 84.0, "throttled": 0x40004})
    return factory.contents(plan, noise=0.15, hosts=hosts)


@pytest.mark.parametrize(
    "make",
    [_hot_and_short, lambda: factory.contents(rounds=3), lambda: factory.contents(rounds=0)],
    ids=["doubtful", "broken off", "the warm-up alone"],
)
def test_no_english_sentence_is_left_in_chinese(make: Any) -> None:
    contents, words = make(), Catalogue("zh-TW")
    report = build_report(contents)
    shown = re.sub(r"<(style|script).*?</\1>", "", page(report, contents.trials, words), flags=re.DOTALL)
    for text in ("\n".join(terminal_table(report, words)), markdown(report, (), words), shown):
        assert re.findall("[A-Za-z][a-z]+(?: [a-z]+){2,}", re.sub("<[^>]*>", "|", text)) == []


def test_each_flag_is_shown_the_worst_first_in_three_lines_at_most() -> None:
    def wordy(draft: factory.Draft) -> None:
        if draft.slot.round == 6 and not draft.base:
            draft.outcome = "failed"
            draft.problem = PROBLEM.model_copy(update={"what": "word " * 100})

    plan = factory.plan(samples_per_process=1_000_000)
    report = build_report(factory.contents(plan, defect=wordy))
    lines = terminal_table(report, EN)
    # Of the rounds that are missing the line of the run has told.
    flags = [check for check in report.checks if check.status == "flag" and check.code != "incomplete"]
    labels = ("INVALID ", "DOUBTFUL", "NOTED   ")
    first = next(number for number, line in enumerate(lines) if line.startswith(labels))
    shown = [" ".join(part.split()) for part in "\n".join(lines[first:]).replace("\n   ", " ").split("\n")]
    assert len(shown) == len(flags) and len(lines[first:]) <= 3 * len(flags)
    flags.sort(key=lambda check: ["invalid", "doubtful", "none"].index(check.effect))
    whole = []
    for flag, check in zip(shown, flags, strict=True):
        words, said = (" ".join(each.split()) for each in (flag.split(" ", 1)[1], in_brief(check)))
        said = f"{said} [{check.code}]. {check.meaning}"
        assert said == words or (words.endswith(" …") and said.startswith(words[:-2]))
        whole.append(said == words)
    assert any(whole) and not all(whole)
    effects = [flag.split()[0] for flag in shown]
    assert effects == sorted(effects, key=["INVALID", "DOUBTFUL", "NOTED"].index)


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda folder: (folder / "plan.json").unlink(), r"plan.json: missing \[PS-711\]\. Next: "),
        (
            lambda folder: (folder / "trials/r001-00-alone.json").write_text("{"),
            "r001-00-alone.json: not JSON",
        ),
        (lambda folder: (folder / "nodes.json").write_text("{}"), "nodes.json: nodes is"),
    ],
    ids=["no plan", "a trial cut off", "no nodes in nodes.json"],
)
def test_a_damaged_folder_is_one_line(tmp_path: Path, damage: Any, line: str) -> None:
    folder = factory.write(tmp_path / "run", factory.contents())
    damage(folder)
    with pytest.raises(ProblemError, match=line) as caught:
        report_files(folder)
    assert "\n" not in str(caught.value)


def test_a_single_round_needs_no_scipy(tmp_path: Path) -> None:
    folder = factory.write(tmp_path / "run", factory.contents(factory.plan(rounds=1)))
    code = (
        "import sys, pathlib; from pi_speedup.report.build import report_files; "
        "report_files(pathlib.Path(sys.argv[1])); print('scipy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={"PYTHONPATH": str(PROJECT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
