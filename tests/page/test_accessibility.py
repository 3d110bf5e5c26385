"""axe finds nothing in any state of the page, and the page fits a narrow window."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from .pages import detail, expect_names, log_of, tab
from .scene import prepare
from .stack import Stack

AXE = Axe()


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Stack:
    """Run workloads in every state."""
    stack = Stack(tmp_path_factory.mktemp("stack"), **{"memory-mb": "8192"})
    prepare(stack)
    yield stack
    stack.close()


def check(page: Page) -> None:
    """Assert that axe finds nothing wrong, best practices included, with the page as it is."""
    results = AXE.run(page, options={"resultTypes": ["violations"]})
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_problem_in_any_state_of_the_page(scene, open_page, scheme):
    page = open_page(scene.url, color_scheme=scheme)
    expect(page.get_by_text("ready", exact=False).first).to_be_visible()
    check(page)
    page.goto(f"{scene.url}/#/web")
    expect(log_of(page, "web")).to_contain_text("favicon.ico")
    page.get_by_role("searchbox", name="Search the log").fill("favicon")
    expect(page.get_by_text("6 matches", exact=True)).to_be_visible()
    check(page)
    for name in ("Spec", "History", "Isolation"):
        tab(page, name).click()
        expect(page.get_by_role("tabpanel", name=name)).to_be_visible()
        check(page)
    detail(page, "web").get_by_role("button", name="Remove").click()
    check(page)
    page.keyboard.press("Escape")
    page.goto(f"{scene.url}/#/reports")
    expect(detail(page, "reports")).to_contain_text("ImagePullFailed")
    check(page)
    page.keyboard.press("?")
    check(page)
    page.keyboard.press("Escape")
    page.get_by_role("searchbox", name="Filter workloads").fill("nothing like it")
    expect_names(page)
    check(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_problem_while_the_api_is_unreachable(own_stack, open_page, scheme):
    own_stack.submit("web")
    page = open_page(own_stack.url, color_scheme=scheme, may_lose=True)
    expect_names(page, "web")
    own_stack.plane.end()
    expect(page.get_by_role("button", name="Try now")).to_be_visible()
    check(page)


def test_axe_finds_no_problem_on_a_simulated_node(tmp_path, open_page):
    stack = Stack(tmp_path, is_simulated=True)
    try:
        page = open_page(stack.url)
        expect(page.get_by_text("nothing really runs")).to_be_visible()
        check(page)
        page.close()
    finally:
        stack.close()


@pytest.mark.parametrize("address", ["", "#/web", "#/web/spec", "#/web/history", "#/reports"])
def test_page_of_320_pixels_needs_no_horizontal_scrolling(scene, open_page, address):
    page = open_page(f"{scene.url}/{address}", viewport={"width": 320, "height": 640})
    expect(page.get_by_role("table", name="Workloads 8")).to_be_visible()
    if address:
        expect(page.get_by_role("button", name="Remove")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    check(page)


def test_page_with_reduced_motion_animates_nothing(scene, open_page):
    page = open_page(scene.url, reduced_motion="reduce")
    expect(page.get_by_role("table", name="Workloads 8")).to_be_visible()
    running = "[...document.getAnimations()].filter(each => each.playState === 'running').length"
    assert page.evaluate(running) == 0
