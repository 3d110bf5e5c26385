"""The verb `run`."""

import secrets
import sys
from typing import TYPE_CHECKING, Any, Self

import click

from kakuri._exits import CommandError, Exit, Unreachable, UsageError
from kakuri._group import Verb
from kakuri._invocation import Invocation
from kakuri._options import CPU, PAIR, RESTART, SECONDS, SIZE, grace_option
from kakuri._sources import lines_of, read_text_argument, unreadable

if TYPE_CHECKING:
    from kakuri._client import API, Response

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_RANDOM_LENGTH, _MAX_NAME = 4, 40
_ATTEMPTS = 3
"""How often a workload is submitted while the outcome is unknown. A submission is idempotent."""


class NotRun(CommandError):
    """Another error, with the exit code of a workload whose command never ran."""

    @classmethod
    def of(cls, error: click.ClickException) -> Self:
        """Return an error that a verb raised as NotRun, with its message, code and document."""
        context = getattr(error, "ctx", None)
        hint = f"\n{context.get_usage()}" if context is not None else ""
        return cls(
            error.format_message() + hint,
            Exit.NOT_RUN,
            code=getattr(error, "code", "usage"),
            document=getattr(error, "document", None),
        )


class RunVerb(Verb):
    """A verb whose own failures exit with 125, because any other code may be the workload's."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse the arguments. A wrong option exits with 125, or with 2 if `--detach` is given.

        To find out, the arguments are parsed again without errors.
        """
        given = list(args)  # click empties the list
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            lenient = {**extra, "resilient_parsing": True, "ignore_unknown_options": True}
            if super().make_context(info_name, given, parent, **lenient).params["detach"]:
                raise
            raise NotRun.of(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            if ctx.params.get("detach"):
                raise
            raise NotRun.of(error) from error


@click.command(
    cls=RunVerb,
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
)
@click.argument("image")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[--] [COMMAND]...")
@click.option("-d", "--detach", is_flag=True, help="Print the id, and do not wait.")
@click.option("--rm", "remove_at_end", is_flag=True, help="Remove it when it has ended.")
@click.option(
    "--name", metavar="ID", help="Id of the workload; by default, derived from the image's name."
)
@click.option("-m", "--memory", type=SIZE, metavar="SIZE", help="Memory limit: 256M, 2GiB.")
@click.option("-c", "--cpu", type=CPU, metavar="CORES", help="CPU limit: 0.5, 500m.")
@click.option("--class", "runtime_class", metavar="NAME", help="The runtime class.")
@click.option("-e", "--env", multiple=True, metavar="NAME[=VALUE]",
              help="Environment variable; without VALUE, copied from this shell.")  # fmt: skip
@click.option("--env-file", type=click.Path(exists=True, dir_okay=False, allow_dash=True),
              multiple=True, help="A file of NAME=VALUE lines.")  # fmt: skip
@click.option("-l", "--label", type=PAIR, multiple=True, metavar="KEY=VALUE", help="A label.")
@click.option("-u", "--user", metavar="USER[:GROUP]", help="User and group of the process.")
@click.option("-w", "--workdir", metavar="PATH", help="Working directory of the process.")
@click.option("--restart", type=RESTART, metavar="POLICY[:TIMES]",
              help="never, on_failure or always; TIMES limits consecutive restarts.")  # fmt: skip
@click.option("--pull", type=click.Choice(["missing", "always", "never"]),
              help="When to pull the image.")  # fmt: skip
@click.option("--entrypoint", metavar="PROGRAM", help="Replace the image's entry point.")
@grace_option("Grace period after Ctrl-C.")
@click.option("--timeout", type=SECONDS, metavar="SECONDS",
              help="Stop it after this time, and exit with 124.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Check everything, and start nothing.")
@click.pass_obj
def run(
    invocation: Invocation,
    /,
    *,
    image: str,
    detach: bool,
    remove_at_end: bool,
    grace: float,
    timeout: float | None,
    dry_run: bool,
    **options: Any,
) -> int:
    """Run an image in a zone of its own.

    Output goes to standard output and error, progress to standard error; the exit code is the
    workload's own, or 125 if its command never ran. Ctrl-C stops it; a second one kills it; a third
    one leaves it running.
    """
    if detach and (remove_at_end or timeout is not None):
        raise UsageError("-d returns at once: it can't be combined with --rm or --timeout")
    document = document_of(invocation, image, **options)
    with invocation.api() as api:
        if dry_run:
            return _check(invocation, api, document)
        name = document["id"]
        if not detach:
            # Imported before the submission, because Ctrl-C has to stop the workload from then on.
            from kakuri._foreground import Foreground  # noqa: PLC0415 (not for --help)
        try:
            response = submit(invocation, api, document)
        except KeyboardInterrupt:
            invocation.note(f"{name} may have been submitted: kakuri rm -f {name} removes it")
            raise
        is_new = response.status == 201
        if detach:
            _print_detached(invocation, api, response, name)
            return Exit.OK
        if not is_new:
            raise CommandError(
                f"workload {name!r} already exists: kakuri logs -f {name} follows it, "
                f"kakuri start {name} runs it again, kakuri rm {name} removes it",
                Exit.CONFLICT,
                code="conflict",
            )
        follower = Foreground(
            invocation, api, document, grace=grace, timeout=timeout, remove_at_end=remove_at_end
        )
        return follower.follow()


def document_of(
    invocation: Invocation,
    image: str,
    *,
    command: tuple[str, ...],
    name: str | None,
    memory: int | None,
    cpu: int | None,
    runtime_class: str | None,
    env: tuple[str, ...],
    env_file: tuple[str, ...],
    label: tuple[tuple[str, str], ...],
    user: str | None,
    workdir: str | None,
    restart: dict[str, Any] | None,
    pull: str | None,
    entrypoint: str | None,
) -> dict[str, Any]:
    """Return the workload that the options describe; only what they set."""
    fields: dict[str, Any] = {
        "id": generated_name(image) if name is None else name,
        "image": image,
        "runtime_class": runtime_class,
        "memory_mb": memory,
        "cpu_millicores": cpu,
        "command": None if entrypoint is None else [entrypoint],
        # click leaves the separator after the image to the command.
        "args": list(command[1:] if command[:1] == ("--",) else command) or None,
        "env": _variables(invocation, env, env_file) or None,
        "working_dir": workdir,
        "user": user,
        "labels": dict(label) or None,
        **(restart or {}),
        "pull": pull,
    }
    return {key: value for key, value in fields.items() if value is not None}


def generated_name(image: str) -> str:
    """Return an id from the last part of an image's name, and four random characters."""
    last = image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    cleaned = "".join(char if char.isascii() and char.isalnum() else "-" for char in last)
    random = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    return f"{cleaned[:_MAX_NAME].strip('-') or 'workload'}-{random}"


def _variables(
    invocation: Invocation, given: tuple[str, ...], files: tuple[str, ...]
) -> dict[str, str]:
    """Return the variables of files and options; an option overrides a file."""
    found: dict[str, str] = {}
    for path in files:
        source = "standard input" if path == "-" else path
        try:
            content = read_text_argument(path)
        except (OSError, ValueError) as error:
            raise unreadable(source, error) from error
        for number, line in enumerate(lines_of(content), 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            name, separator, value = text.partition("=")
            if not separator or not name:
                raise UsageError(f"{source}, line {number}: expected NAME=VALUE, got {text!r}")
            found[name.removeprefix("export ").strip()] = value
    for variable in given:
        name, separator, value = variable.partition("=")
        if not separator:
            if name not in invocation.environ:
                raise UsageError(f"-e {name}: this environment has no such variable")
            value = invocation.environ[name]
        found[name] = value
    return found


def submit(invocation: Invocation, api: "API", document: dict[str, Any]) -> "Response":
    """Submit a workload; repeat the request while its outcome is unknown.

    The document has an id, so a repetition finds the workload of the first request. Its 200 is
    returned as 201, the status of the response that was lost.
    """
    from kakuri_json import encode  # noqa: PLC0415 (not for --help)

    from kakuri._client import JSON_CONTENT, check_id  # noqa: PLC0415
    from kakuri._schemas import BAD_RESPONSE  # noqa: PLC0415

    body = encode(document)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            response = api.request("POST", "/workloads", body=body, headers=JSON_CONTENT)
            break
        except Unreachable as error:
            if error.code in ("unreachable", BAD_RESPONSE) or attempt == _ATTEMPTS:
                raise
            invocation.note(f"{error.message}; trying again", "yellow")
    check_id(response, document["id"])
    if attempt > 1:
        response.status = 201
    return response


def _check(invocation: Invocation, api: "API", document: dict[str, Any]) -> int:
    """Ask whether a workload would be accepted, and print the response."""
    from kakuri_json import encode  # noqa: PLC0415 (not for --help)

    from kakuri._client import JSON_CONTENT  # noqa: PLC0415
    from kakuri._text import image_text  # noqa: PLC0415

    response = api.request(
        "POST", "/workloads", params=[("dry_run", "true")], body=encode(document),
        headers=JSON_CONTENT,
    )  # fmt: skip
    found = response.document
    if invocation.is_json:
        invocation.out_document(response.body)
    elif invocation.is_name:
        invocation.out(document["id"])
    else:
        change = {"create": "would be created", "none": "already exists, nothing would change"}
        text = change.get(found["change"], found["change"])
        image = image_text(found.get("image"))
        invocation.out(f"{document['id']}  {text}{image and f'; {image}'}")
    return Exit.OK


def _print_detached(
    invocation: Invocation, api: "API", response: "Response", workload_id: str
) -> None:
    from kakuri._nodes import first_node, warn_if_simulated  # noqa: PLC0415 (not for --help)

    if invocation.is_json:
        invocation.out_document(response.body)
    else:
        invocation.out(workload_id)
    sys.stdout.flush()
    if response.status == 200:
        invocation.note(f"{workload_id} already exists, with the same specification")
    warn_if_simulated(invocation, first_node(api))
