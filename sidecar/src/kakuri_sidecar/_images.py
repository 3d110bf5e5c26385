"""Having an image on the node: looked up, else pulled, once for all who wait for it."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from kakuri_sidecar._cri import CriClient
from kakuri_sidecar._errors import (
    CallTimeout,
    CallUnanswered,
    CriError,
    RuntimeUnavailable,
    StartFailed,
)
from kakuri_sidecar._progress import PullProgress, received

log = structlog.get_logger()

IMAGE_PULL_FAILED = "ImagePullFailed"

MAX_FAILURES = 1000
"""Images whose last failure is remembered; beyond, the oldest is forgotten."""

PROBE_SECONDS = 5.0
"""How long the runtime may take to say that it is there, when a pull said that something is not."""

Report = Callable[[str], None]
"""Takes words about how far a pull has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullLimits:
    """How long pulls may take and how soon a failed one is tried again, in seconds."""

    timeout: float = 1800.0
    stall_timeout: float = 120.0
    """Without any sign of progress; 0 for no such limit, nor is there one where the runtime tells
    nothing of its file systems."""
    first_backoff: float = 10.0
    max_backoff: float = 300.0
    """The kubelet's two figures: the time doubles with each failure in a row."""
    look_interval: float = 1.0


DEFAULT_PULL_LIMITS = PullLimits()


@dataclass(slots=True)
class _Failure:
    words: str
    backoff: float
    until: float


@dataclass(slots=True)
class _Pull:
    task: asyncio.Task[str]
    waiters: dict[object, Report]


class Images:
    """Pulls images."""

    def __init__(
        self,
        cri: CriClient,
        limits: PullLimits = DEFAULT_PULL_LIMITS,
        clock: Callable[[], float] = time.monotonic,
        received_by: Callable[[str], int | None] = received,
    ) -> None:
        self._cri = cri
        self._limits = limits
        self._clock = clock
        self._received_by = received_by
        self._pulls: dict[str, _Pull] = {}
        self._failures: dict[str, _Failure] = {}

    async def ensure(self, image: str, report: Report) -> str:
        """Have an image on the node; gives the reference to make containers from.

        `report` is told how far a pull has come. Raises StartFailed with the registry's words if
        it can't be had, CallUnanswered if the runtime does not answer. A caller that is cancelled
        cancels the pull, unless others wait for it as well.
        """
        image = _tagged(image)
        present = await self._cri.image_status(image)
        if present is not None:
            self._failures.pop(image, None)
            return present.id
        self._check_backoff(image)
        pull = self._pulls.get(image)
        if pull is None:
            task = asyncio.create_task(self._pull(image))
            pull = self._pulls[image] = _Pull(task, {})
            task.add_done_callback(lambda ended: self._forget(image, ended))
        waiter = object()
        pull.waiters[waiter] = report
        report(f"pulling {image}")
        try:
            return await asyncio.shield(pull.task)
        finally:
            del pull.waiters[waiter]
            if not pull.waiters and not pull.task.done():
                self._pulls.pop(image, None)
                pull.task.cancel()

    async def close(self) -> None:
        """Cancel every pull."""
        tasks = [pull.task for pull in self._pulls.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, image: str, ended: asyncio.Task[str]) -> None:
        pull = self._pulls.get(image)
        if pull is not None and pull.task is ended:
            del self._pulls[image]
        if not ended.cancelled():
            ended.exception()  # seen, though the last waiter may have gone in the same moment

    def _check_backoff(self, image: str) -> None:
        failure = self._failures.get(image)
        if failure is None or image in self._pulls:
            return
        left = failure.until - self._clock()
        if left > 0:
            again = f"the next try is possible in {left:.0f} s"
            raise StartFailed(IMAGE_PULL_FAILED, f"{failure.words} ({again})")

    async def _pull(self, image: str) -> str:
        log.info("pulling", image=image)
        began = self._clock()
        progress = PullProgress(began, self._received_by)
        call = asyncio.create_task(self._cri.pull_image(image, self._limits.timeout))
        try:
            while not call.done():
                await asyncio.wait({call}, timeout=self._limits.look_interval)
                if not call.done():
                    await self._look(image, progress)
            image_ref = call.result()
        except (CriError, _Stalled) as error:
            raise await self._failed(image, error) from error
        finally:
            call.cancel()
            with contextlib.suppress(asyncio.CancelledError, CriError):
                await call
        self._failures.pop(image, None)
        log.info("pulled", image=image, seconds=round(self._clock() - began, 3))
        return image_ref

    async def _look(self, image: str, progress: PullProgress) -> None:
        """Tell how far a pull has come, and end one that does not get on."""
        with contextlib.suppress(CriError):
            progress.look(await self._cri.image_fs_info(PROBE_SECONDS), self._clock())
        now = self._clock()
        stalled = progress.stalled_for(now)
        if 0 < self._limits.stall_timeout <= stalled and progress.has_figures:
            raise _Stalled(f"no progress for {stalled:.0f} s")
        words = f"pulling {image} for {now - progress.began:.0f} s"
        if progress.bytes_seen:
            words += f", about {progress.bytes_seen / 1e6:.1f} MB so far"
        pull = self._pulls.get(image)
        for report in list(pull.waiters.values()) if pull is not None else ():
            report(words)

    async def _failed(self, image: str, error: Exception) -> Exception:
        """Remember a failure and give the error to raise; silence of the runtime is no failure."""
        if isinstance(error, CallUnanswered) and not isinstance(error, CallTimeout):
            try:
                await self._cri.version(PROBE_SECONDS)
            except CriError as unavailable:
                return RuntimeUnavailable(error.call, unavailable.words, error.code)
        words = error.words if isinstance(error, CriError) else str(error)
        if isinstance(error, CallTimeout):
            words = f"not done within {self._limits.timeout:g} s"
        words = f"can't pull {image}: {words}"
        last = self._failures.pop(image, None)
        backoff = self._limits.first_backoff
        if last is not None and self._clock() - last.until < 2 * self._limits.max_backoff:
            backoff = min(last.backoff * 2, self._limits.max_backoff)
        self._failures[image] = _Failure(words, backoff, self._clock() + backoff)
        while len(self._failures) > MAX_FAILURES:
            del self._failures[next(iter(self._failures))]
        log.warning("pull failed", image=image, error=words, backoff=backoff)
        return StartFailed(IMAGE_PULL_FAILED, words)


def _tagged(image: str) -> str:
    """Spell a reference without tag and digest as what it means.

    What a name without a registry means is the runtime's affair.
    """
    return image if ":" in image.rpartition("/")[2] else f"{image}:latest"


class _Stalled(Exception):
    """A pull that does not get on."""
