"""The generated parts of the page on HTTP/2 and gRPC are up to date."""

from tools.http2_pages import PAGE, regenerated


def test_generated_parts_of_the_http2_page_match_the_code():
    page = PAGE.read_text(encoding="utf-8")
    assert "HEADERS, stream 1" in page
    assert "stateDiagram-v2" in page
    assert page == regenerated(page), "run python -m tools.http2_pages"
