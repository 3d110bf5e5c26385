import textwrap

import kakuri_cri.testing
from kakuri_cri import Runtime, RuntimeUnavailable, api


async def start_zone(endpoint, directory):
    """Stand in for a program under test, which recovers from a lost response."""
    metadata = api.PodSandboxMetadata(name="my-zone", uid="my-zone", namespace="kakuri")
    config = api.PodSandboxConfig(metadata=metadata, log_directory=str(directory))
    async with Runtime(endpoint) as client:
        try:
            sandbox = await client.run_pod_sandbox(config, "edera")
        except RuntimeUnavailable:
            [found] = await client.list_pod_sandboxes({})
            sandbox = found.id
        container = api.ContainerConfig(
            metadata=api.ContainerMetadata(name="main"),
            image=api.ImageSpec(image="web:1"),
            log_path="0.log",
        )
        await client.start_container(await client.create_container(sandbox, container, config))


async def test_example_of_the_module_runs(tmp_path):
    example = kakuri_cri.testing.__doc__.split("\n\n")[1]
    names = dict(vars(kakuri_cri.testing))
    names["start_zone"] = lambda endpoint: start_zone(endpoint, tmp_path)
    exec("async def run():\n" + textwrap.indent(textwrap.dedent(example), "    "), names)
    await names["run"]()
    assert (tmp_path / "0.log").read_bytes().endswith(b" stdout F hello\n")
