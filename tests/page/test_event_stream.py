"""Streams that end at a bad moment, and workloads that change while the page reads about them."""

import json

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from .pages import MAX_EVENTS, detail, events, expect_all_events, expect_names, link, row, tab
from .tabs import set_visibility

LATER = 1 << 50
"""An index that no event of a test has."""

FOREIGN_LIST = (
    {"type": "state", "id": "web", "index": LATER, "state": "failed", "reason": "Error"},
    {"type": "state", "id": "ghost", "index": LATER - 1, "state": "running"},
    {"type": "synced", "index": LATER},
)
"""The states of a store that another one has replaced."""


def begin_with(where: Page | BrowserContext, *lines: dict[str, object]) -> None:
    """Answer the first stream of events with lines of the test, after which it ends."""
    moment = "2026-11-26T14:00:00Z"
    body = "".join(json.dumps({"at": moment, **line}) + "\n" for line in lines)

    def answer(route: Route) -> None:
        route.fulfill(body=body, content_type="application/x-ndjson")

    where.route("**/events?*", answer, times=1)


@pytest.fixture
def blank_page(open_page):
    """Return a page on which routes can be set; its requests may fail."""
    return open_page("about:blank", may_lose=True)


def test_stream_that_ends_before_the_states_is_restarted(stack, blank_page):
    stack.submit("web")
    stack.await_state("web", "running")
    first = stack.events()[0]
    begin_with(blank_page, {"type": "desired", "id": "web", "index": first, "state": "pending"})
    blank_page.goto(stack.url)
    expect(row(blank_page, "web")).to_contain_text("running")
    expect_all_events(blank_page, stack)


def test_states_of_a_replaced_store_are_forgotten(stack, blank_page):
    page = blank_page
    stack.submit("web")
    stack.await_state("web", "running")
    begin_with(page, *FOREIGN_LIST)
    page.goto(stack.url)
    expect(row(page, "web")).to_contain_text("running")
    expect(row(page, "web")).to_contain_text("nginx:1.27")
    expect_names(page, "web")
    if len(stack.events()) < MAX_EVENTS:
        expect(events(page).get_by_text("earlier events are not kept")).to_have_count(1)
    stack.request("POST", "/workloads/web/stop")
    expect(row(page, "web")).to_contain_text("stopped")
    expect_all_events(page, stack)


def test_states_of_a_replaced_store_are_forgotten_even_if_the_new_one_has_their_index(
    own_stack, blank_page
):
    own_stack.submit("web")
    own_stack.await_state("web", "running")
    begin_with(
        blank_page,
        {"type": "state", "id": "ghost", "index": 1, "state": "running"},
        {"type": "synced", "index": 1, "store_id": "0" * 32},
    )
    blank_page.goto(own_stack.url)
    expect(row(blank_page, "web")).to_contain_text("running")
    expect_names(blank_page, "web")


def test_tab_that_returns_shows_a_gap_once(own_stack, open_context):
    context = open_context()
    begin_with(context, *FOREIGN_LIST)
    one, other = context.new_page(), context.new_page()
    for page in (one, other):
        page.goto(own_stack.url)
        expect(events(page).get_by_text("earlier events are not kept")).to_have_count(1)
    set_visibility(other, "hidden")
    own_stack.submit("web")
    expect(row(one, "web")).to_contain_text("running")
    set_visibility(other, "visible")
    expect(row(other, "web")).to_contain_text("running")
    for page in (one, other):
        expect(events(page).get_by_text("earlier events are not kept")).to_have_count(1)
        expect_all_events(page, own_stack)


def test_dropped_events_are_shown_as_a_gap_and_not_as_an_outage(stack, open_page):
    stack.submit("web")
    page = open_page(stack.url, may_lose=True)
    expect(row(page, "web")).to_contain_text("running")
    expect(page.get_by_role("status")).to_be_empty()
    set_visibility(page, "hidden")
    refusal = {"detail": "the next events are not kept"}
    page.route("**/events?after=*", lambda route: route.fulfill(status=410, json=refusal), times=1)
    set_visibility(page, "visible")
    expect(events(page).get_by_text("earlier events are not kept")).to_have_count(1)
    stack.submit("new")
    expect(row(page, "new")).to_contain_text("running")
    assert page.get_by_role("status").text_content() == ""  # it would show an outage for 5 s


