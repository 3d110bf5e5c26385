"""A handler that boots a virtual machine: proof that the handler is really used."""

import platform

from .system import await_that


def test_zone_of_handler_vm_has_another_kernel_and_its_own_hosts_file(start_system):
    system = start_system(handler="vm")
    system.run("machine", "sh", "-c", "uname -r; cat /etc/hosts; exec sleep 3600", memory_mb=512)
    system.await_state("machine", "running")
    await_that("its hosts file", lambda: system.log("machine").endswith(b"\tmachine\n"))
    release = system.log("machine").decode().splitlines()[0]
    assert release not in {"", platform.release()}

    found = await_that(
        "evidence", lambda: system.request("GET", "/workloads/machine?spec")[1].get("isolation")
    )
    assert (found["handler"], found["host_kernel"]) == ("vm", platform.release())
    assert found.get("kernel") != found["host_kernel"]
    system.remove("machine")
