"""The CRI's calls: their paths and their messages.

The `.proto` beside this module is compiled to messages alone. A call is little more than a path
and two message classes, so it is spelled here, typed, instead of in generated stubs.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from kakuri_sidecar import _cri_api_pb2 as api

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

RUNTIME_SERVICE = "runtime.v1.RuntimeService"
IMAGE_SERVICE = "runtime.v1.ImageService"


@dataclass(frozen=True)
class Call(Generic[Request, Response]):
    """One call; of a streaming one, the response is what comes again and again."""

    service: str
    name: str
    request: type[Request]
    response: type[Response]

    @property
    def path(self) -> str:
        """The path of its HTTP/2 request."""
        return f"/{self.service}/{self.name}"


VERSION = Call(RUNTIME_SERVICE, "Version", api.VersionRequest, api.VersionResponse)
STATUS = Call(RUNTIME_SERVICE, "Status", api.StatusRequest, api.StatusResponse)
RUNTIME_CONFIG = Call(
    RUNTIME_SERVICE, "RuntimeConfig", api.RuntimeConfigRequest, api.RuntimeConfigResponse
)
RUN_POD_SANDBOX = Call(
    RUNTIME_SERVICE, "RunPodSandbox", api.RunPodSandboxRequest, api.RunPodSandboxResponse
)
STOP_POD_SANDBOX = Call(
    RUNTIME_SERVICE, "StopPodSandbox", api.StopPodSandboxRequest, api.StopPodSandboxResponse
)
REMOVE_POD_SANDBOX = Call(
    RUNTIME_SERVICE, "RemovePodSandbox", api.RemovePodSandboxRequest, api.RemovePodSandboxResponse
)
POD_SANDBOX_STATUS = Call(
    RUNTIME_SERVICE, "PodSandboxStatus", api.PodSandboxStatusRequest, api.PodSandboxStatusResponse
)
LIST_POD_SANDBOX = Call(
    RUNTIME_SERVICE, "ListPodSandbox", api.ListPodSandboxRequest, api.ListPodSandboxResponse
)
CREATE_CONTAINER = Call(
    RUNTIME_SERVICE, "CreateContainer", api.CreateContainerRequest, api.CreateContainerResponse
)
START_CONTAINER = Call(
    RUNTIME_SERVICE, "StartContainer", api.StartContainerRequest, api.StartContainerResponse
)
STOP_CONTAINER = Call(
    RUNTIME_SERVICE, "StopContainer", api.StopContainerRequest, api.StopContainerResponse
)
REMOVE_CONTAINER = Call(
    RUNTIME_SERVICE, "RemoveContainer", api.RemoveContainerRequest, api.RemoveContainerResponse
)
CONTAINER_STATUS = Call(
    RUNTIME_SERVICE, "ContainerStatus", api.ContainerStatusRequest, api.ContainerStatusResponse
)
LIST_CONTAINERS = Call(
    RUNTIME_SERVICE, "ListContainers", api.ListContainersRequest, api.ListContainersResponse
)
REOPEN_CONTAINER_LOG = Call(
    RUNTIME_SERVICE,
    "ReopenContainerLog",
    api.ReopenContainerLogRequest,
    api.ReopenContainerLogResponse,
)
GET_CONTAINER_EVENTS = Call(
    RUNTIME_SERVICE, "GetContainerEvents", api.GetEventsRequest, api.ContainerEventResponse
)
LIST_IMAGES = Call(IMAGE_SERVICE, "ListImages", api.ListImagesRequest, api.ListImagesResponse)
REMOVE_IMAGE = Call(IMAGE_SERVICE, "RemoveImage", api.RemoveImageRequest, api.RemoveImageResponse)
IMAGE_STATUS = Call(IMAGE_SERVICE, "ImageStatus", api.ImageStatusRequest, api.ImageStatusResponse)
PULL_IMAGE = Call(IMAGE_SERVICE, "PullImage", api.PullImageRequest, api.PullImageResponse)
IMAGE_FS_INFO = Call(IMAGE_SERVICE, "ImageFsInfo", api.ImageFsInfoRequest, api.ImageFsInfoResponse)
