"""Tabs of one browser share a stream of events, and a hidden tab has none."""

import json
import time

import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from tests.e2e.processes import DEADLINE

from .browser import Tab
from .pages import events, expect_all_events, expect_names, log_of, row
from .tabs import set_visibility

RECORD = """() => {
  window.heard = [];
  window.channel = new BroadcastChannel('kakuri');
  window.channel.onmessage = ({ data }) => window.heard.push(data);
}"""
"""Record what tabs send each other from now on."""

HEARD_END = "() => window.heard.some(({ kind }) => kind === 'end')"


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


def test_remaining_tab_takes_over_the_stream(stack, streams, open_shared):
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


def test_visible_tab_opens_its_own_stream_while_the_other_is_hidden(stack, open_shared):
    one, other = open_shared().page, open_shared().page
    expect(other.get_by_text("live", exact=True)).to_be_visible()
    set_visibility(one, "hidden")
    stack.submit("a")
    expect(row(other, "a")).to_contain_text("running")
    expect(row(one, "a")).to_have_count(0)
    set_visibility(one, "visible")
    expect(row(one, "a")).to_contain_text("running")


def test_tab_that_is_opened_in_the_background_requests_no_log_until_it_is_shown(stack, context):
    stack.submit("a")
    stack.await_state("a", "running")
    stack.write_log("a", b"hello")
    page, asked = context.new_page(), list[str]()
    page.add_init_script(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true})"
    )
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{stack.url}/#/a")
    expect(page.get_by_role("heading", name="a", exact=True)).to_be_visible()
    assert [url for url in asked if "/log?" in url or "/events" in url] == []
    set_visibility(page, "visible")
    expect(log_of(page, "a")).to_contain_text("hello")


@pytest.fixture
def listener(context, stack) -> Page:
    """Return a tab without the page's scripts that records what the others send."""
    tab = context.new_page()
    tab.goto(f"{stack.url}/ui/icon.svg")
    tab.evaluate(RECORD)
    return tab


def wait_for_messages(sender: Page, listener: Page) -> None:
    """Wait until the listener has received all messages that the sender has sent so far."""
    sender.evaluate("() => new BroadcastChannel('kakuri').postMessage({ kind: 'end' })")
    listener.wait_for_function(HEARD_END)


def test_leader_without_an_index_does_not_answer_hello(stack, context, listener):
    page, held = context.new_page(), list[Route]()
    lines = ({"type": "synced", "index": 1 << 50}, {"type": "gap"})
    body = "".join(json.dumps({"at": "2026-11-26T14:00:00Z", **line}) + "\n" for line in lines)
    context.route("**/events?*", lambda route: held.append(route))
    context.route("**/events?*", lambda route: route.fulfill(body=body), times=1)
    page.goto(stack.url)
    expect(events(page).get_by_text("earlier events are not kept")).to_have_count(1)
    page.evaluate(RECORD)
    listener.evaluate("() => window.channel.postMessage({ kind: 'hello', from: 'listener' })")
    page.wait_for_function("() => window.heard.some(({ from }) => from === 'listener')")
    wait_for_messages(page, listener)
    assert listener.evaluate("() => window.heard.filter(({ to }) => to === 'listener')") == []


def test_tab_that_missed_events_asks_a_leader_once(stack, listener, open_shared):
    listener.evaluate("() => { navigator.locks.request('kakuri', () => new Promise(() => {})) }")
    page = open_shared().page
    listener.wait_for_function("() => window.heard.length === 1")  # the tab's hello
    listener.evaluate("""() => {
      const link = { health: 'live', heard: Date.now() };
      const batch = { from: 'leader', link, before: 5, lines: [] };
      for (const _ of [1, 2, 3]) window.channel.postMessage(batch);
    }""")
    page.evaluate(RECORD)
    listener.evaluate("() => window.channel.postMessage({ kind: 'last' })")
    page.wait_for_function("() => window.heard.some(({ kind }) => kind === 'last')")
    wait_for_messages(page, listener)
    kinds = listener.evaluate("() => window.heard.map(({ kind }) => kind)")
    assert kinds == ["hello", "hello", "end"]
