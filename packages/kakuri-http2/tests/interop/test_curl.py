"""curl's client against our server.

curl 7.88, which Debian 12 has, can't reuse a connection that it opened with prior
knowledge, nor can it with nghttpd; so each command here makes one request.
"""

import hashlib
from pathlib import Path

from .site import LARGE, MANY_FIELDS, TRAILERS, run, site


async def curl(*arguments: str | Path):
    return await run("curl", "--silent", "--show-error", "--http2-prior-knowledge", *arguments)


async def test_curl_gets_small_and_large_content():
    async with site() as address:
        assert (await curl(f"http://{address}/small")).output == b"small\n"
        assert (await curl(f"http://{address}/large")).output == LARGE


async def test_curl_posts_ten_megabytes(tmp_path):
    content = tmp_path / "content"
    content.write_bytes(LARGE)
    async with site() as address:
        done = await curl("--data-binary", f"@{content}", f"http://{address}/digest")
    assert done.output.split() == [
        str(len(LARGE)).encode(), hashlib.sha256(LARGE).hexdigest().encode(),
    ]  # fmt: skip


async def test_curl_sees_head_and_no_content():
    async with site() as address:
        head = await curl("--head", f"http://{address}/large")
        assert b"HTTP/2 200" in head.output
        assert f"content-length: {len(LARGE)}".encode() in head.output
        empty = await curl("--include", f"http://{address}/empty")
        assert empty.output.strip() == b"HTTP/2 204"
        missing = await curl("--write-out", "%{http_code}", f"http://{address}/none")
        assert missing.output == b"404"


async def test_curl_exchanges_many_fields():
    fields = [part for n in range(150) for part in ("--header", f"x-{n}: {'y' * 100}{n}")]
    async with site() as address:
        done = await curl("--include", *fields, f"http://{address}/fields")
    assert done.output.endswith(b"152 fields\n")  # and user-agent and accept
    for name, value in MANY_FIELDS:
        assert name + b": " + value in done.output


async def test_curl_sees_interim_response_and_trailers(tmp_path):
    heads = tmp_path / "heads"
    async with site() as address:
        done = await curl("--dump-header", heads, f"http://{address}/trailers")
    assert done.output == b"with trailers\n"
    written = heads.read_bytes()
    assert b"HTTP/2 103" in written
    for name, value in TRAILERS:
        assert name + b": " + value in written


async def test_curl_talks_over_a_unix_socket(tmp_path):
    async with site(tmp_path / "s"):
        done = await curl("--unix-socket", tmp_path / "s", "http://localhost/small")
    assert done.output == b"small\n"
