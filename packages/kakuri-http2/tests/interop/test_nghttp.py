"""nghttp's client against our server."""

import hashlib
import re

from .site import LARGE, run, site


async def test_nghttp_multiplexes_requests_of_all_kinds():
    paths = ["small", "large", "empty", "fields", "trailers", "none"] * 5
    async with site() as address:
        done = await run("nghttp", "-v", "-n",
                         *[f"http://{address}/{path}?{n}" if path == "small" else
                           f"http://{address}/{path}" for n, path in enumerate(paths)])  # fmt: skip
    output = done.output.decode()
    statuses = re.findall(r":status: (\d+)", output)
    assert sorted(set(statuses)) == ["103", "200", "204", "404"]
    assert output.count("END_STREAM") >= len({*paths})
    assert "x-checksum: 1234" in output
    assert "GOAWAY" not in output.split("send GOAWAY")[0]
    assert "error_code=NO_ERROR" in output


async def test_nghttp_uploads_with_trailers(tmp_path):
    content = tmp_path / "content"
    content.write_bytes(LARGE)
    async with site() as address:
        done = await run("nghttp", "--data", content, "--trailer", "x-sum: 9",
                         f"http://{address}/digest")  # fmt: skip
    size, digest, trailers = done.output.split()
    assert int(size) == len(LARGE)
    assert digest.decode() == hashlib.sha256(LARGE).hexdigest()
    assert trailers == b"x-sum"


async def test_nghttp_reads_with_a_small_window_and_padding():
    async with site() as address:
        done = await run("nghttp", "-w", "10", "-W", "12", "-b", "64", f"http://{address}/large")
    assert done.output == LARGE


async def test_nghttp_reads_without_a_header_table():
    async with site() as address:
        done = await run("nghttp", "-c", "0", "-m", "5", f"http://{address}/small")
    assert done.output == b"small\n" * 5
