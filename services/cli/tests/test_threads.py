import threading
from types import SimpleNamespace

import pytest
from kakuri._exits import CommandError, Exit
from kakuri._threads import start_thread

MESSAGE = "can't start new thread: the limit on processes (ulimit -u) or the memory is used up"


@pytest.fixture
def allowed_threads(environment):
    """Return a function that limits how many threads may still be started."""

    def limit(number):
        class Thread(threading.Thread):
            def start(self):
                nonlocal number
                if number == 0:
                    raise RuntimeError("can't start new thread")
                number -= 1
                super().start()

        environment.setattr("kakuri._threads.threading", SimpleNamespace(Thread=Thread))

    return limit


def test_thread_that_the_system_refuses_is_an_error_of_the_environment(allowed_threads):
    allowed_threads(0)
    with pytest.raises(CommandError) as caught:
        start_thread(print)
    assert (caught.value.message, caught.value.exit_code) == (MESSAGE, Exit.USAGE)


@pytest.mark.parametrize(
    ("verb", "number"),
    [(["wait"], 0), (["wait"], 1), (["logs", "-f"], 0), (["logs", "-f"], 1), (["rm", "-f"], 0)],
)
def test_verbs_report_that_a_thread_cannot_be_started(kakuri, api, allowed_threads, verb, number):
    for each in "ab":
        api.add(each)
    allowed_threads(number)
    result = kakuri(*verb, "a", "b")
    assert (result.code, result.out, result.err) == (2, "", f"error: {MESSAGE}\n")


def test_removals_share_the_only_thread_that_can_be_started(kakuri, api, allowed_threads):
    for each in "ab":
        api.add(each)
    allowed_threads(1)
    assert kakuri("rm", "-f", "a", "b").code == 0


def test_ps_that_follows_changes_reports_that_no_thread_can_be_started(
    kakuri, api, allowed_threads
):
    allowed_threads(0)
    assert kakuri("ps", "-w").err == f"error: {MESSAGE}\n"
