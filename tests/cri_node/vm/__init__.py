"""An OCI runtime that runs each container in a virtual machine of its own, for tests.

containerd's shim for runc calls it as it calls runc: create, start, kill, delete, state, ps. A
pod's sandbox goes to runc unchanged; a container becomes a QEMU machine that has the pod's address,
no more memory than the container's limit, and a kernel that is not the node's. It needs no hardware
support, and nothing but Python's standard library.

Left out: exec, update, volumes, users other than root, and more than one container in a pod.
"""
