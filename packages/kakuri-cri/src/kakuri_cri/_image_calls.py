"""The calls about images."""

from collections.abc import Mapping

from kakuri_cri import api
from kakuri_cri._caller import Caller, required

_SERVICE = api.ImageService


class ImageCalls(Caller):
    """Pulls, removes and lists images."""

    async def image_status(self, image: str, timeout: float | None = None) -> api.Image | None:
        """Return an image on the node; None if it does not exist."""
        request = api.ImageStatusRequest(image=api.ImageSpec(image=image))
        timeout = self._seconds(timeout)
        return (await self.call(_SERVICE.ImageStatus, request, timeout=timeout)).image

    async def image_info(self, image: str, timeout: float | None = None) -> Mapping[str, str]:
        """Return runtime-specific information about an image: JSON by key."""
        request = api.ImageStatusRequest(image=api.ImageSpec(image=image), verbose=True)
        timeout = self._seconds(timeout)
        return (await self.call(_SERVICE.ImageStatus, request, timeout=timeout)).info

    async def list_images(self, timeout: float | None = None) -> list[api.Image]:
        """Return the images on the node."""
        request = api.ListImagesRequest()
        timeout = self._seconds(timeout)
        return list((await self.call(_SERVICE.ListImages, request, timeout=timeout)).images)

    async def remove_image(self, image: str, timeout: float | None = None) -> None:
        """Remove an image with all of its tags; succeeds if it does not exist."""
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
        """Pull an image, and return the reference from which to create containers.

        Args:
            image: The name of the image.
            timeout: Seconds; None for no limit, because a registry may be slow.
            auth: Credentials for the registry.
            sandbox_config: The sandbox that the image is for, if there is one.

        Raises:
            CriError: The call failed.
        """
        request = api.PullImageRequest(
            image=api.ImageSpec(image=image), auth=auth, sandbox_config=sandbox_config
        )
        response = await self.call(_SERVICE.PullImage, request, timeout=timeout)
        return required("PullImage", "image_ref", response.image_ref)

    async def image_fs_info(self, timeout: float | None = None) -> list[api.FilesystemUsage]:
        """Return the usage of the image file systems; some runtimes return an empty list."""
        return list((await self.fs_info(timeout)).image_filesystems)

    async def fs_info(self, timeout: float | None = None) -> api.ImageFsInfoResponse:
        """Return the usage of the file systems of images and, since CRI 1.29, of containers."""
        request = api.ImageFsInfoRequest()
        timeout = self._seconds(timeout)
        return await self.call(_SERVICE.ImageFsInfo, request, timeout=timeout)
