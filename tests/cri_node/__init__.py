"""A CRI node for the duration of one command: containerd, runc, CNI and a registry in namespaces.

`python -m tests.cri_node -- COMMAND` runs a command on such a node, which it finds with
`tests.cri_node.node.CriNode.from_environment()`. How it works: docs/design/cri-node.md.
"""
