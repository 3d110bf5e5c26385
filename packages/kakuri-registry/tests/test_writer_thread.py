import asyncio
import threading
from functools import partial

import pytest
from kakuri_registry._writer_thread import PendingOutcome, WriterThread


def test_functions_run_in_order_before_shutdown_returns():
    done, threads = [], set()
    thread = WriterThread()
    for number in range(100):
        thread.submit(lambda number=number: done.append(number))
    thread.submit(lambda: threads.add(threading.current_thread().name))
    thread.shutdown()
    assert done == list(range(100))
    assert threads == {"kakuri-writer"}


def test_function_for_a_closed_loop_does_not_end_the_thread():
    loop = asyncio.new_event_loop()
    loop.close()
    done = []
    thread = WriterThread()
    thread.submit(partial(loop.call_soon_threadsafe, print))
    thread.submit(partial(done.append, 1))
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


def test_thread_that_could_not_be_started_is_started_for_the_next_function(monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    done = []
    thread = WriterThread()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            thread.submit(partial(done.append, 1))
    thread.submit(partial(done.append, 2))
    thread.shutdown()
    assert done == [2]


def test_submit_after_shutdown_raises_runtime_error():
    thread = WriterThread()
    thread.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        thread.submit(print)


@pytest.fixture
def ended():
    return []


@pytest.fixture
async def outcome(ended):
    return PendingOutcome(asyncio.get_running_loop(), ended.append)


async def test_outcome_within_the_wait_is_returned_and_not_delivered(outcome, ended):
    error = ValueError("disk")
    thread = WriterThread()
    thread.submit(partial(outcome.set, error))
    assert outcome.wait(10)
    thread.shutdown()
    await asyncio.sleep(0)
    assert outcome.error is error
    assert ended == []


async def test_outcome_after_the_wait_is_delivered(outcome, ended):
    assert not outcome.wait(0.0)
    outcome.set(None)
    assert ended == []
    await asyncio.sleep(0)
    assert ended == [None]


@pytest.mark.parametrize("seconds", [0.0, 10.0])
async def test_outcome_before_the_wait_is_not_delivered(outcome, ended, seconds):
    outcome.set(None)
    assert outcome.wait(seconds)
    await asyncio.sleep(0)
    assert ended == []
