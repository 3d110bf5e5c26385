"""Tabs of one browser share a stream of events, and a hidden tab has none."""

import time

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from tests.e2e.processes import DEADLINE

from .browser import Tab
from .pages import expect_all_events, expect_names, row
from .tabs import set_visibility


class Streams:
    """The streams of events that pages of a browser have open."""

    def __init__(self, context: BrowserContext) -> None:
        self._begun: set[Request] = set()
        context.on("request", self._began)
        context.on("requestfinished", self._ended)
        context.on("requestfailed", self._ended)

    def _began(self, request: Request) -> None:
        if "/events" in request.url:
            self._begun.add(request)

    def _ended(self, request: Request) -> None:
        self._begun.discard(request)

    def expect_open(self, count: int, page: Page) -> None:
        """Wait until so many have not ended; a closed page does not report their end."""
        deadline = time.monotonic() + DEADLINE
        while (
            len(opened := [each for each in self._begun if not each.frame.page.is_closed()])
            != count
        ):
            assert time.monotonic() < deadline, opened
            page.wait_for_timeout(10)  # events of the browser arrive meanwhile


@pytest.fixture
def context(open_context):
    return open_context()


@pytest.fixture
def streams(context) -> Streams:
    return Streams(context)


@pytest.fixture
def open_shared(context, stack):
    """Open tabs of one browser; nothing may have gone wrong in them."""
    tabs = []

    def open_one() -> Tab:
        tab = Tab(context.new_page())
        tabs.append(tab)
        tab.page.goto(stack.url)
        return tab

    yield open_one
    for tab in tabs:
        tab.check()


def test_two_tabs_share_one_stream_and_show_the_same(stack, streams, open_shared):
    stack.submit("a")
    one, other = open_shared().page, open_shared().page
    for page in (one, other):
        expect_names(page, "a")
    stack.submit("b")
    for page in (one, other):
        expect(row(page, "b")).to_contain_text("running")
    streams.expect_open(1, one)
    for page in (one, other):
        expect_all_events(page, stack)


def test_tab_that_is_left_takes_over_the_stream(stack, streams, open_shared):
    one = open_shared().page
    expect(one.get_by_text("live", exact=True)).to_be_visible()
    other = open_shared().page
    expect(other.get_by_text("live", exact=True)).to_be_visible()
    stack.submit("a")
    expect(row(other, "a")).to_contain_text("running")
    one.close()
    stack.submit("b")
    expect(row(other, "b")).to_contain_text("running")
    expect_all_events(other, stack)
    streams.expect_open(1, other)


def test_hidden_tab_has_no_stream_and_continues_without_a_gap(stack, streams, open_shared):
    page = open_shared().page
    stack.submit("a")
    expect(row(page, "a")).to_contain_text("running")
    set_visibility(page, "hidden")
    page.wait_for_function("() => navigator.locks.query().then(found => !found.held.length)")
    streams.expect_open(0, page)
    stack.submit("b")
    stack.request("POST", "/workloads/a/stop")
    stack.await_reason("a", "Stopped")
    set_visibility(page, "visible")
    expect(row(page, "a")).to_contain_text("stopped")
    expect(row(page, "b")).to_contain_text("running")
    expect_all_events(page, stack)


def test_visible_tab_reads_for_itself_while_the_other_is_hidden(stack, open_shared):
    one, other = open_shared().page, open_shared().page
    expect(other.get_by_text("live", exact=True)).to_be_visible()
    set_visibility(one, "hidden")
    stack.submit("a")
    expect(row(other, "a")).to_contain_text("running")
    expect(row(one, "a")).to_have_count(0)
    set_visibility(one, "visible")
    expect(row(one, "a")).to_contain_text("running")
