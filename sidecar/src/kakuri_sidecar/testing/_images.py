"""The images of a runtime that is not there."""

import asyncio
import time
from collections.abc import Mapping

import grpc

from kakuri_sidecar import _cri_api_pb2 as api
from kakuri_sidecar.testing._names import full_name, image_id, is_image_id
from kakuri_sidecar.testing._objects import FakeImage, Pause, Refusal

_RESOLVE = "failed to resolve reference"


class FakeImages:
    """What is on the node, and what can be pulled.

    Attributes:
        used_bytes: bytes that images take, as ImageFsInfo tells.
        mountpoint: where they lie, as ImageFsInfo tells.

    """

    def __init__(self, images: Mapping[str, FakeImage], default: FakeImage) -> None:
        self.used_bytes = 0
        self.mountpoint = "/var/lib/fake/images"
        self._known = {full_name(name): image for name, image in images.items()}
        self._default = default
        self._present: dict[str, str] = {}  # names by id
        for name, image in self._known.items():
            if image.state == "present":
                self._add(name, image)

    def set(self, name: str, image: FakeImage) -> None:
        """Let an image be another from now on; a pull that hangs goes on to hang."""
        name = full_name(name)
        self._known[name] = image
        self._present.pop(image_id(name), None)
        if image.state == "present":
            self._add(name, image)

    def get(self, name: str) -> FakeImage:
        """Give what the image of a full name is."""
        return self._known.get(name, self._default)

    def find(self, image: str) -> str | None:
        """Give the full name of an image that is on the node, from a name or an id."""
        identifier = image if is_image_id(image) else image_id(full_name(image))
        return self._present.get(identifier)

    def _add(self, name: str, image: FakeImage) -> None:
        if image_id(name) not in self._present:
            self._present[image_id(name)] = name
            self.used_bytes += image.size

    async def image_status(
        self, request: api.ImageStatusRequest, pause: Pause
    ) -> api.ImageStatusResponse:
        """Tell of an image; the answer is empty if it is not on the node."""
        await pause()
        name = self.find(request.image.image)
        if name is None:
            return api.ImageStatusResponse()
        return api.ImageStatusResponse(
            image=api.Image(id=image_id(name), repo_tags=[name], size=self.get(name).size)
        )

    async def pull_image(
        self, request: api.PullImageRequest, pause: Pause
    ) -> api.PullImageResponse:
        """Fetch an image; the caller's leaving ends the pull."""
        await pause()
        name = full_name(request.image.image)
        image = self.get(name)
        if image.state == "missing":
            words = (
                f'failed to pull and unpack image "{name}": {_RESOLVE} "{name}": {name}: not found'
            )
            raise Refusal(words, grpc.StatusCode.NOT_FOUND)
        if image.state == "hanging":
            await asyncio.Event().wait()
        self._add(name, image)
        return api.PullImageResponse(image_ref=image_id(name))

    async def image_fs_info(
        self, _request: api.ImageFsInfoRequest, pause: Pause
    ) -> api.ImageFsInfoResponse:
        """Tell how many bytes images take."""
        await pause()
        usage = api.FilesystemUsage(
            timestamp=time.time_ns(),
            fs_id=api.FilesystemIdentifier(mountpoint=self.mountpoint),
            used_bytes=api.UInt64Value(value=self.used_bytes),
        )
        return api.ImageFsInfoResponse(image_filesystems=[usage])
