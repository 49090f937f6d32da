"""report.html as a document: structure, policy, languages, foreign text, size; charts apart."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from pi_speedup.catalogue import LANGUAGES, Catalogue, catalogue
from pi_speedup.codes import Code
from pi_speedup.model.base import load
from pi_speedup.model.report import Report
from pi_speedup.problem import Problem
from pi_speedup.report.build import build_report, report_files
from pi_speedup.report.evidence import Contents
from pi_speedup.report.page.page import command, page
from pi_speedup.report.terminal import terminal_table
from tests.unit.report import factory

# In one process: what is made once is made for all of them.
pytestmark = pytest.mark.xdist_group("pages")

EN = Catalogue("en")
TIMES = "\N{MULTIPLICATION SIGN}"
PROJECT = Path(__file__).resolve().parents[3]
HOSTILE = "<script>alert(1)</script> {{ 7*7 }} \x1b[31m \u202egnp.exe \"' --> ]]> <b>& http://evil.example/x"
VOID = {"meta", "link", "br"}


class Document(HTMLParser):
    """What a test asks of a page: its elements with their attributes, and text by the element around it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == [], f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each element of this kind."""
        return [attributes for found, attributes in self.elements if found == tag]

    def inside(self, tag: str) -> str:
        """Return the text directly within elements of this kind."""
        return "".join(data for found, data in self.texts if found == tag)


def _failing(draft: factory.Draft) -> None:
    if draft.slot.round == 5 and not draft.base:
        draft.outcome, draft.problem = (
            "failed",
            Problem(code=Code.NODE_CORDONED, subject="pi-2", what="cordoned", next_step="uncordon"),
        )


RUNS: dict[str, Callable[[], Contents]] = {
    "a whole run": lambda: factory.contents(hosts=factory.hosts(factory.plan())),
    "a sweep": lambda: factory.contents(factory.plan(4, sweep=True)),
    "one Pi": lambda: factory.contents(factory.plan(1)),
    "one round": lambda: factory.contents(factory.plan(rounds=1)),
    "all cores": lambda: factory.contents(factory.plan(processes_per_pi=4)),
    "half a core": lambda: factory.contents(factory.plan(cpu_limit_cores=0.5)),
    "all that can be measured": lambda: factory.contents(
        factory.plan(4, sweep=True, control_round=True, each_pi=True)
    ),
    "nothing known of the cluster": lambda: Contents(factory.plan(), factory.trials(factory.plan())),
    "a failed trial": lambda: factory.contents(defect=_failing),
    "the warm-up alone": lambda: factory.contents(rounds=0),
    "nothing": lambda: Contents(factory.plan(), ()),
}


@cache
def made(run: str, language: str = "en") -> tuple[Report, str]:
    """Return the report and the page of one of the runs."""
    contents = RUNS[run]()
    report = build_report(contents)
    return report, page(report, contents.trials, Catalogue(language))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("run", RUNS)
def test_every_run_has_a_page_in_every_language(run: str, language: str) -> None:
    is_well_made(made(run, language)[1], language)


def is_well_made(text: str, language: str) -> None:
    """See that a page can be read by any means: headings in order, names for all that needs one."""
    document = Document(text)
    assert document.all("html") == [{"lang": language}]
    assert len(document.all("h1")) == len(document.all("main")) == len(document.all("footer")) == 1
    levels = [int(tag[1]) for tag, _ in document.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    referred = [a["aria-labelledby"] or "" for _, a in document.elements if "aria-labelledby" in a]
    referred += [(a["href"] or "")[1:] for a in document.all("use")]
    assert {each for names in referred for each in names.split()} <= set(ids)
    for region in (a for a in document.all("div") if a.get("role") == "region"):
        assert region["aria-label"] and region["tabindex"] == "0"
    assert all(cell.get("scope") in ("col", "row") for cell in document.all("th"))


def test_it_asks_nobody_and_runs_nothing() -> None:
    asks_nobody_and_runs_nothing(made("a whole run")[1])


def asks_nobody_and_runs_nothing(text: str) -> None:
    """See that a page holds all that it shows, and its policy allows nothing else."""
    document = Document(text)
    policy = next(m["content"] or "" for m in document.all("meta") if m.get("http-equiv"))
    style = base64.b64encode(hashlib.sha256(document.inside("style").encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert [a["type"] for a in document.all("script")] == ["application/json"]
    # Neither a style attribute nor a handler, which the policy would refuse.
    names = {name for _, attributes in document.elements for name in attributes}
    assert "style" not in names and not [name for name in names if name.startswith("on")]
    assert not [tag for tag, _ in document.elements if tag in ("img", "iframe", "object", "form", "base")]
    links = [
        a[name] or "" for _, a in document.elements for name in ("href", "src", "xlink:href") if name in a
    ]
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert set(re.findall(r"https?://[^\"' ]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert "url(" not in re.sub(r"url\(#[-a-z0-9]+\)", "", text) and "@import" not in text


@pytest.mark.parametrize("run", RUNS)
def test_it_carries_its_report(run: str) -> None:
    report, text = made(run)
    assert load(Report, Document(text).inside("script"), "the page") == report


@pytest.mark.fault("Jinja in a log")
def test_foreign_text_is_inert() -> None:
    # A setting that becomes a command holds no control character.
    word = re.sub("[\x00-\x1f\x7f]", "", HOSTILE)
    plan = factory.plan(caveat=HOSTILE, base_command_prefix=("x", word), base_runtime="process")

    def failing(draft: factory.Draft) -> None:
        for worker in draft.workers:
            worker.image, worker.image_ids = HOSTILE, (HOSTILE,)
        if draft.slot.round == 5 and not draft.base:
            draft.outcome = "failed"
            draft.problem = Problem(code=Code.POD_FAILED, subject=HOSTILE, what=HOSTILE, next_step=HOSTILE)

    contents = Contents(
        plan,
        factory.trials(plan, defect=failing),
        factory.all_nodes(plan, os_image=HOSTILE, kernel_version=HOSTILE).model_copy(
            update={"not_in_inventory": (HOSTILE,)}
        ),
        factory.hosts(plan, both={"model": HOSTILE, "governors": (HOSTILE,)}),
    )
    report = build_report(contents)
    for language in LANGUAGES:
        text = page(report, contents.trials, Catalogue(language))
        document = Document(text)
        assert [a["type"] for a in document.all("script")] == ["application/json"]
        assert not document.all("b")
        shown = "".join(data for tag, data in document.texts if tag not in ("script", "style"))
        assert shown.count("<script>alert(1)</script> {{ 7*7 }}") >= 8
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text)
        assert load(Report, document.inside("script"), "the page") == report


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_run_of_the_inventory_only_says_so_beside_its_verdict(language: str) -> None:
    words = catalogue(language)["verdict.inventory_only"]
    plan = factory.plan()
    of_inventory = build_report(factory.contents(nodes=factory.unreadable_nodes(plan)))
    assert words in page(of_inventory, (), Catalogue(language))
    assert words not in page(build_report(factory.contents()), (), Catalogue(language))


def test_the_command_measures_it_again() -> None:
    report = build_report(factory.contents(factory.plan(rounds=5, caveat="it's a test")))
    found = command(report)
    assert found.startswith("ansible-playbook benchmark.yml -e ")
    import shlex

    given = json.loads(shlex.split(found)[-1])
    assert given == {"benchmark_rounds": 5, "benchmark_order_seed": 4, "benchmark_caveat": "it's a test"}


def test_what_one_reads_first_is_the_figure() -> None:
    report, text = made("a whole run")
    speedup = report.comparisons[0].speedup
    assert speedup is not None and speedup.interval is not None
    shown = " ".join("".join(data for _, data in Document(text).texts).split())
    hero = shown[: shown.index("Where the speedup went")]
    for wanted in (
        f"{speedup.value:.2f}\N{MULTIPLICATION SIGN}",
        f"95% interval: {speedup.interval.low:.2f} to {speedup.interval.high:.2f}",
        "No check gives a reason to doubt this figure",
        "One Pi would need 30.02 s, 3 Pis took 10.10 s: 99% of the ideal 3\N{MULTIPLICATION SIGN}.",
        "3 \N{MULTIPLICATION SIGN} Raspberry Pi 4 Model B, one core each",
        "Estimating π, 10,000,000 samples a process",
        "2026-11-24 07:15 UTC",
    ):
        assert wanted in hero


def test_pis_of_several_models_are_counted_apart() -> None:
    hosts = factory.hosts(factory.plan(), both={"model": "Raspberry Pi 5 Model B Rev 1.0"}, pi="pi-2")
    text = page(build_report(factory.contents(hosts=hosts)), (), EN)
    assert f"2 {TIMES} Raspberry Pi 4 Model B, 1 {TIMES} Raspberry Pi 5 Model B, one core each" in text
    assert "3 Pis, one core each" in page(build_report(factory.contents()), (), EN)


def _interrupted(draft: factory.Draft) -> None:
    if draft.slot.round == 0 and not draft.base:
        draft.outcome = "interrupted"


def _never_again(draft: factory.Draft) -> None:
    """Fail in round 4, and measure nothing after it."""
    if draft.slot.round == 4 and not draft.base:
        draft.outcome = "failed"
        draft.problem = Problem(
            code=Code.NODE_CORDONED, subject="pi-2", what="cordoned", next_step="kubectl uncordon pi-2"
        )


@pytest.mark.parametrize(
    ("defect", "rounds", "wanted"),
    [
        (
            _never_again,
            4,
            ("Stopped in round 4 of 7", "pi-2: cordoned PS-302", "Next: kubectl uncordon pi-2"),
        ),
        (_interrupted, 0, ("Interrupted in the warm-up",)),
        (None, 3, ("3 of 7 rounds: broken off before r004-00-",)),
    ],
    ids=["failed", "interrupted in the warm-up", "broken off"],
)
def test_a_run_that_stopped_says_so_above_its_figure(
    defect: factory.Defect | None, rounds: int, wanted: tuple[str, ...]
) -> None:
    text = page(build_report(factory.contents(rounds=rounds, defect=defect)), (), EN)
    shown = " ".join("".join(data for _, data in Document(text).texts).split())
    resume = f"Resume it: ansible-playbook benchmark.yml -e benchmark_run_id={factory.RUN}"
    above = shown[: shown.index("How much faster are 3 Pis than one?")]
    assert all(words in above for words in (*wanted, resume))


def test_a_run_that_ended_by_plan_has_nothing_to_resume() -> None:
    assert "Resume it:" not in made("a whole run")[1] and 'class="stopped"' not in made("a sweep")[1]


def test_an_invalid_figure_is_struck_through() -> None:
    def made_up(draft: factory.Draft) -> None:
        draft.workers[0].process.update(inside=1000)

    text = page(build_report(factory.contents(defect=made_up)), (), EN)
    number = next(a["class"] for a in Document(text).all("p") if "number" in (a.get("class") or ""))
    style = Document(text).inside("style")
    assert number == "number invalid"
    assert re.search(r"\.number\.invalid[^{]*\{[^}]*var\(--muted\)[^}]*line-through", style)
    assert 'class="number sound"' in made("a whole run")[1]


def test_a_sweep_has_its_numbers_beside_the_curve() -> None:
    report, text = made("a sweep")
    assert report.sweep is not None and len(report.sweep.points) == 4
    shown = " ".join(" ".join(data for _, data in Document(text).texts).split())
    lines = terminal_table(report, EN)
    for each in report.sweep.points:
        assert each.speedup.interval is not None
        low, high = f"{each.speedup.interval.low:.2f}", f"{each.speedup.interval.high:.2f}"
        efficiency = f"{100 * each.efficiency.value:.1f}%"
        assert f"{each.pis} {each.speedup.value:.2f}{TIMES} {low} to {high} {efficiency}" in shown
        wanted = [*EN.count("pi", each.pis).split(), f"{each.speedup.value:.2f}", low, "to", high, efficiency]
        assert wanted in [line.split() for line in lines]


def test_only_the_formats_asked_for_are_made(tmp_path: Path) -> None:
    folder = factory.write(tmp_path / "run", factory.contents())
    assert set(report_files(folder, ["json", "html"])) == {"report.html", "report.json", "table"}
    assert list(report_files(folder))[1] == "report.html"
    assert report_files(folder)["report.html"] == report_files(folder)["report.html"]
    assert '<html lang="zh-TW">' in report_files(folder, ["html"], "zh-TW")["report.html"]


def test_nothing_heavy_is_imported_without_a_page(tmp_path: Path) -> None:
    folder = factory.write(tmp_path / "run", factory.contents())
    script = (
        "import sys; from pathlib import Path; from pi_speedup.report.build import report_files\n"
        f"report_files(Path({str(folder)!r}), ['json', 'md', 'csv'])\n"
        "print([name for name in ('matplotlib', 'PIL', 'pi_speedup.report.page') if name in sys.modules])"
    )
    path = {"PYTHONPATH": str(PROJECT / "src"), "PATH": "/usr/bin:/bin"}
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=path
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("pis", "rounds", "most"), [(3, 7, 600_000), (100, 100, 3_000_000)], ids=["3 Pis, 7 rounds", "100 x 100"]
)
def test_it_stays_small(pis: int, rounds: int, most: int) -> None:
    plan = factory.plan(pis, rounds=rounds)
    contents = factory.contents(plan, hosts=factory.hosts(plan))
    assert len(page(build_report(contents), contents.trials, Catalogue("en")).encode()) <= most


LEFT_OUT = {"en": "2 of 3 Pis took part. Left out of all figures:", "zh-TW": "3 台 Pi 中有 2 台"}


@pytest.mark.parametrize(("language", "words"), LEFT_OUT.items(), ids=LEFT_OUT)
def test_a_pi_that_was_left_out_is_named_before_the_figure(language: str, words: str) -> None:
    text = page(build_report(factory.contents(factory.degraded())), (), Catalogue(language))
    named = text.index('<span lang="en">pi-3')
    assert "cordoned (unschedulable)" in text[named : named + 60]
    assert text.index(words) < named < text.index('<div class="hero">')
