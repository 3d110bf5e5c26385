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

    def start(**how) -> System:
        folder = tmp_path_factory.mktemp("kakuri")
        started.append(System(node, folder, sidecar_options=SIDECAR_OPTIONS, **how))
        started[-1].start()
        return started[-1]

    yield start
    for system in started:
        system.close()


@pytest.fixture(scope="module")
def one_system(start_system) -> System:
    return start_system()


@pytest.fixture
def system(one_system) -> System:
    """All of Kakuri, without any workload."""
    yield one_system
    one_system.clear()
