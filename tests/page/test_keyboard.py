"""Everything can be done without a pointer, and live changes leave the focus where it is."""

from playwright.sync_api import Page, expect

from .pages import detail, expect_names, link, row, tab

MAX_STOPS = 80


def stops(page: Page) -> list[str]:
    """Return what the Tab key reaches in one round, as role and name."""
    found = []
    for _ in range(MAX_STOPS):
        page.keyboard.press("Tab")
        name = page.evaluate("""() => {
          const at = document.activeElement;
          if (at === document.body) return '';
          const name = at.ariaLabel || at.labels?.[0]?.innerText || at.textContent;
          return `${at.role || at.localName} ${name.trim().slice(0, 40)}`;
        }""")
        if not name:
            return found
        found.append(name)
    raise AssertionError(found)


def open_running_workload(stack, open_page) -> Page:
    """Return the page with the pane of the workload `a`, which runs."""
    stack.submit("a")
    stack.await_state("a", "running")
    return open_page(f"{stack.url}/#/a")


def test_workload_is_opened_and_closed_with_the_keyboard(stack, open_page):
    for workload_id in ("a", "b", "c"):
        stack.submit(workload_id)
    page = open_page(stack.url)
    expect_names(page, "a", "b", "c")
    page.keyboard.press("j")
    expect(detail(page, "a")).to_be_visible()
    expect(link(page, "a")).to_be_focused()
    page.keyboard.press("j")
    expect(detail(page, "b")).to_be_visible()
    page.keyboard.press("k")
    expect(detail(page, "a")).to_be_visible()
    page.keyboard.press("Escape")
    expect(detail(page, "a")).to_be_hidden()
    expect(link(page, "a")).to_be_focused()
    page.keyboard.press("Enter")
    expect(detail(page, "a")).to_be_visible()


def test_filter_is_focused_and_cleared_with_the_keyboard(stack, open_page):
    for workload_id in ("a", "b"):
        stack.submit(workload_id)
    page = open_page(stack.url)
    expect_names(page, "a", "b")
    page.keyboard.press("/")
    page.keyboard.type("id:b")
    expect_names(page, "b")
    page.keyboard.press("Escape")
    expect_names(page, "a", "b")
    expect(link(page, "a")).to_be_focused()


def test_question_mark_opens_the_help_about_keys(stack, open_page):
    page = open_page(stack.url)
    page.keyboard.press("?")
    help_text = page.get_by_role("dialog", name="Keys and filters")
    expect(help_text).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    expect(help_text).to_be_hidden()


def test_tab_key_reaches_every_control(own_stack, open_page):
    for workload_id in ("a", "b"):
        own_stack.submit(workload_id)
        own_stack.await_state(workload_id, "running")
    own_stack.write_log("a", b"hello")
    page = open_page(f"{own_stack.url}/#/a")
    expect(page.get_by_role("log")).to_contain_text("hello")
    expect_names(page, "a", "b")
    expect(page.get_by_role("button", name="2 running")).to_be_visible()
    expect(detail(page, "a").get_by_role("button", name="Stop")).to_be_visible()
    found = stops(page)
    controls = page.locator("a[href]:visible, button:visible, input:visible").all()
    named = {
        each.evaluate("at => (at.ariaLabel || at.labels?.[0]?.innerText || at.textContent).trim()")
        for each in controls
    }
    reached = {name.partition(" ")[2] for name in found}
    # Arrow keys move between tabs; j and k move between workloads. Events also have links to "b".
    assert named - reached == {"Spec", "History", "Isolation"}
    assert found.index("log Log of a") < found.index("a b")
    assert "log Log of a" in found  # to scroll it


def test_arrow_keys_move_between_tabs(stack, open_page):
    stack.submit("a")
    page = open_page(f"{stack.url}/#/a")
    tab(page, "Log").focus()
    for key, name in (
        ("ArrowRight", "Spec"), ("End", "Isolation"), ("ArrowRight", "Log"),
        ("ArrowLeft", "Isolation"), ("Home", "Log"),
    ):  # fmt: skip
        page.keyboard.press(key)
        expect(tab(page, name)).to_be_focused()
        expect(tab(page, name)).to_have_attribute("aria-selected", "true")
        expect(page.get_by_role("tabpanel", name=name)).to_be_visible()


def test_dialog_closed_with_escape_returns_the_focus_to_its_button(stack, open_page):
    page = open_running_workload(stack, open_page)
    stop = detail(page, "a").get_by_role("button", name="Stop")
    stop.press("Enter")
    expect(page.get_by_role("dialog", name="Stop a?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(stop).to_be_focused()


def test_dialog_answered_with_the_keyboard_stops_the_workload(stack, open_page):
    page = open_running_workload(stack, open_page)
    detail(page, "a").get_by_role("button", name="Stop").press("Enter")
    expect(page.get_by_role("spinbutton", name="Seconds before it is killed")).to_be_focused()
    page.keyboard.type("0")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(row(page, "a")).to_contain_text("stopped")
    assert page.evaluate("document.activeElement !== document.body")


def test_focus_stays_in_the_pane_when_the_button_that_opened_a_dialog_is_hidden(stack, open_page):
    page = open_running_workload(stack, open_page)
    remove = detail(page, "a").get_by_role("button", name="Remove")
    remove.click()
    expect(page.get_by_role("dialog", name="Remove a?")).to_be_visible()
    stack.request("DELETE", "/workloads/a?grace_seconds=0&wait=10")
    expect(page.locator("#do-rm")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(detail(page, "a").get_by_role("button", name="Close")).to_be_focused()


def test_focus_survives_changes_of_every_row_and_of_the_order(stack, open_page):
    for workload_id in ("a", "b", "c"):
        stack.submit(workload_id)
    page = open_page(stack.url)
    expect_names(page, "a", "b", "c")
    link(page, "a").focus()
    stack.submit("d", "fails:1", restart_policy="never")
    expect_names(page, "d", "a", "b", "c")
    stack.request("POST", "/workloads/a/stop")
    expect(row(page, "a")).to_contain_text("stopped")
    expect_names(page, "d", "b", "c", "a")
    expect(link(page, "a")).to_be_focused()
    page.get_by_role("searchbox", name="Filter workloads").focus()
    page.keyboard.type("id")
    stack.request("DELETE", "/workloads/a?grace_seconds=0")
    expect(row(page, "a")).to_have_count(0)
    page.keyboard.type(":b")
    expect(page.get_by_role("searchbox", name="Filter workloads")).to_have_value("id:b")
