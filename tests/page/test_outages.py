"""The control plane or the agent is killed: the page shows since when, and no event is lost or doubled."""

import re
import signal

import pytest
from playwright.sync_api import Page, expect

from .pages import events, expect_all_events, expect_names, lines, link, log_of, row

LAST_HEARD = re.compile(r"Last heard at \d\d:\d\d:\d\d")


def expect_live(page: Page) -> None:
    expect(page.get_by_text("live", exact=True)).to_be_visible()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_restart_of_the_control_plane_loses_and_repeats_no_event(own_stack, open_page, number):
    own_stack.submit("web")
    own_stack.await_state("web", "running")
    page = open_page(own_stack.url, may_lose=True)
    expect_names(page, "web")
    expect_live(page)
    own_stack.submit("before")
    expect(row(page, "before")).to_contain_text("running")
    own_stack.plane.end(number)
    expect(page.get_by_text(LAST_HEARD)).to_be_visible()
    expect(page.get_by_text("not connected")).to_be_visible()
    expect_names(page, "before", "web")  # what was last known stays, and is not an empty table
    own_stack.start_plane()
    own_stack.submit("missed")
    own_stack.request("DELETE", "/workloads/before?grace_seconds=0&wait=10")
    expect_names(page, "missed", "web")
    expect_live(page)
    expect(page.get_by_text(LAST_HEARD)).to_be_hidden()
    own_stack.submit("after")
    expect(row(page, "after")).to_contain_text("running")
    expect_all_events(page, own_stack)


def test_killed_agent_is_reported_and_its_events_continue(own_stack, open_page):
    page = open_page(own_stack.url, may_lose=True)
    expect_live(page)
    own_stack.submit("web")
    expect(row(page, "web")).to_contain_text("running")
    own_stack.agent.end(signal.SIGKILL)
    expect(page.get_by_text("Node node1 is unavailable")).to_be_visible()
    expect_names(page, "web")
    own_stack.start_agent()
    own_stack.submit("after")
    expect(row(page, "after")).to_contain_text("running")
    expect(page.get_by_text("Node node1 is unavailable")).to_be_hidden()
    expect(events(page).filter(has_text="the agent")).to_have_count(2)
    expect_all_events(page, own_stack)


def test_page_opened_while_the_agent_is_unreachable_does_not_look_empty(own_stack, open_page):
    own_stack.submit("web")
    own_stack.agent.end()
    page = open_page(own_stack.url, may_lose=True)
    expect(page.get_by_text(re.compile("agent"))).to_be_visible()
    expect(page.get_by_text("No workloads on this node")).to_be_hidden()
    own_stack.start_agent()
    expect(row(page, "web")).to_be_visible()


def test_log_continues_without_a_lost_or_repeated_line(own_stack, open_page):
    own_stack.submit("web")
    own_stack.await_state("web", "running")
    own_stack.write_log("web", b"one", b"two")
    page = open_page(f"{own_stack.url}/#/web", may_lose=True)
    log = log_of(page, "web")
    expect(lines(log)).to_have_text(["one", "two"])
    own_stack.plane.end(signal.SIGKILL)
    expect(page.get_by_text("the log was cut off")).to_be_visible()
    own_stack.write_log("web", b"three")
    own_stack.start_plane()
    expect(lines(log)).to_have_text(["one", "two", "three"])
    own_stack.write_log("web", b"four")
    expect(lines(log)).to_have_text(["one", "two", "three", "four"])


def test_button_reconnects_at_once(own_stack, open_page):
    own_stack.submit("web")
    page = open_page(own_stack.url, may_lose=True)
    expect_names(page, "web")
    own_stack.plane.end()
    retry = page.get_by_role("button", name="Try now")
    expect(retry).to_be_visible()
    own_stack.start_plane()
    retry.evaluate("button => button.click()")  # even if it is hidden by an attempt under way
    expect_live(page)


def test_action_while_the_api_is_unreachable_reports_its_failure(own_stack, open_page):
    own_stack.submit("web")
    own_stack.await_state("web", "running")
    page = open_page(own_stack.url, may_lose=True)
    link(page, "web").click()
    own_stack.plane.end()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status")).to_contain_text(
        "Stop web failed: the control plane does not answer"
    )
