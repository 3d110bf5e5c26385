"""Measure the longest tasks of a page's main thread.

If other tests run on the machine, the browser gets less CPU time, so frames are late however little
the page does. Chromium's trace has the CPU time of each task of the main thread (scripts, style,
layout and painting), which does not depend on the load of the machine.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Page

CATEGORY = "disabled-by-default-devtools.timeline"
MAIN_THREAD = "CrRendererMain"


@dataclass
class Work:
    """The processor time of each task of a page's main thread, in milliseconds."""

    tasks: list[float] = field(default_factory=list)

    @property
    def longest(self) -> float:
        return max(self.tasks)


@contextmanager
def measured(page: Page) -> Iterator[Work]:
    """Measure the work of a page while the context is entered."""
    work = Work()
    browser = page.context.browser
    browser.start_tracing(page=page, categories=[CATEGORY])
    yield work
    work.tasks = _main_tasks(json.loads(browser.stop_tracing())["traceEvents"])


def _main_tasks(events: list[dict[str, object]]) -> list[float]:
    main = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == MAIN_THREAD
    }
    return [
        event["tdur"] / 1000
        for event in events
        if event["name"] == "RunTask" and "tdur" in event and (event["pid"], event["tid"]) in main
    ]
