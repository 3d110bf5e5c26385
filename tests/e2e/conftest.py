import signal
from collections.abc import Callable, Iterator

import pytest

from .processes import Daemon


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., Daemon]]:
    """Return a function that starts daemons, which are stopped at the end of the test."""
    started: list[Daemon] = []

    def start_one(
        name: str, *options: str, env: dict[str, str] | None = None, **how: object
    ) -> Daemon:
        variables = {"KAKURI_AGENT_RUNTIME": "simulated"} | (env or {})
        daemon = Daemon(name, *options, log=tmp_path / f"{name}.log", env=variables, **how)
        started.append(daemon)
        return daemon

    yield start_one
    for daemon in started:
        daemon.end(signal.SIGKILL)


@pytest.fixture
def agent(start) -> Daemon:
    return start("kakuri-agent", "--listen", "127.0.0.1:0")


@pytest.fixture
def control_plane(start, agent) -> Daemon:
    return start("kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", agent.address)


@pytest.fixture
def url(control_plane) -> str:
    return f"http://{control_plane.address}"
