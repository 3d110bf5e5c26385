"""Tabs of one browser: whether they are visible."""

from typing import Literal

from playwright.sync_api import Page

SET_VISIBILITY = """(state) => {
  Object.defineProperty(document, 'visibilityState', {value: state, configurable: true});
  Object.defineProperty(document, 'hidden', {value: state === 'hidden', configurable: true});
  document.dispatchEvent(new Event('visibilitychange'));
}"""


def set_visibility(page: Page, state: Literal["hidden", "visible"]) -> None:
    """Hide or show a tab, as far as its scripts can tell."""
    page.evaluate(SET_VISIBILITY, state)
