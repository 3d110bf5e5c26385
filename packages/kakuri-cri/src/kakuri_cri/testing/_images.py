"""The images of a fake runtime."""

import asyncio
import json
import time
from collections.abc import Mapping

from kakuri_grpc import StatusCode

from kakuri_cri import api
from kakuri_cri.testing._names import full_name, image_id, is_image_id
from kakuri_cri.testing._objects import FakeImage, Pause, Refusal

_RESOLVE = "failed to resolve reference"


class FakeImages:
    """The images on the node, and those that can be pulled.

    Attributes:
        used_bytes: Total size of the images, as reported by ImageFsInfo.
        mountpoint: Mount point of their file system, as reported by ImageFsInfo.
    """

    def __init__(self, images: Mapping[str, FakeImage], default: FakeImage) -> None:
        self.used_bytes: int = 0
        self.mountpoint = "/var/lib/fake/images"
        self._known = {full_name(name): image for name, image in images.items()}
        self._default = default
        self._present: dict[str, tuple[str, FakeImage]] = {}  # name and image by id
        self._tags: dict[str, str] = {}  # ids by name
        for name, image in self._known.items():
            if image.state == "present":
                self._add(name, image)

    def set(self, name: str, image: FakeImage) -> None:
        """Replace an image on the node and in the registry; a hanging pull keeps hanging."""
        name = full_name(name)
        self._known[name] = image
        self._present.pop(self._tags.pop(name, ""), None)
        if image.state == "present":
            self._add(name, image)

    def push(self, name: str, image: FakeImage) -> None:
        """Replace the registry's image with this name; the one on the node stays."""
        self._known[full_name(name)] = image

    def get(self, identifier: str) -> FakeImage:
        """Return the image with an id."""
        return self._present[identifier][1]

    def find(self, image: str) -> str | None:
        """Return the id of an image on the node by its name or id; None if it is not there."""
        identifier = image if is_image_id(image) else self._tags.get(full_name(image), "")
        return identifier if identifier in self._present else None

    def names(self) -> list[str]:
        """Return the names of the images that are on the node."""
        return sorted(name for name, _ in self._present.values())

    def _add(self, name: str, image: FakeImage) -> str:
        identifier = image_id(f"{name} {image.version}" if image.version else name)
        self._tags[name] = identifier
        if identifier not in self._present:
            self._present[identifier] = name, image
            self.used_bytes += image.size
        return identifier

    def _status(self, identifier: str) -> api.Image:
        name, image = self._present[identifier]
        repository = name.rpartition(":")[0]
        user = image.user.partition(":")[0]
        return api.Image(
            id=identifier,
            repo_tags=(name,) if self._tags.get(name) == identifier else (),
            repo_digests=(f"{repository}@{image_id(identifier)}",),
            size=image.size,
            uid=api.Int64Value(value=int(user)) if user.isdecimal() else None,
            username="" if user.isdecimal() else user,
            pinned=image.is_pinned,
        )

    def statuses(self) -> list[api.Image]:
        """Return every image that is on the node."""
        return [self._status(identifier) for identifier in self._present]

    # The calls.

    async def image_status(
        self, request: api.ImageStatusRequest, pause: Pause
    ) -> api.ImageStatusResponse:
        """Return an image; the response is empty if the image is not on the node."""
        await pause()
        identifier = self.find(_name(request.image))
        if identifier is None:
            return api.ImageStatusResponse()
        info = {}
        if request.verbose:
            image = self.get(identifier)
            config = {"User": image.user, "WorkingDir": image.working_dir}
            info["info"] = json.dumps({"imageSpec": {"config": config}})
        return api.ImageStatusResponse(image=self._status(identifier), info=info)

    async def list_images(
        self, _request: api.ListImagesRequest, pause: Pause
    ) -> api.ListImagesResponse:
        """Return every image that is on the node."""
        await pause()
        return api.ListImagesResponse(images=tuple(self.statuses()))

    def stream_images(self, _request: api.StreamImagesRequest) -> list[api.StreamImagesResponse]:
        """Return a message for each image that is on the node."""
        return [api.StreamImagesResponse(images=(image,)) for image in self.statuses()]

    async def remove_image(
        self, request: api.RemoveImageRequest, pause: Pause
    ) -> api.RemoveImageResponse:
        """Remove an image; succeeds if there is none."""
        await pause()
        identifier = self.find(_name(request.image))
        if identifier is not None:
            _, image = self._present.pop(identifier)
            self.used_bytes -= image.size
        return api.RemoveImageResponse()

    async def pull_image(
        self, request: api.PullImageRequest, pause: Pause
    ) -> api.PullImageResponse:
        """Pull an image; the pull ends when its caller cancels it."""
        await pause()
        name = full_name(_name(request.image))
        image = self._known.get(name, self._default)
        if image.state == "missing":
            message = (
                f'failed to pull and unpack image "{name}": {_RESOLVE} "{name}": {name}: not found'
            )
            raise Refusal(message, StatusCode.NOT_FOUND)
        if image.state == "hanging":
            await asyncio.Event().wait()
        return api.PullImageResponse(image_ref=self._add(name, image))

    async def image_fs_info(
        self, _request: api.ImageFsInfoRequest, pause: Pause
    ) -> api.ImageFsInfoResponse:
        """Return the total size of the images."""
        await pause()
        usage = api.FilesystemUsage(
            timestamp=time.time_ns(),
            fs_id=api.FilesystemIdentifier(mountpoint=self.mountpoint),
            used_bytes=api.UInt64Value(value=self.used_bytes),
        )
        return api.ImageFsInfoResponse(image_filesystems=(usage,))


def _name(spec: api.ImageSpec | None) -> str:
    return "" if spec is None else spec.image
