"""The verb `doctor`: checks of everything that a workload needs to run."""

from collections.abc import Iterator
from typing import Any

import click

from kakuri._check import FAIL, SKIP, WARN, Check
from kakuri._exits import Exit
from kakuri._group import Verb
from kakuri._invocation import Invocation
from kakuri._tables import STATE_COLORS

_WIDTH = 36


@click.command(cls=Verb)
@click.option("--run", "is_run", is_flag=True,
              help="Also start a workload, read its log, and remove it.")  # fmt: skip
@click.option("--image", default="busybox:1.37", show_default=True,
              help="The image for --run; it needs sh and uname.")  # fmt: skip
@click.option("--local/--no-local", "is_local", default=None,
              help="Also check this machine; by default, if the host is on it.")  # fmt: skip
@click.pass_obj
def doctor(invocation: Invocation, *, is_run: bool, image: str, is_local: bool | None) -> int:
    """Check whether workloads can run, and find what will cause problems later.

    Changes nothing without --run. Exits with 1 if a check fails or is skipped.
    """
    from kakuri._checks import checks  # noqa: PLC0415 (not for --help)

    results: list[Check] = []
    for check in checks(invocation, is_run=is_run, image=image, is_local=is_local):
        results.append(check)
        _print(invocation, check)
    bad = [check for check in results if check.result in (FAIL, SKIP)]
    warnings = sum(check.result == WARN for check in results)
    if invocation.format == "json":
        invocation.out_value({"ok": not bad, "checks": [_document(check) for check in results]})
    elif not invocation.is_json and not invocation.is_name:
        text = f"{len(bad)} of {len(results)} checks failed or were skipped"
        if not bad:
            text = f"all {len(results)} checks passed"
        if warnings:
            text += f", {warnings} warning{'s' if warnings > 1 else ''}"
        invocation.out(text)
    return Exit.NO if bad else Exit.OK


def _document(check: Check) -> dict[str, Any]:
    document = {"result": check.result.lower(), "name": check.name, "detail": check.detail}
    if check.advice:
        document["advice"] = check.advice
    return document


def _print(invocation: Invocation, check: Check) -> None:
    if invocation.format == "jsonl":
        invocation.out_value(_document(check))
    elif invocation.is_name:
        if check.result in (FAIL, SKIP):
            invocation.out(check.name)
    elif not invocation.is_json:
        for line in _lines(invocation, check):
            invocation.out(line)


def _lines(invocation: Invocation, check: Check) -> Iterator[str]:
    result = invocation.styled(f"{check.result:<4}", STATE_COLORS[check.result])
    yield f"{result}  {check.name:<{_WIDTH}}  {check.detail}".rstrip()
    if check.advice:
        yield f"      → {check.advice}"
