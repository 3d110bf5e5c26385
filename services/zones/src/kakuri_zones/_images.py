"""Providing images on the node according to their pull policies.

Starts share pulls, but a tag may have moved since a pull began. So a start that has to check for a
newer image joins only a pull that is still queued; it begins when the current one has ended. A
start that only needs the image joins a pull in progress, and if that fails, gets its own attempt.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import structlog
from kakuri_cri import Runtime, api
from kakuri_daemon import cancel_all, create_deferred_task, retrieve_exception
from kakuri_json import JSONError, decode
from kakuri_workload import DIGEST, ImageState, ImageStatus, PullPolicy

from kakuri_zones._errors import PullFailed, StartFailed
from kakuri_zones._observed import START_ERROR
from kakuri_zones._progress import received
from kakuri_zones._pulling import Puller, Report
from kakuri_zones._settings import DEFAULT_PULL_LIMITS, PullLimits

log = structlog.get_logger()

LATEST = "latest"

MAX_INFO = 1_048_576
"""Largest image configuration of the runtime that is read, in characters."""

ROOT = "0"

_DIGEST = re.compile(DIGEST)


@dataclass(frozen=True, slots=True)
class NodeImage:
    """An image that is on the node.

    Attributes:
        id: The reference to create containers from.
        user: User of its configuration, `USER[:GROUP]`; root by default.
        digest: Digest of the manifest that its reference stands for; None if unknown.
        working_dir: Working directory of its configuration; empty if unknown.
    """

    id: str
    user: str = ROOT
    digest: str | None = None
    working_dir: str = ""


@dataclass(slots=True)
class _Pull:
    """A pull that starts share.

    `task` is None once the pull has ended: a task holds its error, whose traceback refers to this
    pull and to the specs of its waiters, and that reference cycle would keep them in memory.
    """

    task: asyncio.Task[str] | None = None
    waiters: dict[object, Report] = field(default_factory=dict)
    has_begun: bool = False

    def report(self, message: str, received: int | None) -> None:
        for report in list(self.waiters.values()):
            report(message, received)


class Images:
    """Provides images, and holds those that a start is about to use."""

    def __init__(
        self,
        cri: Runtime,
        limits: PullLimits = DEFAULT_PULL_LIMITS,
        clock: Callable[[], float] = time.monotonic,
        received_by: Callable[[str], int | None] = received,
    ) -> None:
        self._cri = cri
        self._clock = clock
        self._puller = Puller(cri, limits, clock, received_by)
        self._pulls: dict[tuple[str, bool], _Pull] = {}
        self._holds: Counter[str] = Counter()
        self._removing: dict[str, asyncio.Event] = {}
        self.pull_counts = self._puller.counts
        self.last_used: dict[str, float] = {}
        """Time of the last use of each image by a start, by image id, in seconds of the clock."""

    async def ensure(
        self,
        image: str,
        policy: PullPolicy | None,
        report: Report,
        hold: list[str],
        *,
        repair: bool = False,
    ) -> NodeImage:
        """Pull an image if needed, and hold it on the node: see `holding`.

        An image that is named by its digest is never pulled again. While the registry can't be
        reached, the node's own image is used if the spec has no policy, but not with `always`.
        Cancelling the caller cancels the pull, unless other starts wait for it as well.

        Args:
            image: The reference as submitted.
            policy: When to pull; None means `always` without a tag or with the tag `latest`, and
                `missing` otherwise.
            report: Receives messages about the progress of a pull.
            hold: Receives the id of the image.
            repair: Whether to pull even if the image is listed, because content may be missing.
                Not with `never`. If the pull fails, the node's image is used.

        Raises:
            PullFailed: The image could not be pulled.
            CriError: The runtime does not answer, or refuses.
        """
        reference = tagged(image)
        while True:
            present = await self._provide(reference, policy, report, repair=repair)
            removal = self._removing.get(present.id)
            if removal is None:
                break
            await removal.wait()
        hold.append(present.id)
        self._holds[present.id] += 1
        config = await self._config(present)
        user, digest = _user(present, config), digest_of(reference, present)
        return NodeImage(present.id, user, digest, config.working_dir)

    async def check(self, image: str, policy: PullPolicy | None) -> ImageStatus:
        """Return whether an image is on the node or a start would pull it, without pulling it.

        Args:
            image: The reference as submitted.
            policy: When to pull, as for `ensure`.

        Raises:
            CriError: The runtime does not answer, or refuses.
        """
        reference = tagged(image)
        present = await self._cri.image_status(reference)
        if present is None:
            is_final = policy is PullPolicy.NEVER
            return ImageStatus(ImageState.MISSING if is_final else ImageState.PULL)
        digest = digest_of(reference, present)
        is_valid = digest is not None and _DIGEST.fullmatch(digest)
        state = ImageState.PRESENT if _needs_no_pull(reference, policy) else ImageState.PULL
        return ImageStatus(state, digest if is_valid else None)

    @contextmanager
    def holding(self) -> Iterator[list[str]]:
        """Keep images on the node until a container uses them, or its start has failed."""
        hold: list[str] = []
        try:
            yield hold
        finally:
            for image_id in hold:
                self.last_used[image_id] = self._clock()
                self._holds[image_id] -= 1
                if self._holds[image_id] <= 0:
                    del self._holds[image_id]

    @contextmanager
    def removing(self, image_id: str) -> Iterator[bool]:
        """Block starts from using an image while it is removed; yield False if a start holds it."""
        if image_id in self._holds:
            yield False
            return
        removed = self._removing[image_id] = asyncio.Event()
        try:
            yield True
        finally:
            del self._removing[image_id]
            removed.set()

    async def close(self) -> None:
        """Cancel every pull."""
        await cancel_all(pull.task for pull in self._pulls.values() if pull.task is not None)

    async def _provide(
        self,
        reference: str,
        policy: PullPolicy | None,
        report: Report,
        *,
        repair: bool,
    ) -> api.Image:
        present = await self._cri.image_status(reference)
        if policy is PullPolicy.NEVER and present is None:
            message = f"image {reference} is not on the node, and its pull policy is `never`"
            raise PullFailed(message, is_transient=False)
        is_repair = repair and policy is not PullPolicy.NEVER
        if present is not None and not is_repair and _needs_no_pull(reference, policy):
            return present
        needs_newest = is_repair or _always_pulls(reference, policy)
        has_fallback = present is not None and (is_repair or policy is None)
        try:
            ref = await self._pull(
                reference, report, needs_newest=needs_newest, has_fallback=has_fallback
            )
        except PullFailed as failure:
            if not has_fallback or not (is_repair or failure.is_transient):
                raise
            assert present is not None
            log.warning("using the node's image", image=reference, error=str(failure))
            return present
        pulled = await self._cri.image_status(ref)
        if pulled is None:
            raise PullFailed(f"{reference} was removed after its pull", is_transient=True)
        return pulled

    async def _pull(
        self, reference: str, report: Report, *, needs_newest: bool, has_fallback: bool
    ) -> str:
        """Pull an image, or join a pull of it that may be shared."""
        while True:
            pull = self._join_or_begin(
                reference, needs_newest=needs_newest, has_fallback=has_fallback
            )
            had_begun = pull.has_begun
            waiter = object()
            pull.waiters[waiter] = report
            report(f"pulling {reference}", None)
            try:
                assert pull.task is not None  # only a pull in progress can be joined
                return await asyncio.shield(pull.task)
            except PullFailed:
                if not had_begun:
                    raise
            finally:
                del pull.waiters[waiter]
                if not pull.waiters and pull.task is not None and not pull.task.done():
                    self._forget((reference, has_fallback), pull)
                    pull.task.cancel()

    def _join_or_begin(self, reference: str, *, needs_newest: bool, has_fallback: bool) -> _Pull:
        key = reference, has_fallback
        before = self._pulls.get(key)
        if before is not None and not (needs_newest and before.has_begun):
            return before
        pull = self._pulls[key] = _Pull()
        pull.task = create_deferred_task(self._run(key, pull, before))

        def ended(task: asyncio.Task[str]) -> None:
            pull.task = None
            retrieve_exception(task)

        pull.task.add_done_callback(ended)
        return pull

    async def _run(self, key: tuple[str, bool], pull: _Pull, before: _Pull | None) -> str:
        reference, has_fallback = key
        try:
            if before is not None and before.task is not None:
                await asyncio.wait({before.task})
            pull.has_begun = True
            return await self._puller.pull(reference, pull.report, has_fallback=has_fallback)
        finally:
            # Not in a callback of the task: a start that came between the failure and the callback
            # would join the failed pull again and again.
            self._forget(key, pull)

    def _forget(self, key: tuple[str, bool], pull: _Pull) -> None:
        if self._pulls.get(key) is pull:
            del self._pulls[key]

    async def _config(self, image: api.Image) -> "_Config":
        """Return the part of an image's configuration that the runtime reports.

        Raises:
            StartFailed: It is larger than any real one.
            CriError: The runtime does not answer, or refuses.
        """
        info = (await self._cri.image_info(image.id)).get("info", "")
        if len(info) > MAX_INFO:
            expected = f"expected an image's configuration of at most {MAX_INFO} characters"
            raise StartFailed(START_ERROR, f"{expected}, got {len(info)}")
        try:
            return decode(info, type=_Info).image_spec.config if info else _Config()
        except JSONError:  # another runtime's format
            return _Config()


@dataclass(frozen=True, slots=True)
class _Config:
    __json__: ClassVar = {
        "rename": {"user": "User", "working_dir": "WorkingDir"},
        "unknown": "ignore",
    }

    user: str = ""
    working_dir: str = ""


@dataclass(frozen=True, slots=True)
class _ImageSpec:
    __json__: ClassVar = {"unknown": "ignore"}

    config: _Config = _Config()


@dataclass(frozen=True, slots=True)
class _Info:
    """Verbose information of containerd and CRI-O about an image: its OCI configuration."""

    __json__: ClassVar = {"rename": {"image_spec": "imageSpec"}, "unknown": "ignore"}

    image_spec: _ImageSpec = _ImageSpec()


def _user(image: api.Image, config: _Config) -> str:
    """Return the user of an image, `USER[:GROUP]`.

    ImageStatus has only the user, so the group of `USER 1000:1000` is read from the verbose
    information, if the runtime has it.
    """
    user = str(image.uid.value) if image.uid is not None else image.username
    name, _, group = config.user.partition(":")  # an image may set only a group: `USER :1000`
    if not group or name != user:
        return user or ROOT
    return f"{user or ROOT}:{group}"


def tagged(image: str) -> str:
    """Return a reference with the tag `latest` if it has neither tag nor digest.

    The runtime resolves names without a registry.
    """
    return image if ":" in image.rpartition("/")[2] else f"{image}:{LATEST}"


def digest_of(reference: str, image: api.Image) -> str | None:
    """Return the manifest digest that a reference stands for, of those that an image has."""
    if "@" in reference:
        return reference.partition("@")[2]
    name = reference.rpartition(":")[0]
    digests = dict(each.split("@", 1) for each in image.repo_digests if each.count("@") == 1)
    # A runtime may complete a short name with another registry than Docker does.
    others = [known for known in digests if known.endswith(f"/{name}")]
    for known in (name, f"docker.io/library/{name}", f"docker.io/{name}", *others, *digests):
        if known in digests:
            return digests[known]
    return None


def _always_pulls(reference: str, policy: PullPolicy | None) -> bool:
    """Return whether a policy asks for the newest image."""
    return policy is PullPolicy.ALWAYS or (policy is None and _may_move(reference))


def _needs_no_pull(reference: str, policy: PullPolicy | None) -> bool:
    """Return whether an image that is on the node is used without a pull."""
    return "@" in reference or not _always_pulls(reference, policy)


def _may_move(reference: str) -> bool:
    """Return whether a reference is expected to move: no tag, or `latest`."""
    return "@" not in reference and reference.rpartition(":")[2] == LATEST
