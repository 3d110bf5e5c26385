"""Compares this package with protobuf (upb) and betterproto2.

The messages are those that a node agent reads: a container's status of some 800 bytes, a list of
200 containers, and a small request. "read" touches the fields that an agent reads, which matters
as upb decodes lazily. Each round runs every library, one after another, and the median of the
rounds is shown, with the ratio to upb in the same round.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kakuri_protobuf
from rich.console import Console
from rich.table import Table

DIRECTORY = Path(__file__).resolve().parent
ROUNDS = 7


def prepare(directory: Path) -> None:
    """Make modules of the benchmark's .proto file for each library."""
    run = [sys.executable, "-m", "kakuri_protobuf", "compile", str(DIRECTORY / "containers.proto")]
    subprocess.run([*run, "-o", str(directory / "containers_kakuri.py")], check=True)
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{DIRECTORY}"]
    scripts = Path(sys.executable).parent  # where protoc finds betterproto2's plug-in
    environment = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}"}
    (directory / "better").mkdir()
    outputs = [f"--python_out={directory}", f"--python_betterproto2_out={directory / 'better'}"]
    subprocess.run([*protoc, *outputs, "containers.proto"], check=True, env=environment,
                   capture_output=True)  # fmt: skip
    sys.path.insert(0, str(directory))


def build(module: Any, *, count: int) -> tuple[Any, Any, Any]:
    """Return a status, a list and a request as messages of protobuf."""
    mounts = [
        module.Mount(
            container_path=f"/mnt/{n}", host_path=f"/var/lib/volumes/{n}", readonly=n % 2 == 0
        )
        for n in range(4)
    ]
    labels = {f"io.example.label-{n}": f"value-{n}" for n in range(4)}
    annotations = {f"io.example.annotation-{n}": "a" * 60 for n in range(3)}
    status = module.ContainerStatusResponse(
        status=module.ContainerStatus(
            id="5f0c9a3e" * 8,
            metadata=module.ContainerMetadata(name="job-1", attempt=2),
            state=1,
            created_at=1795453445123456789,
            started_at=1795453446123456789,
            finished_at=0,
            exit_code=0,
            image=module.ImageSpec(image="registry.example/library/nginx:1.27"),
            image_ref="sha256:" + "ab" * 32,
            reason="",
            labels=labels,
            annotations=annotations,
            mounts=mounts,
            log_path="/var/log/kakuri/job-1/2.log",
        ),
        info={"pid": "4711"},
    )
    containers = [
        module.Container(
            id=f"{n:064x}",
            pod_sandbox_id=f"{n + 1:064x}",
            metadata=module.ContainerMetadata(name=f"job-{n}", attempt=n % 3),
            image=module.ImageSpec(image="registry.example/library/nginx:1.27"),
            image_ref="sha256:" + "ab" * 32,
            state=1,
            created_at=1795453445123456789 + n,
            labels=labels,
            annotations=annotations,
        )
        for n in range(count)
    ]
    return status, module.ListContainersResponse(containers=containers), None


def read_status(status: Any) -> None:
    _ = (status.id, status.metadata.name, status.metadata.attempt, status.state, status.created_at,
         status.started_at, status.finished_at, status.exit_code, status.image.image,
         status.image_ref, status.reason, status.log_path, dict(status.labels),
         dict(status.annotations))  # fmt: skip
    for mount in status.mounts:
        _ = (mount.container_path, mount.host_path, mount.readonly)


def read_list(response: Any) -> None:
    for one in response.containers:
        _ = (one.id, one.pod_sandbox_id, one.metadata.name, one.metadata.attempt, one.state,
             one.created_at, dict(one.labels), dict(one.annotations))  # fmt: skip


def microseconds(work: Callable[[], object]) -> float:
    """Return what one call takes, in microseconds of this process."""
    work()
    number = 1
    while True:
        start = time.process_time()
        for _ in range(number):
            work()
        taken = time.process_time() - start
        if taken > 0.05:
            return taken / number * 1e6
        number *= 4


def rows(ours: Any, official: Any, better: Any) -> dict[str, tuple[Callable[[], object], ...]]:
    """Return what is measured: the work of each library, by name."""
    status, listing, _ = build(official, count=200)
    status_bytes, list_bytes = status.SerializeToString(), listing.SerializeToString()
    decode, encode = kakuri_protobuf.decode, kakuri_protobuf.encode
    our_status = decode(status_bytes, type=ours.ContainerStatusResponse)
    our_list = decode(list_bytes, type=ours.ListContainersResponse)
    better_status = better.ContainerStatusResponse.parse(status_bytes)
    better_list = better.ListContainersResponse.parse(list_bytes)
    container_id = "5f0c9a3e" * 8
    return {
        f"decode and read status, {len(status_bytes)} bytes": (
            lambda: read_status(decode(status_bytes, type=ours.ContainerStatusResponse).status),
            lambda: read_status(official.ContainerStatusResponse.FromString(status_bytes).status),
            lambda: read_status(better.ContainerStatusResponse.parse(status_bytes).status),
        ),
        f"decode and read list of 200, {len(list_bytes)} bytes": (
            lambda: read_list(decode(list_bytes, type=ours.ListContainersResponse)),
            lambda: read_list(official.ListContainersResponse.FromString(list_bytes)),
            lambda: read_list(better.ListContainersResponse.parse(list_bytes)),
        ),
        "make and encode request": (
            lambda: encode(ours.ContainerStatusRequest(container_id=container_id)),
            lambda: official.ContainerStatusRequest(container_id=container_id).SerializeToString(),
            lambda: bytes(better.ContainerStatusRequest(container_id=container_id)),
        ),
        "encode status": (
            lambda: encode(our_status), status.SerializeToString, lambda: bytes(better_status),
        ),
        "encode list of 200": (
            lambda: encode(our_list), listing.SerializeToString, lambda: bytes(better_list),
        ),
    }  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name))
        import containers_kakuri as ours  # noqa: PLC0415 - made just now
        import containers_pb2 as official  # noqa: PLC0415
        from better.bench import v1 as better  # noqa: PLC0415

        title = f"µs of CPU, CPython {sys.version.split()[0]}, median of {ROUNDS} rounds"
        table = Table(title=title)
        headings = ("work", "kakuri-protobuf", "protobuf (upb)", "ratio", "betterproto2",
                    "times as fast")  # fmt: skip
        for heading in headings:
            table.add_column(heading, justify="left" if heading == "work" else "right")
        for work, functions in rows(ours, official, better).items():
            rounds = [[microseconds(one) for one in functions] for _ in range(ROUNDS)]
            taken = [f"{statistics.median(column):.2f}" for column in zip(*rounds, strict=True)]
            ratio = statistics.median(mine / upb for mine, upb, _ in rounds)
            faster = statistics.median(other / mine for mine, _, other in rounds)
            table.add_row(work, *taken[:2], f"{ratio:.2f} ×", taken[2], f"{faster:.1f} ×")
        Console().print(table)


if __name__ == "__main__":
    main()
