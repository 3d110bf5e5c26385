"""Make the documentation's pictures of the web page: `python -m tests.page.screenshots DIRECTORY`.

They have few colours, so that they stay small.
"""

import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from .browser import launched, new_context
from .pages import events, expect_names, lines, link, log_of, row
from .scene import prepare
from .stack import Stack

WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 360, "height": 740}
COLOURS = 256
ROOM = {"memory-mb": "8192", "cpu-millicores": "4000"}


def main(directory: Path) -> None:
    """Make all pictures."""
    expect.set_options(timeout=20_000)
    with launched() as browser, tempfile.TemporaryDirectory() as name:
        stack = Stack(Path(name), **ROOM)
        try:
            _take_all(browser, stack, directory)
        finally:
            stack.close()
    with launched() as browser, tempfile.TemporaryDirectory() as name:
        stack = Stack(Path(name), is_simulated=True)
        try:
            page = _open(browser, stack, "")
            stack.submit("web", labels={"team": "shop"})
            expect(page.get_by_text("nothing really runs")).to_be_visible()
            expect(row(page, "web")).to_contain_text("nginx:1.27")
            _keep(page, directory / "page-simulated.png")
        finally:
            stack.close()


def _take_all(browser: Browser, stack: Stack, directory: Path) -> None:
    page = _open(browser, stack, "")
    prepare(stack)
    expect(row(page, "old")).to_contain_text("nginx:1.25")
    expect(page.get_by_role("meter").first).to_be_visible()
    page.reload()  # the figures of the node are read at once then
    expect(row(page, "old")).to_contain_text("nginx:1.25")
    stack.request("POST", "/workloads/old/start")
    stack.await_state("old", "running")
    stack.request("POST", "/workloads/old/stop")
    expect(events(page).first).to_contain_text("old")
    expect(row(page, "old")).to_contain_text("stopped")
    _keep(page, directory / "page-light.png")

    dark = _open(browser, stack, "#/reports/history", color_scheme="dark")
    expect(dark.get_by_role("tabpanel")).to_contain_text("ImagePullFailed")
    expect_names(dark, *_names(page))
    _keep(dark, directory / "page-dark.png")

    log = _open(browser, stack, "#/web", color_scheme="dark")
    expect(lines(log_of(log, "web"))).to_have_count(18)
    log.get_by_role("searchbox", name="Search the log").fill("favicon")
    expect(log.get_by_text("6 matches", exact=True)).to_be_visible()
    _keep(log, directory / "page-log.png")

    narrow = _open(browser, stack, "", viewport=NARROW)
    expect(link(narrow, "web")).to_be_visible()
    _keep(narrow, directory / "page-narrow.png")

    stack.plane.end()
    expect(page.get_by_text("not connected")).to_be_visible()
    _keep(page, directory / "page-lost.png")


def _names(page: Page) -> list[str]:
    return page.get_by_role("table", name="Workloads").get_by_role("rowheader").all_text_contents()


def _open(browser: Browser, stack: Stack, fragment: str, **options: object) -> Page:
    options = {"viewport": WIDE, "reduced_motion": "reduce", **options}
    page = new_context(browser, **options).new_page()
    page.goto(f"{stack.url}/{fragment}")
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    return page


def _keep(page: Page, path: Path) -> None:
    """Write a picture of the window with few colours: a third of the bytes."""
    image = Image.open(BytesIO(page.screenshot())).convert("RGB")
    few = image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
