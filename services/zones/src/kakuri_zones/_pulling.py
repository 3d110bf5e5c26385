"""One pull of an image: monitored for progress, and retried after transient failures.

The CRI reports a failed pull as text. Transient failures (an overloaded registry, a connection that
was reset) are recognized by the messages of Go's network stack and by HTTP statuses, which
containerd and CRI-O pass on. Every other failure is final.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable

import structlog
from kakuri_cri import CallTimeout, CallUnanswered, CriError, NotFound, Runtime, RuntimeUnavailable
from kakuri_daemon import cancel_all

from kakuri_zones._counts import PullCounts
from kakuri_zones._errors import PullFailed
from kakuri_zones._progress import PullProgress, received
from kakuri_zones._settings import DEFAULT_PULL_LIMITS, PullLimits

log = structlog.get_logger()

PROBE_SECONDS = 5.0
"""Seconds for a call that checks whether the runtime still answers."""

_STATUSES = "(?:408|425|429|500|502|503|504|52[0-9])"

_TRANSIENT = re.compile(
    rf"(?:\b|status ){_STATUSES} [a-z]"  # "503 Service Unavailable"
    # no reason phrase: HTTP/2, and codes 520 to 529, which Go does not know
    rf"|\bstatus\b\D* {_STATUSES}$"
    r"|toomanyrequests|too many requests|service unavailable"
    r"|connection (?:reset|refused|aborted|broken|lost)|broken pipe"
    r"|closed (?:idle|network) connection"
    r"|\beof\b|\btimeout\b|timed out|deadline exceeded"
    r"|network is unreachable|host is unreachable|no route to host"
    r"|server misbehaving|temporary failure in name resolution"
    r"|stream error|goaway"
    r"|unexpected commit (?:digest|size)|failed size validation",  # a truncated download
    re.IGNORECASE,
)

_QUOTED = re.compile(r"\[manifests [^\s\]]+\]|\blookup \S+")
"""A tag as containerd quotes it, or a host name that Go could not resolve."""

Report = Callable[[str, int | None], None]
"""Receives a message about the progress of a pull, and the bytes received so far, if known."""


class PullBackoff:
    """Exponential back-off within the retry window, which begins with the first failure."""

    def __init__(self, limits: PullLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._delay = limits.first_retry
        self._window = limits.retry_window
        self._first_failure: float | None = None

    def next_delay(self) -> float | None:
        """Return the seconds until the next attempt after a transient failure.

        Returns:
            None if the window for retries has passed.
        """
        now = self._clock()
        self._first_failure = now if self._first_failure is None else self._first_failure
        left = self._window - (now - self._first_failure)
        if left <= 0:
            return None
        delay = min(self._delay, left)
        self._delay = delay * 2
        return delay


class Puller:
    """Pulls images, one call at a time for each `pull`."""

    def __init__(
        self,
        cri: Runtime,
        limits: PullLimits = DEFAULT_PULL_LIMITS,
        clock: Callable[[], float] = time.monotonic,
        received_by: Callable[[str], int | None] = received,
    ) -> None:
        self._cri = cri
        self._limits = limits
        self._clock = clock
        self._received_by = received_by
        self.counts = PullCounts(clock)

    async def pull(self, image: str, report: Report, *, has_fallback: bool = False) -> str:
        """Pull an image.

        Args:
            image: The reference, with its tag or digest.
            report: Receives the progress.
            has_fallback: Whether the node has an image of this name, which can be used instead. If
                so, the first failure is final, and a pull without progress ends sooner.

        Returns:
            The reference to create containers from.

        Raises:
            PullFailed: The image could not be pulled; the message is the registry's.
            CallUnanswered: The runtime does not answer.
        """
        with self.counts.pull():
            return await self._pull(image, report, has_fallback=has_fallback)

    async def _pull(self, image: str, report: Report, *, has_fallback: bool) -> str:
        log.info("pulling", image=image)
        began = self._clock()
        backoff = PullBackoff(self._limits, self._clock)
        while True:
            try:
                ref = await self._attempt(image, began, report, has_fallback=has_fallback)
            except PullFailed as failure:
                pause = backoff.next_delay() if failure.is_transient and not has_fallback else None
                if pause is None:
                    log.warning("pull failed", image=image, error=str(failure))
                    raise
                log.info("pull failed, trying again", image=image, error=str(failure), pause=pause)
                report(f"{failure}; trying again in {pause:g} s", None)
            else:
                log.info("pulled", image=image, seconds=round(self._clock() - began, 3))
                return ref
            await asyncio.sleep(pause)

    async def _attempt(
        self, image: str, began: float, report: Report, *, has_fallback: bool
    ) -> str:
        timeout = self._limits.timeout - (self._clock() - began)
        if timeout <= 0:
            raise PullFailed(self._timeout_message(image), is_transient=False)
        progress = PullProgress(self._clock(), self._received_by)
        call = asyncio.create_task(self._cri.pull_image(image, timeout))
        try:
            while not call.done():
                await asyncio.wait({call}, timeout=self._limits.progress_interval)
                if not call.done():
                    await self._check_progress(
                        image, progress, began, report, has_fallback=has_fallback
                    )
            return call.result()
        except CriError as error:
            raise await self._failure(image, error) from error
        finally:
            if not call.done():
                await cancel_all([call])
            # The call holds its error, which is the cause of the one being raised: a local
            # variable for the call would close the cycle.
            del call

    async def _check_progress(
        self,
        image: str,
        progress: PullProgress,
        began: float,
        report: Report,
        *,
        has_fallback: bool,
    ) -> None:
        """Report the progress of a pull, and end one that makes none."""
        with contextlib.suppress(CriError):
            progress.update(await self._cri.image_fs_info(PROBE_SECONDS), self._clock())
        now = self._clock()
        stalled = progress.stalled_for(now)
        limit = self._limits.stall_timeout
        if has_fallback:
            limit = min(limit, self._limits.check_stall_timeout)
        if 0 < limit <= stalled and progress.has_figures:
            message = f"can't pull {image}: no progress for {stalled:.0f} s"
            raise PullFailed(message, is_transient=has_fallback)  # so that the fallback is used
        message = f"pulling {image} for {now - began:.0f} s"
        received = progress.bytes_seen or None
        if received is not None:
            message += f", about {received / 1e6:.1f} MB so far"
        report(message, received)

    async def _failure(self, image: str, error: CriError) -> Exception:
        """Return the error to raise; an unavailable runtime is not a failure of the image."""
        if isinstance(error, CallTimeout):
            return PullFailed(self._timeout_message(image), is_transient=False)
        is_transient = not isinstance(error, NotFound) and is_transient_message(error.message)
        if isinstance(error, CallUnanswered):
            try:
                await self._cri.version(PROBE_SECONDS)
            except CriError as unavailable:
                return RuntimeUnavailable(error.call, unavailable.message, error.code)
            is_transient = True
        return PullFailed(f"can't pull {image}: {error.message}", is_transient=is_transient)

    def _timeout_message(self, image: str) -> str:
        return f"can't pull {image}: not done within {self._limits.timeout:g} s"


def is_transient_message(message: str) -> bool:
    """Return whether an error message describes a transient failure.

    Parts of the image reference (a tag, host, path or URL) are removed first, because a submitter
    chooses them.
    """
    own_words = " ".join(word for word in _QUOTED.sub("", message).split() if "/" not in word)
    return _TRANSIENT.search(own_words) is not None
