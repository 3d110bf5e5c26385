"""A handler that boots a virtual machine: proof that the handler is really used."""

import platform

from .system import IDLE, await_that


def test_zone_of_handler_vm_has_another_kernel_and_its_own_hosts_file(start_system):
    system = start_system(handler="vm")
    system.run("machine", "sh", "-c", "uname -r; cat /etc/hosts", memory_mb=512)
    assert system.await_end("machine")["state"] == "succeeded"
    release, *hosts = system.log("machine").decode().splitlines()
    assert release != ""
    assert hosts[-1].endswith("\tmachine")
    assert release != platform.release()
    system.remove("machine")

    system.run("shown", *IDLE, memory_mb=512)
    system.await_state("shown", "running")
    found = await_that(
        "evidence", lambda: system.request("GET", "/workloads/shown?spec")[1].get("isolation")
    )
    assert (found["handler"], found["host_kernel"]) == ("vm", platform.release())
    assert found.get("kernel") != found["host_kernel"]
    system.remove("shown")