def test_event_with_the_index_of_its_state_leaves_the_state_as_it_is(stack, blank_page):
    page = blank_page
    state = {"id": "web", "index": LATER, "state": "failed", "reason": "Error"}
    begin_with(
        page,
        {"type": "state", **state, "message": "the whole message"},
        {"type": "synced", "index": LATER - 1},
        {"type": "workload", **state, "message": "a shortened one"},
    )
    page.route("**/events?after=*", lambda route: route.abort())  # what is shown stays
    page.goto(stack.url)
    expect(events(page).filter(has_text="a shortened one")).to_have_count(1)
    expect(row(page, "web")).to_contain_text("the whole message")


def test_specification_that_arrives_after_its_workload_was_replaced_is_not_shown(stack, blank_page):
    page, held = blank_page, list[Route]()
    stack.submit("web", "nginx:1.27")
    _, old = stack.request("GET", "/workloads/web?spec")
    page.route("**/workloads/web?spec", lambda route: held.append(route), times=1)
    with page.expect_request("**/workloads/web?spec"):
        page.goto(stack.url)
    stack.request("DELETE", "/workloads/web?grace_seconds=0&wait=10")
    stack.submit("web", "redis:7")
    stack.await_state("web", "running")
    expect_all_events(page, stack)
    held[0].fulfill(json=old)
    expect(row(page, "web")).to_contain_text("redis:7")


def test_hidden_tab_learns_that_a_workload_was_replaced(stack, open_context):
    stack.submit("web", "nginx:1.27")
    context = open_context()
    one, other = context.new_page(), context.new_page()
    for page in (one, other):
        page.goto(stack.url)
        expect(row(page, "web")).to_contain_text("nginx:1.27")
    set_visibility(other, "hidden")
    stack.request("DELETE", "/workloads/web?grace_seconds=0&wait=10")
    stack.submit("web", "redis:7")
    expect(row(one, "web")).to_contain_text("redis:7")
    set_visibility(other, "visible")
    expect(row(other, "web")).to_contain_text("redis:7")
    expect_all_events(other, stack)


def test_tab_without_locks_that_was_briefly_hidden_relies_on_its_own_stream(stack, open_context):
    context = open_context()
    context.add_init_script("Object.defineProperty(navigator, 'locks', {value: undefined})")
    one, other = context.new_page(), context.new_page()
    stack.submit("a")
    for page in (one, other):
        page.goto(stack.url)
        expect(row(page, "a")).to_contain_text("running")
    set_visibility(one, "hidden")
    set_visibility(one, "visible")
    stack.submit("b")
    expect(row(one, "b")).to_contain_text("running")
    other.evaluate("""() => new BroadcastChannel('kakuri').postMessage(
      {known: {rows: new Map(), events: [], index: 0}, lines: [], link: {health: 'live'}})""")
    stack.submit("c")
    expect(row(one, "c")).to_contain_text("running")
    expect_names(one, "a", "b", "c")


def test_workload_selected_during_an_outage_is_shown_afterwards(own_stack, open_page):
    own_stack.submit("web")
    own_stack.await_state("web", "running")
    page = open_page(own_stack.url, may_lose=True)
    expect(row(page, "web")).to_contain_text("nginx:1.27")
    own_stack.plane.end()
    expect(page.get_by_text("not connected")).to_be_visible()
    link(page, "web").click()
    tab(page, "Spec").click()
    expect(detail(page, "web")).to_be_visible()
    own_stack.start_plane()
    expect(page.get_by_role("tabpanel", name="Spec")).to_contain_text("nginx:1.27")
