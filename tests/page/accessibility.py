"""Checks by axe-core, which finds missing names, wrong roles and low contrast."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

AXE = Axe()
OPTIONS = {"resultTypes": ["violations"]}


def check(page: Page) -> None:
    """Assert that axe finds nothing wrong with the page as it is now, including best practices."""
    results = AXE.run(page, options=OPTIONS)
    assert results.violations_count == 0, results.generate_report()
