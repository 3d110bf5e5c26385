"""Calls at any depth of the stack reuse the memory of their frames."""

import resource

from kakuri_daemon._frames import call_with_room_for_frames


def nest(depth, function):
    return function() if depth == 0 else nest(depth - 1, function)


def most_page_faults():
    """Return the faults of a loop of 200 calls, at the depth where there are the most."""

    def faults_of_calls():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(200):
            abs_of(-1)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    def abs_of(number):
        return -number

    return max(nest(depth, faults_of_calls) for depth in range(300))


def test_calls_at_any_depth_need_no_new_memory():
    found = []
    call_with_room_for_frames(lambda: found.append(most_page_faults()))
    assert found[0] < 100
