"""Images on a real runtime are removed when no container uses them and the disk is full."""

from .images import derive, push
from .system import await_that


def images_of(system):
    return system.ctr("images", "ls", "-q")


def test_unused_images_are_removed_from_a_full_disk(start_system):
    system = start_system(
        options=(
            "--image-gc-high", "1", "--image-gc-low", "0", "--image-min-age", "0",
            "--image-gc-interval", "1", "--keep-image", "busybox", "--keep-image", "nginx",
        )
    )  # fmt: skip
    system.run("kept", "true")
    system.await_end("kept")
    for name in ("unused", "used"):
        made = derive(
            system.node, Cmd=["sh", "-c", f": {name}; trap 'exit 0' TERM; sleep 600 & wait"]
        )
        push(system.node, f"{name}:1", made)
        assert system.submit(name, image=f"{name}:1")[0] == 201
        system.await_state(name, "running")
    system.remove("kept", "unused")
    await_that("removal of the image", lambda: "/unused:1" not in images_of(system))
    assert "/used:1" in images_of(system)
    assert "/pause:1" in images_of(system)
    assert "/busybox:latest" in images_of(system)
    assert b"image removed" in system.zone_log
    system.remove("used")
    await_that("removal of the image", lambda: "/used:1" not in images_of(system))
