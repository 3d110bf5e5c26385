"""The calls about images."""

from collections.abc import Mapping

from kakuri_cri import api
from kakuri_cri._caller import Caller, expected

_SERVICE = api.ImageService


class ImageCalls(Caller):
    """Pulls, removes and lists images."""

    async def image_status(self, image: str, timeout: float | None = None) -> api.Image | None:
        """Return an image of the node; None if it has none of this name."""
        request = api.ImageStatusRequest(image=api.ImageSpec(image=image))
        timeout = self._seconds(timeout)
        return (await self.call(_SERVICE.ImageStatus, request, timeout=timeout)).image

    async def image_info(self, image: str, timeout: float | None = None) -> Mapping[str, str]:
        """Return what the runtime itself says about an image: JSON by key."""
        request = api.ImageStatusRequest(image=api.ImageSpec(image=image), verbose=True)
        timeout = self._seconds(timeout)
        return (await self.call(_SERVICE.ImageStatus, request, timeout=timeout)).info

    async def list_images(self, timeout: float | None = None) -> list[api.Image]:
        """Return the images of the node."""
        request = api.ListImagesRequest()
        timeout = self._seconds(timeout)
        return list((await self.call(_SERVICE.ListImages, request, timeout=timeout)).images)

    async def remove_image(self, image: str, timeout: float | None = None) -> None:
        """Remove an image with all of its tags; succeeds if there is none of this name."""
        request = api.RemoveImageRequest(image=api.ImageSpec(image=image))
        await self.call(_SERVICE.RemoveImage, request, timeout=self._seconds(timeout))

    async def pull_image(
        self,
        image: str,
        timeout: float | None = None,
        *,
        auth: api.AuthConfig | None = None,
        sandbox_config: api.PodSandboxConfig | None = None,
    ) -> str:
        """Pull an image, and return the reference to create containers from.

        Args:
            image: its name.
            timeout: seconds; None for no limit, as a pull takes as long as the registry does.
            auth: credentials for the registry.
            sandbox_config: of the sandbox that the image is for, if there is one.

        Raises:
            CriError: the call failed.

        """
        request = api.PullImageRequest(
            image=api.ImageSpec(image=image), auth=auth, sandbox_config=sandbox_config
        )
        answer = await self.call(_SERVICE.PullImage, request, timeout=timeout)
        return expected("PullImage", "image_ref", answer.image_ref)

    async def image_fs_info(self, timeout: float | None = None) -> list[api.FilesystemUsage]:
        """Return what images take of their file systems; some runtimes return none."""
        return list((await self.fs_info(timeout)).image_filesystems)

    async def fs_info(self, timeout: float | None = None) -> api.ImageFsInfoResponse:
        """Return what images, and since CRI 1.29 containers, take of their file systems."""
        request = api.ImageFsInfoRequest()
        timeout = self._seconds(timeout)
        return await self.call(_SERVICE.ImageFsInfo, request, timeout=timeout)
