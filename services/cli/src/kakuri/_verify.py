"""The verb `verify`."""

import click

from kakuri._exits import Exit
from kakuri._group import Verb
from kakuri._invocation import Invocation

FILES = click.option("-f", "--file", "files", multiple=True, metavar="FILE|DIR|-",
                     help="Files of workloads; by default kakuri.toml.")  # fmt: skip
DEFAULT_FILE = ("kakuri.toml",)


@click.command(cls=Verb)
@FILES
@click.argument("more", nargs=-1, metavar="[FILE|DIR|-]...")
@click.pass_obj
def verify(invocation: Invocation, *, files: tuple[str, ...], more: tuple[str, ...]) -> int:
    """Check files of workloads without a server; report every fault with its path and line."""
    from kakuri._files import FileFaults, read_manifest  # noqa: PLC0415 (not for --help)

    try:
        manifest = read_manifest((*files, *more) or DEFAULT_FILE)
    except FileFaults as error:
        if not invocation.is_json:
            raise
        from kakuri_json import encode  # noqa: PLC0415 (only here)

        faults = [
            {key: value for key, value in
             (("file", fault.file), ("line", fault.line), ("path", fault.path),
              ("message", fault.message)) if value is not None}
            for fault in error.faults
        ]  # fmt: skip
        error.document = encode(
            {"title": "the file is not valid", "code": "usage", "errors": faults}
        )
        raise
    if invocation.is_json:
        invocation.out_value({"set": manifest.set_name,
                              "workloads": list(manifest.workloads.values())})  # fmt: skip
    else:
        for name, workload in manifest.workloads.items():
            invocation.out(name if invocation.is_name else f"{name}  ok   {workload['image']}")
    return Exit.OK
