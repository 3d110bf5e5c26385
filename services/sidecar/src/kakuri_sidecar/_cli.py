"""The command `kakuri-sidecar`."""

import logging

import click
from kakuri_daemon import DaemonCommand, DaemonError, allow_user, run
from kakuri_tcp import Endpoint, LocalAccess
from kakuri_zones import NodeUnavailable, Settings
from kakuri_zones.options import zone_options

from kakuri_sidecar._service import sidecar_service
from kakuri_sidecar._version import __version__


@click.command(
    cls=DaemonCommand, name="kakuri-sidecar", default_listen="unix:///run/kakuri/sidecar.sock"
)
@allow_user
@zone_options
@click.version_option(__version__)
def main(listen: Endpoint, *, zones: Settings, local_access: LocalAccess) -> None:
    """Run zones in a container runtime, and serve them to an agent over a Unix socket."""
    logging.getLogger("grpc").setLevel(logging.INFO)  # with DEBUG, it logs every call
    try:
        run(lambda: sidecar_service(listen, zones, local_access=local_access))
    except NodeUnavailable as error:
        raise DaemonError(str(error)) from error
