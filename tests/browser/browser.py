"""A page in headless Chromium: what it asks for and complains of, how wide it is, what axe-core finds."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium")
# Answered from memory: a host that there is not, so that whatever a page asks for is seen and fails.
ADDRESS = "http://report.invalid/report.html"
WIDTHS = (360, 768, 1440)
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


@dataclass
class Opened:
    """A page that is open, and all it did so far."""

    page: Page
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    @property
    def overhang(self) -> int:
        """By how many pixels it is wider than its window."""
        found: int = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return found

    def unfold(self) -> None:
        """Open all that can be opened."""
        self.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")

    def findings(self) -> list[str]:
        """Return what axe-core finds, however harmless."""
        found: Any = Axe().run(self.page).response
        return [
            f"{each['impact']}: {each['help']}: {[node['html'][:120] for node in each['nodes'][:3]]}"
            for each in found["violations"]
        ]

    def printed(self) -> int:
        """Print it on A4 and return the number of pages."""
        return len(re.findall(rb"/Type\s*/Page\b", self.page.pdf(prefer_css_page_size=True)))

    def colours(self) -> tuple[str, str]:
        """Return the colours of paper and ink as they are shown."""
        script = "(name => getComputedStyle(document.body)[name])"
        return (
            self.page.evaluate(f"{script}('backgroundColor')"),
            self.page.evaluate(f"{script}('color')"),
        )


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium; it needs no sandbox for a page of ours, and as root it has none."""
    assert CHROMIUM is not None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, text: str, width: int = 1440, scheme: Scheme = "light") -> Iterator[Opened]:
    """Open a page of this text as if it came from a server."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    found = Opened(page)
    page.on("request", lambda request: found.requests.append(request.url))
    page.on("console", lambda message: found.messages.append(message.text))
    page.on("pageerror", lambda error: found.messages.append(str(error)))
    page.route(ADDRESS, lambda route: route.fulfill(body=text, content_type="text/html; charset=utf-8"))
    page.goto(ADDRESS, wait_until="load")
    yield found
    context.close()


def look(browser: Browser, text: str, shots: Path, name: str) -> None:
    """See that a page is fit to be shown, in all widths, in light, dark and print; keep its pictures."""
    shots.mkdir(parents=True, exist_ok=True)
    paper = set()
    for width in WIDTHS:
        for scheme in SCHEMES:
            with opened(browser, text, width, scheme) as seen:
                where = f"{name}, {width} px, {scheme}"
                seen.page.screenshot(path=shots / f"{name}-{width}-{scheme}.png", full_page=True)
                assert seen.overhang <= 0, f"{where}: {seen.overhang} px too wide"
                seen.unfold()
                assert seen.overhang <= 0, f"{where}, unfolded: {seen.overhang} px too wide"
                # The same elements and colours in all widths, and it takes seconds.
                findings = seen.findings() if width in (WIDTHS[0], WIDTHS[-1]) else []
                assert not findings, f"{where}: {findings}"
                assert seen.requests == [ADDRESS], where
                assert seen.messages == [], where
                paper.add((scheme, *seen.colours()))
    assert len(paper) == 2, "light and dark differ, and each is the same in all widths"
    with opened(browser, text) as seen:
        seen.page.emulate_media(media="print")
        seen.page.screenshot(path=shots / f"{name}-print.png", full_page=True)
