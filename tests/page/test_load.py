"""A thousand workloads that change all the time leave the page quick."""

import pytest
from playwright.sync_api import expect

from .load import changing, fill
from .measure import measured
from .pages import detail, link, row, table
from .stack import Stack

WORKLOADS = 1000
EVENTS_PER_SECOND = 50
EVENTS_OF_A_WINDOW = 125
WINDOWS = 3
"""The quickest of so many windows, or openings of the page, counts: a collection of garbage may fall
into one of them."""

LONGEST_MS = 100
LONGEST_OPENING_MS = 300

HAS_EVENT = """index => {
  const latest = document.querySelector('#events .index');
  return latest && Number(latest.textContent) >= Number(index);
}"""
"""Return whether the page shows an event with this index, or a later one."""


@pytest.fixture
def busy(tmp_path):
    """Run a stack with many workloads; its store is in memory, so that they are there soon."""
    stack = Stack(tmp_path, store="memory")
    fill(stack, WORKLOADS)
    yield stack
    stack.close()


def test_no_task_of_the_page_takes_longer_than_a_tenth_of_a_second(busy, open_page):
    page = open_page(busy.url)
    for _ in range(WINDOWS):
        with measured(page) as opening:
            page.reload()
            expect(table(page).get_by_role("rowheader")).to_have_count(WORKLOADS)
            image = "registry.example/team/service:1.27"
            expect(row(page, "load-0999")).to_contain_text(image)
        if opening.longest < LONGEST_OPENING_MS:
            break
    ids = [f"load-{number:04}" for number in range(WORKLOADS)]
    windows = []
    with changing(busy, ids, EVENTS_PER_SECOND):
        while len(windows) < WINDOWS and min(windows, default=LONGEST_MS) >= LONGEST_MS:
            before = busy.request("GET", "/nodes")[1]["nodes"][0]["event_index"]
            with measured(page) as work:
                end = f"{before + EVENTS_OF_A_WINDOW}"
                page.wait_for_function(HAS_EVENT, arg=end)
            windows.append(work.longest)
    assert min(windows) < LONGEST_MS, windows
    assert opening.longest < LONGEST_OPENING_MS


def test_page_stays_usable_under_load(busy, open_page):
    page = open_page(busy.url)
    expect(table(page).get_by_role("rowheader")).to_have_count(WORKLOADS)
    ids = [f"load-{number:04}" for number in range(WORKLOADS)]
    with changing(busy, ids[1:], EVENTS_PER_SECOND):
        page.get_by_role("searchbox", name="Filter workloads").fill("id:load-0000")
        expect(table(page).get_by_role("rowheader")).to_have_count(1)
        link(page, "load-0000").click()
        expect(detail(page, "load-0000")).to_contain_text("running")
