"""Every asynchronous test runs on both event loops."""

import asyncio

import uvloop


def pytest_asyncio_loop_factories(config, item):
    """Run every asynchronous test on asyncio's loop and on uvloop."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
