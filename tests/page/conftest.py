from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from .browser import Tab, launched, new_context
from .stack import Stack

TIMEOUT_MS = 120_000
"""Milliseconds after which playwright gives up waiting: far longer than any step takes on an idle
machine."""

LONGEST_TEST = 600
"""Seconds after which a test is aborted."""

expect.set_options(timeout=TIMEOUT_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """End tests by a thread: a signal does not interrupt playwright."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(LONGEST_TEST, method="thread"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with launched() as started:
        yield started


@pytest.fixture(scope="module")
def shared_stack(tmp_path_factory) -> Iterator[Stack]:
    """Run the processes that the tests of a module share."""
    stack = Stack(tmp_path_factory.mktemp("stack"))
    yield stack
    stack.close()


@pytest.fixture
def stack(shared_stack) -> Iterator[Stack]:
    """Return the shared processes; they have no workloads when a test begins."""
    yield shared_stack
    shared_stack.remove_all()


@pytest.fixture
def own_stack(tmp_path) -> Iterator[Stack]:
    """Run processes that a test may kill."""
    stack = Stack(tmp_path)
    yield stack
    stack.close()


@pytest.fixture
def open_context(browser) -> Iterator[Callable[..., BrowserContext]]:
    """Open contexts, whose pages share what a browser shares between tabs."""
    opened: list[BrowserContext] = []

    def open_one(**options: object) -> BrowserContext:
        context = new_context(browser, **options)
        context.set_default_timeout(TIMEOUT_MS)
        opened.append(context)
        return context

    yield open_one
    for context in opened:
        context.close()


@pytest.fixture
def open_tab(open_context) -> Iterator[Callable[..., Tab]]:
    """Open the page, each time in a new context; afterwards nothing may have gone wrong in it."""
    tabs: list[Tab] = []

    def open_one(url: str, *, may_lose: bool = False, **options: object) -> Tab:
        has_scripts = options.get("java_script_enabled", True)
        tab = Tab(open_context(**options).new_page(), has_scripts, may_lose)
        tabs.append(tab)
        tab.page.goto(url)
        return tab

    yield open_one
    for tab in tabs:
        tab.check()


@pytest.fixture
def open_page(open_tab) -> Callable[..., Page]:
    def open_one(url: str, **options: object) -> Page:
        return open_tab(url, **options).page

    return open_one
