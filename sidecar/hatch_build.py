"""Compile the CRI's messages when a wheel is built or the project is installed as an editable."""

import re
from pathlib import Path
from typing import Any

from grpc_tools import protoc  # type: ignore[import-untyped]  # it has no types
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROTO = "kakuri_sidecar/_cri_api.proto"
_COMPILED_FOR = re.compile(r"^# Protobuf Python Version: (\d+\.\d+\.\d+)$", re.MULTILINE)


class CompileMessages(BuildHookInterface[Any]):
    """Writes the Python modules beside the .proto; git and sdists leave them out."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, have the results packed, and require a protobuf that can load them."""
        source = Path(self.root) / "src"
        outputs = ["--python_out", "--pyi_out"]
        arguments = ["protoc", f"-I{source}", *(f"{name}={source}" for name in outputs), PROTO]
        if protoc.main(arguments) != 0:
            raise RuntimeError(f"protoc could not compile {PROTO}; its words are above")
        stem = PROTO.removesuffix(".proto")
        build_data["artifacts"] += [f"src/{stem}_pb2.py", f"src/{stem}_pb2.pyi"]
        compiled_for = _COMPILED_FOR.search((source / f"{stem}_pb2.py").read_text())
        if compiled_for is None:
            raise RuntimeError(f"expected the version of protobuf in what protoc made of {PROTO}")
        build_data["dependencies"].append(f"protobuf>={compiled_for[1]}")
