"""The pane about a workload, and its actions, each of which asks for confirmation."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from .pages import detail, events, link, row, tab


def ask(page: Page, workload_id: str, action: str):
    """Press the button of an action, and return the question."""
    detail(page, workload_id).get_by_role("button", name=action, exact=True).click()
    return page.get_by_role("dialog", name=f"{action} {workload_id}?")


def test_row_opens_the_pane_and_its_address_survives_a_reload(stack, open_page):
    stack.submit("web", labels={"team": "shop"})
    stack.await_state("web", "running")
    page = open_page(stack.url)
    link(page, "web").click()
    expect(detail(page, "web").get_by_role("heading", name="web")).to_be_visible()
    expect(row(page, "web")).to_have_attribute("aria-current", "true")
    tab(page, "Spec").click()
    expect(page).to_have_url(f"{stack.url}/#/web/spec")
    page.reload()
    panel = page.get_by_role("tabpanel", name="Spec")
    for text in ("nginx:1.27", "10.88.7.2", '"team": "shop"', '"memory_mb": 64'):
        expect(panel).to_contain_text(text)
    page.go_back()
    expect(page.get_by_role("tabpanel", name="Log")).to_be_visible()
    detail(page, "web").get_by_role("button", name="Close").click()
    expect(detail(page, "web")).to_be_hidden()
    expect(link(page, "web")).to_be_focused()


def test_history_and_timeline_show_the_steps(stack, open_page):
    stack.submit("batch", "ends:1", restart_policy="never")
    stack.await_state("batch", "failed")
    page = open_page(f"{stack.url}/#/batch/history")
    steps = page.get_by_role("tabpanel", name="History").get_by_role("row")
    expect(steps.nth(1)).to_contain_text("failedError3")
    expect(steps.last).to_contain_text("pending")
    timeline = page.get_by_role("list", name="Timeline of the latest run").get_by_role("listitem")
    expect(timeline).to_have_text(
        [re.compile("pending"), re.compile("running"), re.compile("Error")]
    )


def test_isolation_panel_compares_the_two_kernels(stack, open_page):
    stack.submit("web")
    stack.await_state("web", "running")
    page = open_page(f"{stack.url}/#/web/isolation")
    panel = page.get_by_role("tabpanel", name="Isolation")
    expect(panel).to_contain_text("The zone has a kernel of its own.")
    for text in ("edera", "6.16.2", "6.12.43", "sha256:5f5f"):
        expect(panel).to_contain_text(text)


def test_stop_start_restart_and_remove_ask_for_confirmation(stack, open_page):
    stack.submit("web")
    stack.await_state("web", "running")
    page = open_page(f"{stack.url}/#/web")
    question = ask(page, "web", "Stop")
    expect(question.get_by_text("kakuri stop web")).to_be_visible()
    question.get_by_role("spinbutton", name="Seconds before it is killed").fill("0")
    question.get_by_role("button", name="Stop").click()
    expect(row(page, "web")).to_contain_text("stopped")
    expect(page.get_by_role("status")).to_contain_text("Stop web: accepted")
    ask(page, "web", "Start").get_by_role("button", name="Start").click()
    expect(row(page, "web")).to_contain_text("running")
    ask(page, "web", "Restart").get_by_role("button", name="Restart").click()
    expect(events(page).get_by_text("restart requested")).to_be_visible()
    expect(row(page, "web")).to_contain_text("running")
    ask(page, "web", "Remove").get_by_role("button", name="Remove").click()
    expect(row(page, "web")).to_have_count(0)
    expect(detail(page, "web")).to_contain_text("removed")
    expect(page.get_by_text("end of the log")).to_be_visible()
    assert stack.request("GET", "/workloads/web")[0] == 404


@pytest.mark.parametrize("action", ["Stop", "Restart", "Remove"])
def test_cancelled_dialog_changes_nothing(stack, open_page, action):
    stack.submit("web")
    stack.await_state("web", "running")
    before = stack.request("GET", "/workloads/web?spec")[1]["version"]
    page = open_page(f"{stack.url}/#/web")
    question = ask(page, "web", action)
    question.get_by_role("button", name="Cancel").click()
    expect(question).to_be_hidden()
    ask(page, "web", action)
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    assert stack.request("GET", "/workloads/web?spec")[1]["version"] == before


def test_reopened_dialog_has_its_defaults_and_enter_in_its_field_does_not_close_it(
    stack, open_page
):
    stack.submit("web")
    stack.await_state("web", "running")
    page = open_page(f"{stack.url}/#/web")
    question = ask(page, "web", "Stop")
    seconds = page.get_by_role("spinbutton", name="Seconds before it is killed")
    seconds.fill("4000")
    question.get_by_role("button", name="Cancel").click()  # though the number is too large
    expect(question).to_be_hidden()
    question = ask(page, "web", "Remove")
    expect(seconds).to_have_value("10")
    seconds.fill("")
    question.get_by_role("button", name="Remove").click()
    expect(question).to_be_visible()
    seconds.fill("0")
    seconds.press("Enter")
    expect(question.get_by_role("button", name="Remove")).to_be_focused()
    expect(row(page, "web")).to_contain_text("running")
    page.keyboard.press("Enter")
    expect(row(page, "web")).to_have_count(0)


def test_pane_is_reloaded_only_after_a_change(stack, open_page):
    stack.submit("web")
    stack.await_state("web", "running")
    page, asked = open_page(stack.url), list[str]()
    expect(row(page, "web")).to_contain_text("nginx:1.27")
    page.on("request", lambda request: asked.append(request.url))
    link(page, "web").click()
    tab(page, "Spec").click()
    expect(page.get_by_role("tabpanel", name="Spec")).to_contain_text("nginx:1.27")
    page.wait_for_timeout(1500)
    assert sum(url.endswith("/history") for url in asked) == 1
    stack.request("POST", "/workloads/web/stop")
    with page.expect_request("**/history"):
        pass


def test_long_message_leaves_the_log_and_the_history_readable(stack, open_page):
    stack.set_message("web", "pull access denied, the repository does not exist " * 20)
    stack.submit("web", "fails:1", restart_policy="never")
    stack.await_state("web", "failed")
    page = open_page(f"{stack.url}/#/web", viewport={"width": 1280, "height": 600})
    expect(detail(page, "web")).to_contain_text("pull access denied")
    log = page.get_by_role("log")
    log.scroll_into_view_if_needed()
    expect(log).to_be_in_viewport(ratio=0.9)
    tab(page, "History").click()
    expect(page.locator("#history time").first).to_be_visible()
    # In the page itself, because a change replaces the element at any time.
    height = page.evaluate("document.querySelector('#history time').getBoundingClientRect().height")
    assert 0 < height < 30  # in one line


def test_refused_action_shows_the_reason(stack, open_page):
    stack.submit("web")
    stack.await_state("web", "running")
    page = open_page(f"{stack.url}/#/web", may_lose=True)
    question = ask(page, "web", "Stop")
    stack.request("DELETE", "/workloads/web?grace_seconds=0&wait=10")
    question.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status")).to_contain_text("Stop web failed: no workload 'web'")


def test_only_actions_that_the_state_allows_are_offered(stack, open_page):
    stack.submit("seed", "job:1", restart_policy="never")
    stack.await_state("seed", "succeeded")
    page = open_page(f"{stack.url}/#/seed")
    actions = detail(page, "seed").get_by_role("button")
    expect(actions.filter(visible=True).nth(0)).to_have_text("Start")
    expect(actions.filter(visible=True).nth(1)).to_have_text("Remove")


def test_missing_workload_is_reported_as_unknown(stack, open_page):
    page = open_page(f"{stack.url}/#/nothing", may_lose=True)
    expect(detail(page, "nothing")).to_contain_text("unknown")
    expect(detail(page, "nothing")).to_contain_text("no workload 'nothing'")


def test_refused_read_is_shown_and_not_retried(stack, open_page):
    stack.submit("web")
    stack.await_state("web", "running")
    page, asked = open_page(stack.url, may_lose=True), list[str]()

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=403, json={"detail": "not for you"})

    expect(row(page, "web")).to_contain_text("nginx:1.27")
    page.clock.install()
    page.route("**/workloads/web?spec", refuse)
    link(page, "web").click()
    expect(detail(page, "web")).to_contain_text("not for you")
    page.clock.run_for(10_000)
    expect(detail(page, "web")).to_contain_text("not for you")
    assert len(asked) == 1


def test_removed_workload_can_still_be_read(stack, open_page):
    stack.submit("batch", "ends:1", restart_policy="never")
    stack.await_state("batch", "failed")
    stack.request("DELETE", "/workloads/batch?grace_seconds=0&wait=10")
    page = open_page(f"{stack.url}/#/batch/history", may_lose=True)
    expect(detail(page, "batch")).to_contain_text("removed")
    expect(page.get_by_role("tabpanel", name="History")).to_contain_text("Error")
