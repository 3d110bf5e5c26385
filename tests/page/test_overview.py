"""The table of workloads, the overview above it, the events below it, and the node."""

import pytest
from playwright.sync_api import expect

from tests.e2e.processes import curl

from .pages import MAX_EVENTS, events, expect_all_events, expect_names, row
from .stack import Stack


def test_page_of_an_idle_node_shows_how_to_start_a_workload(stack, open_page):
    page = open_page(stack.url)
    expect(page.get_by_text("No workloads on this node. Start one: kakuri run")).to_be_visible()
    expect(page.get_by_role("table", name="Workloads 0")).to_be_visible()
    expect(page.get_by_text("live", exact=True)).to_be_visible()


def test_workloads_in_every_state_show_state_and_reason(stack, open_page):
    stack.submit("web")
    stack.submit("mail", "slow:1")
    stack.submit("seed", "job:1", restart_policy="never")
    stack.submit("batch", "ends:1", restart_policy="never")
    stack.set_message("reports", "no such image")
    stack.submit("reports", "fails:1", restart_policy="never")
    stack.submit("sync", "ends:1", restart_policy="always")
    stack.await_reason("sync", "BackOff")
    page = open_page(stack.url)
    for workload_id, *texts in (
        ("web", "running", "nginx:1.27"),
        ("mail", "pending", "Pulling", "slow:1"),
        ("seed", "succeeded", "exit 0"),
        ("batch", "failed", "Error · exit 3"),
        ("reports", "failed", "ImagePullFailed · no such image"),
        ("sync", "back-off", "BackOff", "exit 3"),
    ):
        for text in texts:
            expect(row(page, workload_id)).to_contain_text(text)
    counts = page.get_by_role("region", name="Overview").get_by_role("button")
    expect(counts).to_have_text(
        ["2failed", "1back-off", "1pending", "1running", "0stopped", "1succeeded"]
    )
    expect(page).to_have_title("(2 failed) Kakuri")
    expect_names(page, "batch", "reports", "sync", "mail", "web", "seed")  # the worst first


def test_changes_appear_without_reloading(stack, open_page):
    page = open_page(stack.url)
    stack.submit("web")
    expect(row(page, "web")).to_contain_text("running")
    expect(row(page, "web")).to_contain_text("nginx:1.27")
    stack.request("POST", "/workloads/web/stop")
    expect(row(page, "web")).to_contain_text("stopped")
    stack.request("DELETE", "/workloads/web?grace_seconds=0")
    expect(row(page, "web")).to_have_count(0)
    expect(events(page).first).to_contain_text("removed")


@pytest.mark.parametrize(("action", "word"), [("stop", "stopping"), ("restart", "restarting")])
def test_workload_whose_stop_fails_stays_stopping(stack, open_page, action, word):
    stack.submit("web")
    stack.await_state("web", "running")
    (stack.logs / "web.stop-error").write_text("StopContainer: timeout")
    page = open_page(stack.url)
    expect(row(page, "web")).to_contain_text("running")
    stack.request("POST", f"/workloads/web/{action}")
    for text in ("StopFailed · StopContainer: timeout", word):
        expect(row(page, "web")).to_contain_text(text)


def test_headers_sort_and_show_the_order(stack, open_page):
    for workload_id, image in (("b", "x"), ("a", "z"), ("c", "y")):
        stack.submit(workload_id, image)
    page = open_page(stack.url)
    expect_names(page, "a", "b", "c")
    header = page.get_by_role("columnheader", name="Image")
    header.get_by_role("button").click()
    expect_names(page, "b", "c", "a")
    expect(header).to_have_attribute("aria-sort", "ascending")
    header.get_by_role("button").click()
    expect_names(page, "a", "c", "b")
    expect(header).to_have_attribute("aria-sort", "descending")
    expect(page.locator("[aria-sort]")).to_have_count(1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("label:team=a", ["api"]),
        ("label:team", ["api", "db"]),
        ("-label:team", ["web"]),
        ("state:running image:nginx", ["api", "web"]),
        ("state:running -image:nginx", ["db"]),
        ("id:w", ["web"]),
        ("postgres", ["db"]),
        ('"nothing like it"', []),
    ],
)
def test_filter_shows_what_matches_all_its_conditions(stack, open_page, text, expected):
    stack.submit("web")
    stack.submit("api", labels={"team": "a"})
    stack.submit("db", "postgres:16", labels={"team": "b"})
    page = open_page(stack.url)
    expect(row(page, "db")).to_contain_text("postgres:16")
    page.get_by_role("searchbox", name="Filter workloads").fill(text)
    expect_names(page, *expected)
    expect(page.get_by_role("table", name=f"Workloads {len(expected)} of 3")).to_be_visible()


