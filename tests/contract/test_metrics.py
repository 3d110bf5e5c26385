"""The tables of docs/operations.md have every metric that a control plane serves."""

import re
from pathlib import Path

import pytest
from kakuri_agent._cli import Settings, agent_service
from kakuri_control_plane._api import Api
from kakuri_cri.testing import FakeCri
from kakuri_rpc import AgentClient
from kakuri_tcp import Endpoint
from kakuri_workload.metrics import MetricFamily, gauge
from kakuri_zones.testing import quick_settings

PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text()
SECTION = PAGE.partition("\n## Metrics\n")[2].partition("\n## ")[0]
ROWS = re.findall(r"^\| `([a-z_]+)` \| (\w+) \| (.*?) \| (.*?) \|$", SECTION, re.MULTILINE)
ANY_PORT = Endpoint.parse("127.0.0.1:0")

AGENT_UP = gauge("kakuri_agent_up", "Whether the agent answered during this scrape: 1 or 0.", None)
"""The family that a scrape makes from its own result."""


@pytest.fixture
async def families(tmp_path):
    """Return the families of all parts, with an agent that runs zones itself."""
    async with FakeCri(tmp_path / "cri.sock") as cri:
        settings = Settings(
            ANY_PORT,
            quick_settings(cri=cri.endpoint, log_dir=tmp_path / "logs"),
            runtime="cri",
            state_dir=tmp_path / "state",
            store="sqlite",
        )
        async with agent_service(settings) as endpoint, AgentClient(endpoint) as agent:
            page = await agent.read_metrics()
            assert page.next is None
            return [AGENT_UP, *Api(agent).metrics.own_families(), *page.families]


def row(family: MetricFamily):
    suffix = "_total" if family.kind == "counter" else ""
    labels = ", ".join(f"`{label}`" for label in family.labels) or "–"
    return (family.name + suffix, family.kind, labels, family.help)


async def test_tables_have_each_metric_with_its_type_labels_and_help(families):
    expected = {row(family) for family in families}
    missing = "\n".join(f"| `{name}` | {' | '.join(rest)} |" for name, *rest in sorted(expected - set(ROWS)))  # fmt: skip
    assert missing == ""
    assert set(ROWS) - expected == set()


def test_tables_have_no_metric_twice():
    names = [name for name, *_ in ROWS]
    assert sorted(names) == sorted(set(names))


async def test_names_follow_the_conventions_of_prometheus(families):
    for family in families:
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket")), family.name
        assert not re.search("milli|micro|_ms$|kilo|_mb", family.name), family.name
        assert family.help.endswith("."), family.name
        assert {"le", "job", "instance", "node", "worker"}.isdisjoint(family.labels), family.name


async def test_labels_of_a_series_are_bounded(families):
    with_zones = {family.name for family in families if "workload" in family.labels}
    assert with_zones
    assert all(name.startswith("kakuri_zone_") for name in with_zones)
    assert {"id", "image_id", "container", "sandbox", "attempt", "message", "trace"}.isdisjoint(
        label for family in families for label in family.labels
    )
