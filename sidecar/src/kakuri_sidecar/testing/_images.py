"""The images of a runtime that is not there."""

import asyncio
import time
from collections.abc import Mapping

import grpc
from kakuri_json import encode

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
        self._present: dict[str, tuple[str, FakeImage]] = {}  # name and image by id
        self._tags: dict[str, str] = {}  # ids by name
        for name, image in self._known.items():
            if image.state == "present":
                self._add(name, image)

    def set(self, name: str, image: FakeImage) -> None:
        """Let an image be another from now on; a pull that hangs goes on to hang."""
        name = full_name(name)
        self._known[name] = image
        self._present.pop(self._tags.pop(name, ""), None)
        if image.state == "present":
            self._add(name, image)

    def push(self, name: str, image: FakeImage) -> None:
        """Replace the registry's image of this name; the one on the node stays."""
        self._known[full_name(name)] = image

    def get(self, identifier: str) -> FakeImage:
        """Return the image of an id."""
        return self._present[identifier][1]

    def find(self, image: str) -> str | None:
        """Return the id of an image that is on the node, from a name or an id."""
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
        status = api.Image(
            id=identifier,
            repo_tags=[name] if self._tags.get(name) == identifier else [],
            repo_digests=[f"{repository}@{image_id(identifier)}"],
            size=image.size,
            pinned=image.is_pinned,
        )
        user = image.user.partition(":")[0]
        if user.isdecimal():
            status.uid.value = int(user)
            status.uid.SetInParent()
        else:
            status.username = user
        return status

    async def image_status(
        self, request: api.ImageStatusRequest, pause: Pause
    ) -> api.ImageStatusResponse:
        """Tell of an image; the answer is empty if it is not on the node."""
        await pause()
        identifier = self.find(request.image.image)
        if identifier is None:
            return api.ImageStatusResponse()
        answer = api.ImageStatusResponse(image=self._status(identifier))
        if request.verbose:
            image = self.get(identifier)
            config = {"User": image.user, "WorkingDir": image.working_dir}
            info = {"imageSpec": {"config": config}}
            answer.info["info"] = encode(info).decode()
        return answer

    async def list_images(
        self, _request: api.ListImagesRequest, pause: Pause
    ) -> api.ListImagesResponse:
        """Tell of every image that is on the node."""
        await pause()
        return api.ListImagesResponse(images=map(self._status, self._present))

    async def remove_image(
        self, request: api.RemoveImageRequest, pause: Pause
    ) -> api.RemoveImageResponse:
        """Remove an image; done if it is gone."""
        await pause()
        identifier = self.find(request.image.image)
        if identifier is not None:
            _, image = self._present.pop(identifier)
            self.used_bytes -= image.size
        return api.RemoveImageResponse()

    async def pull_image(
        self, request: api.PullImageRequest, pause: Pause
    ) -> api.PullImageResponse:
        """Fetch an image; the caller's leaving ends the pull."""
        await pause()
        name = full_name(request.image.image)
        image = self._known.get(name, self._default)
        if image.state == "missing":
            words = (
                f'failed to pull and unpack image "{name}": {_RESOLVE} "{name}": {name}: not found'
            )
            raise Refusal(words, grpc.StatusCode.NOT_FOUND)
        if image.state == "hanging":
            await asyncio.Event().wait()
        return api.PullImageResponse(image_ref=self._add(name, image))

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