def test_count_of_a_state_is_a_button_that_filters(stack, open_page):
    stack.submit("web")
    stack.submit("batch", "ends:1", restart_policy="never")
    page = open_page(stack.url)
    expect_names(page, "batch", "web")
    page.get_by_role("button", name="1 failed").click()
    expect_names(page, "batch")
    expect(page.get_by_role("searchbox", name="Filter workloads")).to_have_value("state:failed")


def test_events_are_listed_newest_first_with_their_index(stack, open_page):
    page = open_page(stack.url)
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    stack.submit("web")
    stack.request("DELETE", "/workloads/web?grace_seconds=0&wait=10")
    expect_all_events(page, stack)
    expect(events(page).first).to_contain_text("removed")


def test_events_from_before_the_page_was_opened_are_listed_and_not_announced(stack, open_page):
    stack.submit("old", "fails:1", restart_policy="never")
    stack.await_state("old", "failed")
    stack.request("DELETE", "/workloads/old?grace_seconds=0&wait=10")
    page = open_page(stack.url)
    expect(events(page).get_by_text("removal requested").first).to_be_visible()
    expect_all_events(page, stack)
    expect_names(page)
    stack.submit("new", "fails:1", restart_policy="never")
    expect(page.get_by_role("status")).to_have_text("new failed: ImagePullFailed")


def test_page_lists_two_hundred_events(own_stack, open_page):
    own_stack.submit("web")
    for _ in range(60):
        own_stack.request("POST", "/workloads/web/stop")
        own_stack.await_reason("web", "Stopped")
        own_stack.request("POST", "/workloads/web/start")
        own_stack.await_state("web", "running")
    page = open_page(own_stack.url)
    expect(events(page)).to_have_count(MAX_EVENTS)
    own_stack.request("DELETE", "/workloads/web?grace_seconds=0&wait=10")
    expect(row(page, "web")).to_have_count(0)
    expect(events(page)).to_have_count(MAX_EVENTS)
    expect_all_events(page, own_stack)


def test_node_shows_its_name_and_room(tmp_path, open_page):
    options = {"memory-mb": "2048", "cpu-millicores": "4000"}
    stack = Stack(tmp_path, **options)
    try:
        stack.submit("web", memory_mb=512, cpu_millicores=1500)
        page = open_page(stack.url)
        expect(page.get_by_role("banner")).to_contain_text("node1 · ready · cri")
        expect(page.get_by_role("meter", name="Memory 512 MiB of 2 GiB")).to_be_visible()
        expect(page.get_by_role("meter", name="CPU 1.5 of 4 cores")).to_be_visible()
        expect(page.get_by_text("nothing really runs")).to_be_hidden()
        page.close()
    finally:
        stack.close()


def test_simulated_node_shows_that_nothing_really_runs(tmp_path, open_page):
    stack = Stack(tmp_path, is_simulated=True)
    try:
        page = open_page(stack.url)
        expect(page.get_by_text("Simulated: nothing really runs on this node.")).to_be_visible()
        page.close()
    finally:
        stack.close()


def test_page_always_shows_what_is_not_promised(stack, open_page):
    page = open_page(stack.url)
    limits = page.get_by_role("region", name="Not promised")
    expect(limits).to_be_visible()
    expect(limits.get_by_text("There are no passwords.")).to_be_visible()


def test_page_without_scripts_shows_the_commands(stack, open_page):
    page = open_page(stack.url, java_script_enabled=False)
    message = page.locator("noscript .notice")  # playwright finds no text in a noscript element
    expect(message).to_be_visible()
    expect(message).to_contain_text("This page needs JavaScript.")
    expect(message).to_contain_text("curl -N http://127.0.0.1:8080/events")


def test_page_is_sent_to_browsers_and_json_to_programs(stack):
    assert curl(f"{stack.url}/").headers["content-type"] == "application/json"
    html = curl(f"{stack.url}/", "-H", "Accept: text/html")
    assert html.headers["content-type"] == "text/html; charset=utf-8"
