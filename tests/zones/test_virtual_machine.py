"""A handler that boots a virtual machine: proof that the handler is really used."""

import platform


def test_the_kernel_and_the_hosts_file_inside_are_those_of_the_machine(start_system):
    system = start_system(handler="vm")
    system.run("machine", "sh", "-c", "uname -r; cat /etc/hosts", memory_mb=512)
    assert system.await_end("machine")["state"] == "succeeded"
    release, *hosts = system.log("machine").decode().splitlines()
    assert release != ""
    assert hosts[-1].endswith("\tmachine")
    assert release != platform.release()
    system.remove("machine")
