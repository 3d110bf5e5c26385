"""Removing images that no container uses, when they are old or the disk fills up.

The rules are the kubelet's (pkg/kubelet/images/image_gc_manager.go): when the file system of the
images is used beyond a high threshold, the least recently used images are removed until it is below
a low one. An image is never removed while a container or a start uses it, if the runtime has pinned
it, if the settings keep it, or within a minimum age after it was first seen.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import structlog
from kakuri_cri import CallRefused, CriError, Runtime, api
from kakuri_json import JSONError, decode
from kakuri_workload import MAX_IMAGE_LENGTH

from kakuri_zones._images import MAX_INFO, Images, tagged
from kakuri_zones._progress import mountpoint
from kakuri_zones._settings import DEFAULT_COLLECTION, CollectionLimits

log = structlog.get_logger()

PERCENT = 100
"""The whole disk, in percent. A high threshold of 100 turns off removal for lack of space."""


class DiskUse(NamedTuple):
    """Bytes of a file system, and those that are available to ordinary users."""

    capacity: int
    available: int


def disk_use(path: str) -> DiskUse | None:
    """Return the use of a path's file system; None if it can't be read."""
    try:
        status = os.statvfs(path)
    except OSError:
        return None
    return DiskUse(status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize)


@dataclass(frozen=True, slots=True)
class _RuntimeConfig:
    """The part of containerd's configuration that names its sandbox image, pinned since 2.0."""

    __json__: ClassVar = {"rename": {"sandbox_image": "sandboxImage"}, "unknown": "ignore"}

    sandbox_image: str = ""


class ImageCollector:
    """Removes unused images periodically.

    Attributes:
        problem: Why the last collection could not free enough space; None if it could.
    """

    def __init__(
        self,
        cri: Runtime,
        images: Images,
        limits: CollectionLimits = DEFAULT_COLLECTION,
        clock: Callable[[], float] = time.monotonic,
        disk: Callable[[str], DiskUse | None] = disk_use,
    ) -> None:
        self._cri = cri
        self._images = images
        self._limits = limits
        self._clock = clock
        self._disk = disk
        self._keep = frozenset(map(tagged, limits.keep))
        self._seen: dict[str, float] = {}
        self.problem: str | None = None

    async def run(self) -> None:
        """Collect periodically until cancelled."""
        while True:
            await asyncio.sleep(self._limits.interval)
            try:
                await self.collect()
            except CriError as error:
                log.debug("images not collected", error=str(error))

    async def collect(self) -> None:
        """Remove images that are too old, and others while the disk is too full.

        Raises:
            CriError: A list call failed.
        """
        candidates = await self._candidates()
        now = self._clock()
        left: list[api.Image] = []
        for image in candidates:
            age = now - self._last_used(image)
            is_old = 0 < self._limits.max_age <= age
            if not (is_old and await self._remove(image, f"not used for {age:.0f} s")):
                left.append(image)
        self.problem = await self._make_room(left)

    async def _candidates(self) -> list[api.Image]:
        """List the images; return those that may be removed, the least recently used first."""
        images = await self._cri.list_images()
        used = await self._used_images()
        kept = self._keep | await self._sandbox_image()
        now = self._clock()
        self._record(images, used, now)
        candidates = [
            each
            for each in images
            if not each.pinned
            and self._images.last_used.get(each.id) != now
            and now - self._seen[each.id] >= self._limits.min_age
            and not _is_any_of(each, kept)
        ]
        return sorted(candidates, key=self._last_used)

    def _record(self, images: Sequence[api.Image], used: AbstractSet[str], now: float) -> None:
        """Record which images exist, and which of them containers use now."""
        self._seen = {each.id: self._seen.get(each.id, now) for each in images}
        last_used = self._images.last_used
        for gone in last_used.keys() - self._seen.keys():
            del last_used[gone]
        for each in images:
            if _is_any_of(each, used):
                last_used[each.id] = now

    async def _used_images(self) -> set[str]:
        """Return the image references of the containers of the node."""
        try:
            containers = await self._cri.list_containers({})
        except CallRefused:  # the list exceeds one answer
            containers = [
                each
                for sandbox in await self._cri.list_pod_sandboxes({})
                for each in await self._cri.list_containers({}, sandbox_id=sandbox.id)
            ]
        named = {each.image.image for each in containers if each.image is not None}
        return (named | {each.image_ref for each in containers}) - {""}

    async def _make_room(self, candidates: Sequence[api.Image]) -> str | None:
        """Remove images while the disk is too full; return why that did not suffice."""
        if self._limits.high >= PERCENT:  # removal for lack of space is turned off
            return None
        for path in set(map(mountpoint, await self._cri.image_fs_info())):
            use = self._disk(path)
            if use is None or use.capacity == 0:
                return f"can't read the disk usage of {path!r}"
            percent = PERCENT - use.available * PERCENT // use.capacity
            if percent < self._limits.high:
                continue
            needed = use.capacity * (PERCENT - self._limits.low) // PERCENT - use.available
            freed = 0
            for image in candidates:
                if freed >= needed:
                    break
                if await self._remove(image, f"the disk is {percent} % full"):
                    freed += image.size
            if freed < needed:
                log.warning("too little room for images", path=path, needed=needed, freed=freed)
                return (
                    f"the disk of {path!r} is {percent} % full, and removing images freed "
                    f"{freed} of {needed} bytes"
                )
        return None

    async def _remove(self, image: api.Image, reason: str) -> bool:
        with self._images.removing(image.id) as is_free:
            if not is_free:
                return False
            try:
                await self._cri.remove_image(image.id)
            except CriError as error:
                log.warning("image not removed", image=_name(image), error=str(error))
                return False
        log.info("image removed", image=_name(image), bytes=image.size, reason=reason)
        return True

    async def _sandbox_image(self) -> set[str]:
        """Return the reference of the image of sandboxes, which containerd 1.x does not pin."""
        config = (await self._cri.status(verbose=True)).info.get("config", "")
        try:
            is_readable = 0 < len(config) <= MAX_INFO
            image = decode(config, type=_RuntimeConfig).sandbox_image if is_readable else ""
        except JSONError:
            image = ""
        return {tagged(image)} if image else set()

    def _last_used(self, image: api.Image) -> float:
        return self._images.last_used.get(image.id, self._seen[image.id])


def _is_any_of(image: api.Image, references: AbstractSet[str]) -> bool:
    """Return whether a reference names an image; it may omit registry and leading components."""
    names = (image.id, *image.repo_tags, *image.repo_digests)
    return any(each in references for name in names for each in _suffixes(name))


def _suffixes(name: str) -> Iterator[str]:
    """Yield a name, then what follows each slash, for as many slashes as a reference can have."""
    yield name
    for _ in range(MAX_IMAGE_LENGTH):
        _, slash, name = name.partition("/")
        if not slash:
            return
        yield name


def _name(image: api.Image) -> str:
    return next(iter([*image.repo_tags, *image.repo_digests]), image.id)
