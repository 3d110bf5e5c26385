"""The error that ends a daemon."""

import click

EXIT_USAGE = 2
"""The exit status for errors that the operator has to correct: an option, a file, a port."""


class DaemonError(click.ClickException):
    """A daemon can't start or continue, for a reason that its operator can correct."""

    exit_code = EXIT_USAGE
