"""The dashboard is one that Grafana 10 reads, and shows what Kakuri serves."""

import json
import re

import pytest

from .stack import DASHBOARD, await_that, metrics_in

DOCUMENT = json.loads(DASHBOARD.read_text())
PANELS = DOCUMENT["panels"]
EXPRESSIONS = [
    (target["expr"], target["legendFormat"]) for panel in PANELS for target in panel["targets"]
]
QUIET = {
    "kakuri_cri_errors": "no call fails in the test but those that look for something",
    "kakuri_log_lost_bytes": "no log is large enough",
}
"""Metrics whose value may be missing while everything works."""

GRAFANA_10 = 38
"""The version of the schema of Grafana 10.0; later ones read it, too."""

COLUMNS = 24


def instant(expression):
    """Return an expression with values in place of Grafana's variables."""
    return expression.replace("$__rate_interval", "10s").replace("$node", ".*")


def test_dashboard_has_what_grafana_needs():
    assert DOCUMENT["schemaVersion"] == GRAFANA_10
    assert (DOCUMENT["uid"], DOCUMENT["title"]) == ("kakuri", "Kakuri")
    assert {each["name"] for each in DOCUMENT["templating"]["list"]} == {"datasource", "node"}
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        assert panel["type"] in {"stat", "timeseries"}
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_panels_do_not_overlap():
    taken = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < COLUMNS
        taken |= cells


def test_every_metric_of_the_dashboard_is_served(stack):
    named = {name for expression, _ in EXPRESSIONS for name in metrics_in(expression)}
    assert named - stack.families() == set()


@pytest.mark.parametrize(("expression", "legend"), EXPRESSIONS)
def test_every_expression_of_the_dashboard_has_a_value_with_the_labels_of_its_legend(
    server, expression, legend
):
    query = instant(expression)
    if metrics_in(expression) & QUIET.keys():
        server.query(query)  # it is valid
        return
    found = await_that(query, lambda: server.query(query))
    named = set(re.findall(r"{{(\w+)}}", legend))
    assert all(named <= series["metric"].keys() for series in found)
