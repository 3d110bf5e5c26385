"""What is changed: state machines, limits, parsers and what keeps data, member by member."""

import random
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tools.members import Member
from tools.mutants.operators import Mutant, mutants

MODULES = {
    "kakuri": ("**/*",),
    "kakuri-agent": (
        "_agent", "_capacity", "_node_metrics", "_reconciler", "_restarts", "_retention", "_state",
        "_status_updater", "_store_metrics", "_work_queue", "_workload_logs", "_workload_metrics",
        "_zone_families",
    ),
    "kakuri-control-plane": (
        "_admission", "_content", "_exposition", "_headers", "_logs", "_openapi_handler", "_page",
        "_presence", "_problems", "_queries", "_worker_metrics",
    ),
    "kakuri-cri": (
        "_caller", "_container_calls", "_errors", "_events", "_grpc_channel",
        "_image_calls", "_limits", "_lists", "_probe", "_responses", "_runtime", "_sandbox_calls",
        "_stats_calls",
    ),
    "kakuri-daemon": (
        "_trace", "api/_access", "api/_guard", "api/_metrics", "api/_problems", "api/_queries",
        "api/openapi", "metrics",
    ),
    "kakuri-grpc": (
        "_call", "_connections", "_deadlines", "_driver", "_framing", "_limits", "_metadata",
        "_outcome", "_requests", "_status", "_turn",
    ),
    "kakuri-http": (
        "_body_stream", "_limits", "_url", "client/_pool", "client/_requests", "core/_bodies",
        "core/_client", "core/_connection", "core/_fast_head", "core/_grammar",
        "core/_heads", "core/_server", "core/_states", "core/_target", "server/_deadlines",
    ),
    "kakuri-http2": (
        "_connection", "_frames", "_inbound", "_limits", "_outbound", "_states",
        "_stream", "hpack/*",
    ),
    "kakuri-json": (
        "_decode/compile_decoder", "_decode/compile_scalars", "_decode/conversion",
        "_decode/decode", "_decode/text_cursor", "_encode/printer", "_limits",
        "_syntax/diagnosis", "_syntax/incremental", "_syntax/parser", "_syntax/strings",
        "_types/constraints",
    ),
    "kakuri-protobuf": (
        "_async_codec", "_decoder", "_encoder", "_limits", "_wire", "compiler/_lexer",
        "compiler/_parser", "compiler/_token_reader",
    ),
    "kakuri-registry": (
        "_backlog", "_cells", "_durability", "_ended", "_directory", "_event_rows", "_history",
        "_index", "_journal", "_journal_writer", "_loading", "_ordered", "_outcomes",
        "_publisher", "_recovery", "_registry", "_registry_reader", "_rows", "_session", "_sizes",
        "_space_reserve", "_sqlite", "_transactions", "_write_ahead_log", "_writer",
    ),
    "kakuri-sidecar": ("**/*",),
    "kakuri-tcp": (
        "_budgets", "_connection", "_connection_table", "_line_client", "_line_client_connection",
        "_line_server_connection", "_lines", "_limits", "_peers", "_shared", "_trusted_servers",
        "_turns",
    ),
    "kakuri-workload": (
        "_document", "_grammar", "_log_records", "_metric_families", "_state", "_text", "metrics",
    ),
    "kakuri-zones": (
        "_labels", "_log_watch", "_observed", "_progress", "_rotation", "_table", "options",
        "logs/_cursor", "logs/_format", "logs/_reading", "logs/_records",
    ),
}  # fmt: skip
"""Names of modules below the package; a member that is not listed is changed everywhere."""

KINDS = {
    "fast-path": "chooses between two ways that give the same result, one of them quicker",
    "tuning": "a number that decides when work is done, and that nothing documents or depends on",
    "compiled": "runs in compiled code only, which the session `compiled` tests",
    "sentinel": "a marker of which only the identity or the sign is used",
    "unreachable": "differs only for values that cannot occur; the reason names what excludes them",
}
"""Why a change can be equivalent."""

_EQUIVALENT = Path(__file__).with_name("equivalent.toml")


@dataclass(frozen=True, slots=True)
class Place:
    """A change, and the module where it is made.

    Attributes:
        module: Path of the module, from the package on: `kakuri_http/_pool.py`.
        path: Where the member keeps it.
        mutant: The change.
    """

    module: str
    path: Path
    mutant: Mutant

    @property
    def code(self) -> str:
        """The source line in which the change begins, without indentation and comment."""
        source = self.path.read_bytes()
        first = source.rfind(b"\n", 0, self.mutant.start) + 1
        return source[first:].split(b"\n", 1)[0].decode().partition("  # ")[0].strip()

    def __str__(self) -> str:
        line = self.path.read_bytes().count(b"\n", 0, self.mutant.start) + 1
        return f"{self.module}:{line}: {self.mutant.summary}: {self.code}"


def places(member: Member) -> list[Place]:
    """Return every change of a member's listed modules."""
    package = member.directory / "src" / member.import_name
    patterns = [f"{name}.py" for name in MODULES.get(member.name, ("**/*",))]
    paths = sorted({path for pattern in patterns for path in package.glob(pattern)})
    return [
        Place(f"{package.name}/{path.relative_to(package).as_posix()}", path, mutant)
        for path in paths
        if path.name not in {"_version.py", "__init__.py"}
        for mutant in mutants(path.read_bytes())
    ]


def sample(found: list[Place], size: int, seed: int) -> list[Place]:
    """Choose changes at random: the same ones for the same source and seed."""
    return random.Random(seed).sample(found, min(size, len(found)))  # noqa: S311 no secret


class Equivalents:
    """The changes that nothing outside the member can observe, each with its kind and reason."""

    @cached_property
    def _reasons(self) -> dict[tuple[str, str, str], str]:
        listed = tomllib.loads(_EQUIVALENT.read_text())["equivalent"]
        return {
            (each["module"], each["code"], change): f"{each['kind']}: {each['why']}"
            for each in listed
            for change in each["changes"]
        }

    def reason(self, place: Place) -> str | None:
        """Return why a change is equivalent, or None if it is not listed."""
        return self._reasons.get((place.module, place.code, place.mutant.summary))

    def stale(self, found: list[Place]) -> list[tuple[str, str, str]]:
        """Return the entries that no longer match a change of the member's source."""
        package = {place.module.partition("/")[0] for place in found}
        present = {(place.module, place.code, place.mutant.summary) for place in found}
        return [
            key
            for key in self._reasons
            if key[0].partition("/")[0] in package and key not in present
        ]
