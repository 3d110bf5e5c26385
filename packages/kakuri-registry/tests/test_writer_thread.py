import asyncio
import threading
from functools import partial

import pytest
from kakuri_registry._writer_thread import WriterThread, reporting


def test_functions_run_in_order_before_shutdown_returns():
    done, threads = [], set()
    thread = WriterThread()
    for number in range(100):
        thread.submit(lambda number=number: done.append(number))
    thread.submit(lambda: threads.add(threading.current_thread().name))
    thread.shutdown()
    assert done == list(range(100))
    assert threads == {"kakuri-writer"}


async def test_outcome_of_work_is_reported_on_the_loop():
    loop = asyncio.get_running_loop()
    outcomes = asyncio.Queue()
    thread = WriterThread()

    def report(result, error):
        outcomes.put_nowait((result, error, threading.current_thread()))

    failure = OSError("disk")

    def fail():
        raise failure

    thread.submit(reporting(loop, threading.current_thread, report))
    thread.submit(reporting(loop, fail, report))
    result, error, reporter = await outcomes.get()
    assert (result.name, error, reporter) == ("kakuri-writer", None, threading.current_thread())
    assert (await outcomes.get())[:2] == (None, failure)
    thread.shutdown()


def test_nothing_is_reported_to_a_closed_loop():
    loop = asyncio.new_event_loop()
    loop.close()
    done = []
    thread = WriterThread()
    thread.submit(reporting(loop, partial(done.append, 1), print))
    thread.shutdown()
    thread.shutdown()
    assert done == [1]


def test_exception_of_a_function_is_logged_and_does_not_end_the_thread(caplog):
    def fail():
        raise OSError("disk")

    done = []
    thread = WriterThread()
    thread.submit(fail)
    thread.submit(partial(done.append, 1))
    thread.shutdown()
    assert done == [1]
    assert "OSError: disk" in caplog.text


def test_submit_after_shutdown_raises_runtime_error():
    thread = WriterThread()
    thread.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        thread.submit(print)
