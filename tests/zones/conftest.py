import pytest
from zones_system import System

from tools.cri_node.node import CriNode

# A hanging registry is given up on quickly here, and pulls that failed are tried again soon.
SIDECAR_OPTIONS = ("--pull-stall-timeout", "3")


@pytest.fixture(scope="session")
def node() -> CriNode:
    """The CRI node of the world that the tests run in; see docs/design/cri-node.md."""
    return CriNode.from_environment()


@pytest.fixture(scope="module")
def start_system(node, tmp_path_factory):
    """Start all of Kakuri, with the handler that the zones are to have.

    It ends with its module: a runtime has one agent, and two of them would undo each other's work.
    """
    started = []

    def start(*, has_agent=True, options=(), **how) -> System:
        folder = tmp_path_factory.mktemp("kakuri")
        system = System(node, folder, sidecar_options=(*SIDECAR_OPTIONS, *options), **how)
        started.append(system)
        system.start_sidecar()
        if has_agent:
            system.start_agent()
            system.start_plane()
        return system

    yield start
    for system in started:
        system.close()


@pytest.fixture
def start_sidecar(start_system):
    """Start a sidecar alone, for agents of the test's own."""
    return lambda: start_system(has_agent=False)


@pytest.fixture(scope="module")
def one_system(start_system) -> System:
    return start_system()


@pytest.fixture
def system(one_system) -> System:
    """All of Kakuri, without any workload."""
    yield one_system
    one_system.clear()
