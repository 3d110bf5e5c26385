"""Locators for the parts of the page, by role and name, as a screen reader finds them."""

from playwright.sync_api import Locator, Page, expect

from .stack import Stack

MAX_EVENTS = 200
"""Number of events that the page shows."""


def table(page: Page) -> Locator:
    return page.get_by_role("table", name="Workloads")


def row(page: Page, workload_id: str) -> Locator:
    """Return the row of a workload."""
    header = page.get_by_role("rowheader", name=workload_id, exact=True)
    return table(page).get_by_role("row").filter(has=header)


def link(page: Page, workload_id: str) -> Locator:
    """Return what opens a workload."""
    return row(page, workload_id).get_by_role("link")


def expect_names(page: Page, *expected: str) -> None:
    """Wait until the rows are those of these workloads, in this order."""
    expect(table(page).get_by_role("rowheader")).to_have_text(list(expected))


def events(page: Page) -> Locator:
    return page.get_by_role("list", name="Events").get_by_role("listitem")


def indexes(page: Page) -> list[int]:
    """Return the indexes of the events, the oldest first."""
    shown = page.get_by_role("list", name="Events").locator(".index").all_text_contents()
    return [int(text) for text in reversed(shown) if text]


def expect_all_events(page: Page, stack: Stack) -> None:
    """Wait until the latest event is shown; every one must be there once."""
    expected = stack.events()
    expect(events(page).first.locator(".index")).to_have_text(f"{expected[-1]}")
    assert indexes(page) == expected[-MAX_EVENTS:]


def detail(page: Page, workload_id: str) -> Locator:
    """Return the pane about a workload."""
    return page.get_by_role("region", name=f"Workload {workload_id}", exact=True)


def tab(page: Page, name: str) -> Locator:
    return page.get_by_role("tab", name=name)


def log_of(page: Page, workload_id: str) -> Locator:
    return page.get_by_role("log", name=f"Log of {workload_id}")


def lines(log: Locator) -> Locator:
    """Return the texts of a log's lines."""
    return log.locator(".line .text")
