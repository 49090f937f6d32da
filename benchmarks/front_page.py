"""The picture at the top of the README: the first screen of a run's report.html.

    make front-page
    make front-page FROM=runs/20261124-071530-3fa2

Writes docs/report.png. Needs Chromium (apt-get install chromium).
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from pi_speedup.problem import ProblemError
from pi_speedup.report.build import report_files
from tests.browser.browser import ADDRESS, CHROMIUM, chromium

PROJECT = Path(__file__).resolve().parents[1]
PICTURE = PROJECT / "docs/report.png"
WIDTH = 1200
# Twice as many as it is shown with: sharp on any screen.
PIXELS_EACH = 2
MOST_BYTES = 200_000
# The page takes the reader's own font; a bare Linux has none that one would choose.
FONT = "body { font-family: 'Noto Sans', 'Liberation Sans', sans-serif }"


def main(arguments: list[str]) -> int:
    """Make the picture of the run that is named, the latest if none is."""
    run = Path(arguments[0] if arguments else PROJECT / "runs/latest")
    try:
        if CHROMIUM is None:
            raise SystemExit("chromium: not found. Next: apt-get install chromium")
        picture = first_screen(report_files(run, ["html"])["report.html"])
    except ProblemError as error:
        print(error, file=sys.stderr)
        return 2
    PICTURE.write_bytes(picture)
    print(f"{PICTURE.relative_to(PROJECT)}: {len(picture) // 1000} kB, from {run}")
    return 0


def first_screen(page_text: str) -> bytes:
    """Return a page from its top to the end of what one sees first, as PNG."""
    with chromium() as browser:
        context = browser.new_context(
            viewport={"width": WIDTH, "height": 900},
            device_scale_factor=PIXELS_EACH,
            color_scheme="light",
            bypass_csp=True,
        )
        page = context.new_page()
        page.route(
            ADDRESS, lambda route: route.fulfill(body=page_text, content_type="text/html; charset=utf-8")
        )
        page.goto(ADDRESS, wait_until="load")
        page.add_style_tag(content=FONT)
        hero = page.locator(".hero").bounding_box()
        assert hero is not None
        shot = page.screenshot(clip={"x": 0, "y": 0, "width": WIDTH, "height": hero["y"] + hero["height"]})
    # A drawing has few colours: a palette makes it a third as large and looks the same.
    out = io.BytesIO()
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(128).save(out, "PNG", optimize=True)
    if out.tell() > MOST_BYTES:
        raise SystemExit(f"{PICTURE}: {out.tell()} bytes, more than {MOST_BYTES}. Next: lower PIXELS_EACH")
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
