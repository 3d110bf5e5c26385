"""A handler that boots a virtual machine: proof that the handler is really used."""

import platform


def test_zone_of_handler_vm_has_another_kernel_and_its_own_hosts_file(start_system):
    system = start_system(handler="vm")
    system.run("machine", "sh", "-c", "uname -r; cat /etc/hosts", memory_mb=512)
    assert system.await_end("machine")["state"] == "succeeded"
    release, *hosts = system.log("machine").decode().splitlines()
    assert release != ""
    assert hosts[-1].endswith("\tmachine")
    assert release != platform.release()
    system.remove("machine")
