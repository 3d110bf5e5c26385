"""The log of a workload: following, pausing, searching, attempts, streams, and the file."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from .pages import lines, log_of
from .stack import Stack


def open_log(page: Page, stack: Stack, workload_id: str = "web") -> Locator:
    """Open the log of a workload and return it."""
    page.goto(f"{stack.url}/#/{workload_id}")
    return log_of(page, workload_id)


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("tabpanel", name="Log").get_by_role("button", name=name, exact=True)


def numbered(first: int, last: int) -> list[bytes]:
    return [b"line %04d" % number for number in range(first, last + 1)]


def expect_end(log: Locator) -> None:
    """Wait until the end of a log is in view: its height is measured while it is drawn."""
    log.page.wait_for_function(
        "box => box.scrollHeight - box.scrollTop - box.clientHeight < 8", arg=log.element_handle()
    )


def first_visible(log: Locator) -> str:
    """Return the text of the first line in view, and how far below the top, once it stays there."""
    return log.evaluate("""async box => {
      const frame = () => new Promise(requestAnimationFrame);
      for (let last; last !== box.scrollTop; await frame()) last = box.scrollTop;
      const top = box.getBoundingClientRect().top;
      for (const line of box.querySelectorAll('.line')) {
        const place = line.getBoundingClientRect().top - top;
        if (place >= 0) return `${line.textContent} at ${Math.round(place)}`;
      }
    }""")


@pytest.fixture
def web(stack) -> Stack:
    """Run a workload named web."""
    stack.forget_log("web")
    stack.submit("web")
    stack.await_state("web", "running")
    return stack


def test_lines_appear_as_they_are_written(web, open_page):
    web.write_log("web", b"first")
    page = open_page(web.url)
    log = open_log(page, web)
    expect(lines(log)).to_have_text(["first"])
    expect(button(page, "Follow")).to_have_attribute("aria-pressed", "true")
    web.write_log("web", b"second", b"third")
    expect(lines(log)).to_have_text(["first", "second", "third"])
    web.write_log("web", *numbered(1, 300))
    expect(lines(log).last).to_have_text("line 0300")
    expect(lines(log).last).to_be_in_viewport()
    expect(page.get_by_text("303 lines")).to_be_visible()


def test_errors_are_marked_by_more_than_colour_and_lines_have_times(web, open_page):
    web.write_log("web", b"good")
    web.write_log("web", b"bad", stream="stderr")
    log = open_log(open_page(web.url), web)
    entries = log.locator(".line")
    expect(entries).to_have_text(["15:00:00.000 good", "15:00:01.000 errbad"])
    expect(entries.nth(0).locator("time")).to_have_attribute(
        "datetime", "2026-11-26T14:00:00.000000000Z"
    )
    copied = log.evaluate("box => (getSelection().selectAllChildren(box), `${getSelection()}`)")
    assert copied.splitlines() == ["15:00:00.000 good", "15:00:01.000 bad"]


def test_scrolling_up_pauses_keeps_the_place_and_counts_new_lines(web, open_page):
    web.write_log("web", *numbered(1, 500))
    page = open_page(web.url)
    log = open_log(page, web)
    expect(lines(log).last).to_have_text("line 0500")
    log.hover()
    page.mouse.wheel(0, -2000)
    expect(button(page, "Follow")).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_text("paused")).to_be_visible()
    place = first_visible(log)
    web.write_log("web", *numbered(501, 530))
    news = button(page, "↓ 30 new lines")
    expect(news).to_be_visible()
    web.write_log("web", *numbered(531, 540))
    expect(button(page, "↓ 40 new lines")).to_be_visible()
    assert first_visible(log) == place
    button(page, "↓ 40 new lines").click()
    expect(lines(log).last).to_have_text("line 0540")
    expect(lines(log).last).to_be_in_viewport()
    expect(log).to_be_focused()
    expect(button(page, "Follow")).to_have_attribute("aria-pressed", "true")
    web.write_log("web", b"and one more")
    expect(lines(log).last).to_have_text("and one more")
    expect(lines(log).last).to_be_in_viewport()


def test_button_pauses_and_follows_again(web, open_page):
    web.write_log("web", *numbered(1, 5))
    page = open_page(web.url)
    log = open_log(page, web)
    expect(lines(log)).to_have_count(5)
    button(page, "Follow").click()
    web.write_log("web", b"later")
    expect(button(page, "↓ 1 new line")).to_be_visible()
    expect(lines(log)).to_have_count(5)
    button(page, "Follow").click()
    expect(lines(log).last).to_have_text("later")


def test_search_counts_marks_and_steps_through_matches(web, open_page):
    web.write_log("web", *numbered(1, 400), b"needle.1", *numbered(401, 800), b"NEEDLE+2")
    page = open_page(web.url)
    log = open_log(page, web)
    expect(lines(log)).to_have_count(802)
    search = page.get_by_role("searchbox", name="Search the log")
    search.fill("needle")
    expect(page.get_by_text("2 matches", exact=True)).to_be_visible()
    assert page.evaluate("CSS.highlights.get('match').size") == 2
    search.press("Enter")
    expect(page.get_by_text("1 of 2 matches")).to_be_visible()
    expect(lines(log).get_by_text("needle.1")).to_be_in_viewport()
    search.press("Enter")
    expect(lines(log).get_by_text("NEEDLE+2")).to_be_in_viewport()
    search.press("Shift+Enter")
    expect(page.get_by_text("1 of 2 matches")).to_be_visible()
    search.fill("needle.1")  # a full stop is one
    expect(page.get_by_text("1 match", exact=True)).to_be_visible()
    search.fill("nothing like it")
    expect(page.get_by_text("no match")).to_be_visible()
    search.fill("needle")
    button(page, "Follow").click()
    web.write_log("web", b"a third needle")
    expect(page.get_by_text("3 matches", exact=True)).to_be_visible()


def jump_to_only_match(page, text):
    search = page.get_by_role("searchbox", name="Search the log")
    search.fill(text)
    expect(page.get_by_text("1 match", exact=True)).to_be_visible()
    search.press("Enter")


def test_match_stays_in_view_when_the_box_shrinks_until_the_reader_scrolls(web, open_page):
    web.write_log("web", *numbered(1, 400), b"needle", *numbered(401, 500))
    page = open_page(web.url, viewport={"width": 1280, "height": 1000})
    log = open_log(page, web)
    expect(lines(log)).to_have_count(501)
    jump_to_only_match(page, "needle")
    needle = lines(log).get_by_text("needle")
    expect(needle).to_be_in_viewport()
    page.set_viewport_size({"width": 1280, "height": 640})
    expect(needle).to_be_in_viewport()
    log.hover()
    page.mouse.wheel(0, -2000)
    expect(needle).not_to_be_in_viewport()
    page.set_viewport_size({"width": 1280, "height": 1000})
    page.set_viewport_size({"width": 1280, "height": 640})
    expect(needle).not_to_be_in_viewport()


def test_match_stays_in_view_and_current_when_lines_are_shown_in_another_way(web, open_page):
    wide = [b"line %04d " % number + b"word " * (number % 60) for number in range(1000)]
    web.write_log("web", *wide)
    page = open_page(web.url)
    log = open_log(page, web)
    expect(lines(log)).to_have_count(1000)
    jump_to_only_match(page, "line 0734")
    for name in ("Wrap", "Times", "Filter", "Filter", "Wrap"):
        button(page, name).click()
        expect(lines(log).get_by_text("line 0734")).to_be_in_viewport()
        expect(page.get_by_text("1 of 1 match", exact=True)).to_be_visible()


def test_place_of_a_paused_reader_stays_when_lines_are_shown_in_another_way(web, open_page):
    wide = [b"line %04d " % number + b"word " * (number % 60) for number in range(1000)]
    web.write_log("web", *wide)
    page = open_page(web.url)
    log = open_log(page, web)
    expect(lines(log)).to_have_count(1000)
    log.hover()
    page.mouse.wheel(0, -6000)
    expect(page.get_by_text("paused")).to_be_visible()
    place = first_visible(log).partition("line ")[2][:4]
    button(page, "Wrap").click()
    expect(lines(log).get_by_text(f"line {place}")).to_be_in_viewport()
    page.get_by_role("searchbox", name="Search the log").fill("line 0999")
    button(page, "Filter").click()
    expect(lines(log).filter(visible=True)).to_have_count(1)
    expect(lines(log).get_by_text("line 0999")).to_be_in_viewport()


def test_cut_lines_are_marked_and_long_ones_keep_the_page_usable(web, open_page):
    long = b"x" * 16_384
    web.write_log("web", *[long] * 300, is_partial=True)
    web.write_log("web", b"end")
    page = open_page(web.url)
    log = open_log(page, web)
    expect(lines(log)).to_have_count(301)
    expect(lines(log).last).to_be_in_viewport()
    mark = "line => getComputedStyle(line, '::after').content"
    assert [log.locator(".line").nth(place).evaluate(mark) for place in (0, 300)] == [
        '" ↩"',
        "none",
    ]
    expect(log.locator(".block")).to_have_count(301)
    assert log.evaluate("box => box.scrollHeight / box.querySelectorAll('.line').length") < 30


def test_log_of_another_workload_with_the_same_name_replaces_the_old_one(web, open_page):
    web.write_log("web", b"old")
    page = open_page(web.url)
    log = open_log(page, web)
    expect(lines(log)).to_have_text(["old"])
    expect(page.get_by_role("list", name="Timeline of the latest run")).to_contain_text("running")
    web.request("DELETE", "/workloads/web?grace_seconds=0&wait=10")
    web.forget_log("web")
    web.submit("web", "redis:7")
    web.await_state("web", "running")
    web.write_log("web", b"new")
    expect(lines(log)).to_have_text(["new"])


def test_regular_expression_filters_lines(web, open_page):
    web.write_log("web", b"GET / 200", b"GET /a 404", b"POST / 500", b"GET /b 503")
    page = open_page(web.url)
    log = open_log(page, web)
    expect(lines(log)).to_have_count(4)
    button(page, "Regular expression").click()
    search = page.get_by_role("searchbox", name="Search the log")
    search.fill(r"^GET .* [45]\d\d$")
    expect(page.get_by_text("2 matches", exact=True)).to_be_visible()
    button(page, "Filter").click()
    shown = lines(log).filter(visible=True)
    expect(shown).to_have_text(["GET /a 404", "GET /b 503"])
    web.write_log("web", b"GET /c 200", b"GET /d 404")
    expect(shown).to_have_text(["GET /a 404", "GET /b 503", "GET /d 404"])
    button(page, "Filter").click()
    expect(shown).to_have_count(6)


def test_invalid_regular_expression_is_explained(web, open_page):
    web.write_log("web", b"one")
    page = open_page(web.url)
    open_log(page, web)
    button(page, "Regular expression").click()
    search = page.get_by_role("searchbox", name="Search the log")
    search.fill("(")
    expect(search).to_have_attribute("aria-invalid", "true")
    expect(search).to_have_accessible_description("Unterminated group")
    search.fill("(o)")
    expect(search).to_have_attribute("aria-invalid", "false")
    expect(page.get_by_text("1 match", exact=True)).to_be_visible()


def test_attempts_are_divided_and_can_be_jumped_to(web, open_page):
    for attempt in (0, 1, 2):
        web.write_log("web", *numbered(1, 200), attempt=attempt)
    page = open_page(web.url)
    log = open_log(page, web)
    marks = log.get_by_text("attempt", exact=False).filter(visible=True)
    expect(marks).to_have_text(["attempt 1", "attempt 2"])
    button(page, "Previous attempt").click()
    expect(log.get_by_text("attempt 2")).to_be_in_viewport()
    button(page, "Previous attempt").click()
    expect(log.get_by_text("attempt 1")).to_be_in_viewport()
    button(page, "Previous attempt").click()
    expect(lines(log).first).to_be_in_viewport()
    button(page, "Next attempt").click()
    expect(log.get_by_text("attempt 1")).to_be_in_viewport()


def test_log_of_an_ended_workload_shows_its_end_and_continues_when_it_runs_again(web, open_page):
    web.write_log("web", b"first run")
    page = open_page(web.url)
    log = open_log(page, web)
    expect(lines(log)).to_have_count(1)
    web.request("POST", "/workloads/web/stop")
    expect(page.get_by_text("end of the log")).to_be_visible()
    web.request("POST", "/workloads/web/start")
    web.await_state("web", "running")
    web.write_log("web", b"second run", attempt=1)
    expect(lines(log)).to_have_text(["first run", "second run"])


def test_download_has_every_byte(web, open_page, tmp_path):
    content = [b"plain", b"\xff\x00 not text", "grüße".encode()]
    web.write_log("web", *content)
    page = open_page(web.url)
    open_log(page, web)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "web.log"
    download.value.save_as(tmp_path / "log")
    assert (tmp_path / "log").read_bytes() == b"".join(line + b"\n" for line in content)


def test_times_and_line_wrapping_can_be_switched(web, open_page):
    web.write_log("web", b"x" * 2000)
    page = open_page(web.url)
    log = open_log(page, web)
    time = log.locator("time")
    expect(time).to_be_visible()
    button(page, "Times").click()
    expect(time).to_be_hidden()
    assert log.evaluate("box => box.scrollWidth > box.clientWidth")
    button(page, "Wrap").click()
    assert log.evaluate("box => box.scrollWidth <= box.clientWidth")


def test_page_keeps_the_last_twenty_thousand_lines(web, open_page):
    web.write_log("web", *numbered(1, 21_000))
    page = open_page(web.url)
    log = open_log(page, web)
    expect(lines(log).last).to_have_text("line 21000")
    web.write_log("web", *numbered(21_001, 22_000))
    expect(lines(log).last).to_have_text("line 22000")
    expect(page.get_by_text(re.compile("older lines dropped"))).to_be_visible()
    assert 19_500 <= lines(log).count() <= 20_200
    expect_end(log)


def test_error_for_too_many_readers_is_explained(web, open_page):
    page = open_page(web.url, may_lose=True)
    detail = '{"status":503,"code":"too_many_logs","detail":"64 readers follow logs; try later"}'
    page.route("**/log?*", lambda route: route.fulfill(status=503, body=detail))
    open_log(page, web)
    expect(page.get_by_text("64 readers follow logs; try later")).to_be_visible()
    page.unroute_all()
    web.write_log("web", b"at last")
    expect(page.get_by_role("log").get_by_text("at last")).to_be_visible()
