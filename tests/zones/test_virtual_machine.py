"""A handler that boots a virtual machine: proof that the handler is really used."""

import platform


def test_the_kernel_inside_is_another_one(start_system):
    system = start_system(handler="vm")
    system.run("machine", "uname", "-r", memory_mb=512)
    assert system.await_end("machine")["state"] == "succeeded"
    release = system.log("machine").decode().strip()
    assert release != ""
    assert release != platform.release()
    system.remove("machine")
