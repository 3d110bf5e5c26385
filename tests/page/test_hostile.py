"""Whatever a workload writes, reports or is given remains text.

Ids and labels cannot have markup: the API refuses all but a few characters.
"""

import pytest
from playwright.sync_api import expect

from .pages import detail, events, lines, link, log_of, row, tab

MARKUP = (
    "<script>window.isCaptured = true</script>",
    '<img src=x onerror="window.isCaptured = true">',
    "<svg onload=window.isCaptured=true>",
    "<iframe srcdoc='<script>parent.isCaptured = true</script>'>",
    '"><style>* { display: none }</style>',
    "javascript:window.isCaptured=true",
    "&lt;b&gt; &amp;amp; ${window.isCaptured = true} {{constructor}}",
    "</textarea></title></template><b>x</b>",
)
CONTROLS = b"\x1b[31mred\x1b[0m \x1b]0;title\x07 \x08\x08 \x00 \xe2\x80\xaetxt.exe \xff\xfe"
HIDDEN = {
    "\u00ad": r"\u00ad",
    "\u034f": r"\u034f",
    "\u061c": r"\u061c",
    "\u180e": r"\u180e",
    "\u200b": r"\u200b",
    "\u2028": r"\u2028",
    "\u2066": r"\u2066",
    "\u3164": r"\u3164",
    "\ufeff": r"\ufeff",
    "\ufffb": r"\ufffb",
    "\U000e0041": r"\u{e0041}",
    "\r": r"\u000d",
}
"""Characters that no reader sees, and their escapes."""


def test_log_lines_remain_text(stack, open_page):
    stack.submit("web")
    stack.await_state("web", "running")
    stack.forget_log("web")
    stack.write_log("web", *(text.encode() for text in MARKUP), CONTROLS)
    page = open_page(f"{stack.url}/#/web")
    log = log_of(page, "web")
    expect(lines(log)).to_have_count(len(MARKUP) + 1)
    assert lines(log).all_text_contents()[:-1] == list(MARKUP)
    assert log.locator(".text *").count() == 0
    shown = lines(log).last.text_content()
    assert shown.startswith("red ")
    assert not any(ord(character) < 32 or character == "\u202e" for character in shown), ascii(
        shown
    )
    page.get_by_role("searchbox", name="Search the log").fill("<script>")
    expect(page.get_by_text("2 matches", exact=True)).to_be_visible()
    assert log.locator(".text *").count() == 0
    assert page.evaluate("window.isCaptured") is None


def test_invisible_characters_are_escaped(stack, open_page):
    stack.submit("web")
    stack.await_state("web", "running")
    stack.forget_log("web")
    stack.write_log("web", *(f"a{each}b".encode() for each in [*HIDDEN, "\u26a0\ufe0f é\t\u3042"]))
    log = log_of(open_page(f"{stack.url}/#/web"), "web")
    expected = [f"a{escape}b" for escape in HIDDEN.values()]
    expect(lines(log)).to_have_count(len(expected) + 1)
    assert lines(log).all_text_contents() == [*expected, "a\u26a0\ufe0f é\t\u3042b"]


def test_messages_and_specifications_remain_text(stack, open_page):
    text = " ".join(MARKUP)
    stack.set_message("bad", text)
    fields = {
        "env": {"A": text},
        "args": list(MARKUP),
        "restart_policy": "never",
    }
    page = open_page(stack.url)
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    stack.submit("bad", "fails:1", **fields)
    expect(row(page, "bad")).to_contain_text(MARKUP[0])
    expect(events(page).filter(has_text="ImagePullFailed").first).to_contain_text(MARKUP[1])
    link(page, "bad").click()
    expect(detail(page, "bad")).to_contain_text(MARKUP[2])
    for name in ("History", "Spec"):
        tab(page, name).click()
        panel = page.get_by_role("tabpanel", name=name)
        expect(panel).to_contain_text(MARKUP[0])
        assert panel.locator("script, img, iframe, style, b, svg[onload]").count() == 0
    assert page.locator("body script, img, iframe, style").count() == 0
    assert page.locator("[onerror], [onload], [srcdoc], a[href^=java]").count() == 0
    assert page.evaluate("window.isCaptured") is None
    page.get_by_role("searchbox", name="Filter workloads").fill(MARKUP[1])
    assert page.locator("img").count() == 0


@pytest.mark.parametrize(
    "fragment",
    [
        "<img src=x onerror=window.isCaptured=true>",
        "%3Cimg%20src=x%20onerror=window.isCaptured=true%3E",
        "..%2F..%2Fworkloads",
        "web/log/%E0%A4%A",
        "%",
        "//example.com/x",
    ],
)
def test_unknown_fragment_in_the_address_is_harmless(stack, open_page, fragment):
    stack.submit("web")
    page = open_page(f"{stack.url}/#/{fragment}", may_lose=True)
    expect(link(page, "web")).to_be_visible()
    link(page, "web").click()
    expect(detail(page, "web")).to_be_visible()
    assert page.locator("img").count() == 0
    assert page.evaluate("window.isCaptured") is None


def test_longest_id_and_unbroken_text_stay_within_the_window(stack, open_page):
    workload_id = "a" * 63
    stack.set_message(workload_id, "x" * 1000)
    stack.submit(workload_id, "fails:" + "y" * 100, restart_policy="never")
    for width in (320, 1280):
        page = open_page(f"{stack.url}/#/{workload_id}", viewport={"width": width, "height": 700})
        expect(detail(page, workload_id)).to_contain_text("xxx")
        expect(row(page, workload_id)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
