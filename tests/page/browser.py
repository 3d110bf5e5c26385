"""Chromium that records everything that a page must not do."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tools import chromium

ARGUMENTS = ("--disable-gpu", "--disable-dev-shm-usage", "--font-render-hinting=none")

RECORD_VIOLATIONS = """
window.violations = [];
document.addEventListener('securitypolicyviolation', (event) => {
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
});
"""


VIOLATIONS = "() => new Promise((done) => setTimeout(() => done(window.violations)))"
"""Return what was recorded, after what has been reported so far: events come in their order."""


@contextmanager
def launched() -> Iterator[Browser]:
    """Run Chromium while the context is entered."""
    found = chromium.find()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found.program,
            env={**found.environment},
            chromium_sandbox=False,
            args=ARGUMENTS,
        )
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Tab:
    """A page of a browser, and the faults that it has reported so far.

    Attributes:
        has_scripts: Whether the page's scripts run.
        may_lose: Whether requests may fail: the browser itself reports each, because no page can
            catch it.
    """

    page: Page
    has_scripts: bool = True
    may_lose: bool = False
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._logged)
        self.page.on("pageerror", lambda error: self.faults.append(f"{error.name}: {error}"))

    def _logged(self, message: ConsoleMessage) -> None:
        url = message.location["url"]
        if "404" in message.text and "/workloads/" in url:
            return  # the browser reports it, and only the answer says that it was removed
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text} ({url})")

    def check(self) -> None:
        """Assert that no fault was recorded."""
        if self.has_scripts and not self.page.is_closed():
            self.faults += self.page.evaluate(VIOLATIONS)
        faults = self.faults
        if self.may_lose:
            faults = [fault for fault in faults if "Failed to load resource" not in fault]
        assert not faults, faults


def new_context(browser: Browser, **options: object) -> BrowserContext:
    """Return a new context, of an English reader in Berlin, that records violations of the CSP."""
    options = {"locale": "en-GB", "timezone_id": "Europe/Berlin", **options}
    context = browser.new_context(**options)
    context.add_init_script(RECORD_VIOLATIONS)
    return context
