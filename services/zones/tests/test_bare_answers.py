"""Answers of a runtime that leaves out every optional field.

In protocol buffers any sub-message may be absent, which is None in kakuri-cri's messages.
"""

import pytest
from kakuri_cri import Runtime, api
from kakuri_protobuf import encode
from kakuri_tcp import Endpoint
from kakuri_workload import WorkloadState
from kakuri_zones import Settings, zone_node
from kakuri_zones import _labels as labels
from kakuri_zones._cgroups import CgroupParent
from kakuri_zones._image_collection import ImageCollector
from kakuri_zones._images import Images
from kakuri_zones._progress import PullProgress
from kakuri_zones._reader import RuntimeReader

OURS = labels.of_zone("z")


class BareChannel:
    """A channel to a runtime whose answers are empty, except for those of the test."""

    def __init__(self, **answers):
        self.answers = answers

    async def call(self, path, request, *, timeout):
        answer = self.answers.get(path.rpartition("/")[2])
        return b"" if answer is None else encode(answer)

    async def stream(self, path, request, *, timeout):
        return
        yield

    async def close(self):
        pass


def bare(**answers):
    return Runtime(BareChannel(**answers))


@pytest.fixture
def listed():
    return bare(
        ListPodSandbox=api.ListPodSandboxResponse(items=(api.PodSandbox(id="s", labels=OURS),)),
        ListContainers=api.ListContainersResponse(
            containers=(api.Container(id="c", pod_sandbox_id="s", labels=OURS),)
        ),
        PodSandboxStatus=api.PodSandboxStatusResponse(status=api.PodSandboxStatus()),
        ContainerStatus=api.ContainerStatusResponse(status=api.ContainerStatus()),
    )


async def test_zone_without_metadata_and_network_is_listed(listed):
    zone = (await RuntimeReader(listed).all())["z"]
    assert (zone.container.cri_attempt, zone.sandbox.cri_attempt) == (0, 0)
    assert zone.sandbox.address is None
    assert zone.status().state is WorkloadState.PENDING


async def test_status_without_content_keeps_the_listed_state():
    cri = bare(
        ListPodSandbox=api.ListPodSandboxResponse(items=(api.PodSandbox(id="s", labels=OURS),)),
        ListContainers=api.ListContainersResponse(
            containers=(
                api.Container(
                    id="c", pod_sandbox_id="s", labels=OURS,
                    state=api.ContainerState.CONTAINER_RUNNING,
                ),
            )
        ),
    )  # fmt: skip
    zone = (await RuntimeReader(cri).all())["z"]
    assert zone.status().state is WorkloadState.RUNNING
    assert zone.container.is_stale


async def test_images_without_names_and_containers_without_images_are_collected():
    cri = bare(
        ListImages=api.ListImagesResponse(images=(api.Image(id="i"), api.Image(id="j"))),
        ListContainers=api.ListContainersResponse(containers=(api.Container(image_ref="j"),)),
        ImageFsInfo=api.ImageFsInfoResponse(image_filesystems=(api.FilesystemUsage(),)),
    )
    collector = ImageCollector(cri, Images(cri), disk=lambda path: None)
    await collector.collect()
    assert collector.problem == "can't read the disk usage of ''"


def test_file_system_without_figures_makes_no_progress():
    progress = PullProgress(0.0, received_by=lambda path: None)
    progress.update([api.FilesystemUsage()], 1.0)
    assert (progress.bytes_seen, progress.stalled_for(1.0)) == (0, 1.0)


async def test_runtime_config_without_linux_gives_the_default_parent():
    assert await CgroupParent(bare())() == "/kakuri"


async def test_health_without_conditions_names_the_missing_ones(tmp_path):
    settings = Settings(cri=Endpoint.unix("/unused"), log_dir=tmp_path)
    async with bare() as cri, zone_node(cri, settings) as node:
        health = await node.health()
    assert health.status == "unavailable"
    assert health.message == "RuntimeReady: not reported; NetworkReady: not reported"
    assert (health.conditions, health.handlers) == ([], None)
