"""h2load's many streams against our server."""

import re

import pytest

from .site import run, site


def succeeded(output: bytes) -> tuple[int, int]:
    """Return how many requests succeeded, and how many did not."""
    found = re.search(
        rb"requests: (\d+) total, .* (\d+) succeeded, (\d+) failed, (\d+) errored", output
    )
    assert found is not None, output
    total, good, _, _ = map(int, found.groups())
    return good, total - good


@pytest.mark.parametrize(("streams", "path"), [(1, "small"), (100, "small"), (100, "fields")])
async def test_h2load_succeeds_over_tcp(streams, path):
    async with site() as address:
        done = await run("h2load", "-n", "1000", "-c", "4", "-m", str(streams),
                         f"http://{address}/{path}")  # fmt: skip
    assert succeeded(done.output) == (1000, 0)


async def test_h2load_succeeds_over_a_unix_socket(tmp_path):
    async with site(tmp_path / "s"):
        done = await run("h2load", "-n", "2000", "-c", "2", "-m", "100", "-B",
                         f"unix:{tmp_path / 's'}", "http://localhost/small")  # fmt: skip
    assert succeeded(done.output) == (2000, 0)


async def test_h2load_uploads_on_many_streams(tmp_path):
    content = tmp_path / "content"
    content.write_bytes(bytes(100_000))
    async with site() as address:
        done = await run("h2load", "-n", "100", "-c", "2", "-m", "50", "-d", content,
                         f"http://{address}/digest")  # fmt: skip
    assert succeeded(done.output) == (100, 0)


async def test_h2load_reads_large_content_on_many_streams_with_small_windows():
    async with site() as address:
        done = await run("h2load", "-n", "8", "-c", "1", "-m", "8", "-w", "12", "-W", "13",
                         f"http://{address}/large")  # fmt: skip
    assert succeeded(done.output) == (8, 0)
