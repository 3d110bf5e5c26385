"""The browser of these tests reports faults of a page; otherwise, the other tests prove nothing."""

import pytest
from playwright.sync_api import Route

from .browser import Tab

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; img-src data:; "
    "require-trusted-types-for 'script'"
)


@pytest.fixture
def show(open_context):
    """Show a page with a script of its own."""

    def show_one(script: str) -> Tab:
        tab = Tab(open_context().new_page())

        def answer(route: Route) -> None:
            html = f"<!doctype html><title>page</title><link rel=icon href=data:,><script>{script}</script>"
            headers = {"Content-Security-Policy": POLICY}
            route.fulfill(body=html, content_type="text/html", headers=headers)

        tab.page.route("**/*", answer)
        tab.page.goto("http://127.0.0.1:9/")
        return tab

    return show_one


def test_page_without_fault_passes(show):
    show("document.title = 'done'").check()


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("console.error('broken')", "error: broken"),
        ("console.warn('old')", "warning: old"),
        ("throw new RangeError('too far')", "RangeError: too far"),
        ("document.head.innerHTML = '<b>x</b>'", "TrustedHTML"),
        ("fetch('/other').catch(() => {})", "Content Security Policy"),
        ("fetch('/other').catch(() => {})", "connect-src: http://127"),
    ],
)
def test_page_with_fault_raises_assertion_error(show, script, fault):
    tab = show(script)
    with pytest.raises(AssertionError, match=fault):
        tab.check()
