import pytest

from tests.cri_node.node import CriNode

from .system import DAEMONS, System

# Shorter than by default, but long enough for a pull on a busy disk.
ZONE_OPTIONS = ("--pull-stall-timeout", "12")


def pytest_addoption(parser):
    """Add the option that names the agent's runtime."""
    parser.addoption(
        "--runtime", choices=list(DAEMONS), default="sidecar", help="the runtime of the agents"
    )


def pytest_generate_tests(metafunc):
    """Run each test with a victim once for each daemon and once for the container runtime."""
    if "victim" in metafunc.fixturenames:
        daemons = DAEMONS[metafunc.config.getoption("runtime")]
        metafunc.parametrize("victim", [*daemons, "containerd"])


def pytest_collection_modifyitems(config, items):
    """Leave out of the run without a sidecar what does not depend on the agent's runtime."""
    if config.getoption("runtime") == "sidecar":
        return
    left_out = [item for item in items if "start_system" not in item.fixturenames]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def node() -> CriNode:
    """The CRI node on which the tests run; see docs/design/cri-node.md."""
    return CriNode.from_environment()


@pytest.fixture(scope="module")
def start_system(node, tmp_path_factory, pytestconfig):
    """Start all of Kakuri, with the handler that the zones are to have.

    It ends with its module: a runtime has one agent, and two of them would undo each other's work.
    """
    started = []

    def start(*, has_agent=True, options=(), **how) -> System:
        directory = tmp_path_factory.mktemp("kakuri")
        runtime = pytestconfig.getoption("runtime")
        options = (*ZONE_OPTIONS, *options)
        system = System(node, directory, runtime=runtime, options=options, **how)
        started.append(system)
        system.start("sidecar", *(("agent", "plane") if has_agent else ()))
        return system

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
