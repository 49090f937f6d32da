"""The pages where they are read: in a browser. Its pictures are kept in $PAGE_SHOTS, if that is set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from pi_speedup.catalogue import Catalogue
from pi_speedup.codes import Code
from pi_speedup.model.report import Report
from pi_speedup.problem import Problem
from pi_speedup.report.build import build_report
from pi_speedup.report.evidence import Contents
from pi_speedup.report.page.page import page
from pi_speedup.runs.page import compared_page, history_page
from tests.browser.browser import ADDRESS, CHROMIUM, chromium, look, opened
from tests.unit.report import factory
from tests.unit.runs.test_run_pages import compared, some_history

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")


def _doubtful() -> Contents:
    def defect(draft: factory.Draft) -> None:
        if draft.slot.round == 7 and not draft.base:
            draft.outcome = "failed"
            draft.problem = Problem(
                code=Code.NODE_CORDONED, subject="pi-2", what="word" * 200, next_step="kubectl uncordon pi-2"
            )

    plan = factory.plan(samples_per_process=1_000_000, caveat="virtual Pis: says nothing about real hardware")
    hosts = factory.hosts(plan, after={"temperature_celsius": 84.0, "throttled": 0x40004})
    return factory.contents(plan, noise=0.15, defect=defect, hosts=hosts)


RUNS: dict[str, Callable[[], Contents]] = {
    "sound": lambda: factory.contents(
        hosts=factory.hosts(factory.plan(), after={"temperature_celsius": 61.0})
    ),
    "doubtful": _doubtful,
    "sweep": lambda: factory.contents(factory.plan(8, sweep=True)),
    "many": lambda: factory.contents(factory.plan(60, rounds=5)),
    "nothing": lambda: Contents(factory.plan(), ()),
}


def _page(contents: Contents, language: str = "en") -> str:
    return page(build_report(contents), contents.trials, Catalogue(language))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    return Path(os.environ.get("PAGE_SHOTS") or tmp_path)


@pytest.mark.parametrize(
    ("run", "language"), [*((run, "en") for run in RUNS), ("doubtful", "zh-TW")], ids=lambda each: str(each)
)
def test_it_is_fit_to_be_shown(browser: Browser, shots: Path, run: str, language: str) -> None:
    look(browser, _page(RUNS[run](), language), shots, f"{run}-{language}")


PAGES: dict[str, Callable[[str], str]] = {
    "history": lambda language: history_page(*some_history(), Catalogue(language)),
    "compare": lambda language: compared_page(*compared("before", "starved"), Catalogue(language)),
    "not-comparable": lambda language: compared_page(*compared("before", "short"), Catalogue(language)),
}


@pytest.mark.parametrize(("name", "language"), [*((name, "en") for name in PAGES), ("compare", "zh-TW")])
def test_pages_of_several_runs_are_fit_to_be_shown(
    browser: Browser, shots: Path, name: str, language: str
) -> None:
    look(browser, PAGES[name](language), shots, f"{name}-{language}")


@pytest.mark.parametrize("name", PAGES)
def test_pages_of_several_runs_are_printed_on_two_pages(browser: Browser, name: str) -> None:
    with opened(browser, PAGES[name]("en")) as seen:
        assert seen.printed() <= 2


@pytest.mark.parametrize("language", ["en", "zh-TW"])
@pytest.mark.parametrize("run", ["sound", "doubtful"])
def test_it_is_printed_on_two_pages(browser: Browser, run: str, language: str) -> None:
    with opened(browser, _page(RUNS[run](), language)) as seen:
        assert seen.printed() <= 2


def test_foreign_text_does_nothing(browser: Browser) -> None:
    hostile = (
        "<img src=x onerror=document.title=1><script>document.title=2</script><style>*{color:red}</style>"
    )
    contents = factory.contents(
        factory.plan(caveat=hostile), nodes=factory.all_nodes(factory.plan(), os_image=hostile)
    )
    with opened(browser, _page(contents)) as seen:
        assert seen.page.inner_text(".caveat") == hostile
        assert seen.page.title().startswith("Speedup of 3 Pis")
        assert (seen.requests, seen.messages) == ([ADDRESS], [])


def test_the_policy_stops_what_should_ever_slip_through(browser: Browser) -> None:
    """As if escaping had failed: the browser itself refuses to run, to load and to style."""
    text = _page(RUNS["nothing"]()).replace(
        "<main",
        "<script>document.title='owned'</script><p id=bad style='color:rgb(1,2,3)'>x</p>"
        "<img src='http://report.invalid/x.png'><main",
    )
    with opened(browser, text) as seen:
        assert seen.page.title() != "owned"
        assert seen.page.evaluate("getComputedStyle(document.getElementById('bad')).color") != "rgb(1, 2, 3)"
        assert seen.page.evaluate("document.querySelector('img').naturalWidth") == 0
        refused = [message for message in seen.messages if "Content Security Policy" in message]
        assert len(refused) == 3


def test_its_data_can_be_read_again(browser: Browser) -> None:
    contents = RUNS["sound"]()
    with opened(browser, _page(contents)) as seen:
        text = seen.page.evaluate("document.getElementById('report').textContent")
    assert Report.model_validate_json(text) == build_report(contents)
