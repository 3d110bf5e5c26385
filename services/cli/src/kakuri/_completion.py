"""The verb `completion`."""

import click
from click.shell_completion import get_completion_class

from kakuri._group import Verb
from kakuri._invocation import Invocation
from kakuri._main import COMPLETE

SHELLS = ("bash", "zsh", "fish")
_INSTRUCTIONS = {
    "bash": 'eval "$(kakuri completion bash)"   # add this to ~/.bashrc',
    "zsh": 'eval "$(kakuri completion zsh)"   # add this to ~/.zshrc, after compinit',
    "fish": "kakuri completion fish > ~/.config/fish/completions/kakuri.fish",
}


@click.command(cls=Verb)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, *, shell: str) -> None:
    """Print a script that completes verbs, options and ids; a comment says how to install it."""
    invocation = Invocation.current()
    source = script(ctx.find_root().command, shell)
    if invocation.is_json:
        invocation.out_value({"shell": shell, "script": source})
    else:
        invocation.out(source)


def script(command: click.Command, shell: str) -> str:
    """Return the completion of a shell."""
    found = get_completion_class(shell)
    assert found is not None  # it is one of SHELLS
    # This does what click's `source` does, but does not run bash to find out its version.
    completer = found(command, {}, "kakuri", COMPLETE)
    text = completer.source_template % completer.source_vars()
    first, _, rest = text.strip().partition("\n")
    how = f"# {_INSTRUCTIONS[shell]}"
    # zsh reads the first line of a file that it loads itself.
    return "\n".join([first, how, rest] if first.startswith("#compdef") else [how, first, rest])
