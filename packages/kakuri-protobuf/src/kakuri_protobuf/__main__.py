"""The command `python -m kakuri_protobuf`: compile .proto files, and show encoded messages."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kakuri_protobuf._errors import DecodeError, ProtoSyntaxError
from kakuri_protobuf._inspect import inspect
from kakuri_protobuf.compiler import compile_file


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, or 1 if a file is not valid."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "compile":
            source = compile_file(
                options.file, include=options.include, keep_unknown=options.keep_unknown
            )
            if options.output is None:
                sys.stdout.write(source)
            else:
                options.output.write_text(source, encoding="utf-8")
        else:
            data = sys.stdin.buffer.read() if options.file is None else options.file.read_bytes()
            sys.stdout.write(f"{inspect(data)}\n" if data else "")
    except (ProtoSyntaxError, DecodeError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kakuri_protobuf", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    compiling = commands.add_parser("compile", help="write the message classes of a .proto file")
    compiling.add_argument("file", type=Path, metavar="FILE.proto")
    compiling.add_argument(
        "-o", "--output", type=Path, help="the module to write instead of standard output"
    )
    compiling.add_argument(
        "-I",
        "--include",
        type=Path,
        action="append",
        default=[],
        metavar="DIRECTORY",
        help="a directory in which imported files are looked up",
    )
    compiling.add_argument(
        "--keep-unknown", action="store_true", help="let messages keep unknown fields"
    )
    inspecting = commands.add_parser("inspect", help="show an encoded message without its type")
    inspecting.add_argument("file", type=Path, nargs="?", help="standard input unless given")
    return parser


if __name__ == "__main__":
    sys.exit(main())
