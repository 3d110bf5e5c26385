"""The counters of a node: calls to the runtime, and pulls of images."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kakuri_cri import CriError
from kakuri_workload.metrics import (
    LONG_SECONDS,
    SECONDS,
    Counts,
    Histograms,
    MetricFamily,
    gauge,
)

from kakuri_zones._errors import PullFailed

CALL_BOUNDS = (*SECONDS, 30.0, 120.0)
"""Buckets of the runtime's calls: from a status in a millisecond to a sandbox that boots."""

OK = "OK"


class CallCounts:
    """Counts the calls to a runtime.

    Pass `count` to the Runtime as its `on_call`.
    """

    def __init__(self) -> None:
        self._durations = Histograms(
            "kakuri_cri_request_duration_seconds",
            "Time of calls to the container runtime, by method.",
            ("method",),
            CALL_BOUNDS,
        )
        self._errors = Counts(
            "kakuri_cri_errors",
            "Calls to the container runtime that failed, by method and gRPC code.",
            ("method", "code"),
        )

    def count(self, method: str, seconds: float, status: str) -> None:
        """Count a call with its gRPC status."""
        self._durations[method,].observe(seconds)
        if status != OK:
            self._errors[method, status] += 1

    def families(self) -> list[MetricFamily]:
        """Return the counts so far."""
        return [self._durations.family(), self._errors.family()]


class PullCounts:
    """Counts pulls of images."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._outcomes = Counts(
            "kakuri_image_pulls", "Pulls of images that have ended, by outcome.", ("outcome",)
        )
        for outcome in ("succeeded", "failed", "unavailable", "cancelled"):
            self._outcomes[outcome,] = 0
        self._durations = Histograms(
            "kakuri_image_pull_duration_seconds",
            "Time of pulls with all of their attempts, by outcome.",
            ("outcome",),
            LONG_SECONDS,
        )
        self._in_flight = 0

    @contextmanager
    def pull(self) -> Iterator[None]:
        """Count a pull, and how it ends."""
        began = self._clock()
        self._in_flight += 1
        outcome = "cancelled"
        try:
            yield
            outcome = "succeeded"
        except PullFailed:
            outcome = "failed"
            raise
        except CriError:
            outcome = "unavailable"
            raise
        finally:
            self._in_flight -= 1
            self._outcomes[outcome,] += 1
            self._durations[outcome,].observe(self._clock() - began)

    def families(self) -> list[MetricFamily]:
        """Return the counts so far."""
        return [
            self._outcomes.family(),
            self._durations.family(),
            gauge("kakuri_image_pulls_in_flight", "Pulls of images in progress.", self._in_flight),
        ]
