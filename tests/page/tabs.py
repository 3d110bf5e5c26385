"""Tabs of one browser: whether they are visible."""

from typing import Literal

from playwright.sync_api import Page

SET_VISIBILITY = """(state) => {
  Object.defineProperty(document, 'visibilityState', {value: state, configurable: true});
  Object.defineProperty(document, 'hidden', {value: state === 'hidden', configurable: true});
  document.dispatchEvent(new Event('visibilitychange'));
}"""


def set_visibility(page: Page, state: Literal["hidden", "visible"]) -> None:
    """Make a tab's scripts see it as hidden or visible."""
    page.evaluate(SET_VISIBILITY, state)
