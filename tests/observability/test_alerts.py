"""The rules of the alerts are valid, tested, and lead to a section of the documentation."""

import re

import pytest

from tools.members import ROOT

from .stack import RULES, metrics_in

TESTS = RULES.with_name("kakuri.rules.test.yml")
ALERTS = re.findall(r"- alert: (\w+)\n(.*?)(?=\n      - alert:|\Z)", RULES.read_text(), re.DOTALL)
EXPECTED = [
    "AgentDown", "RuntimeUnavailable", "WorkloadFailing", "StopFailing", "PullFailing",
    "CapacityOver90", "StoreReserveGone", "LoopLag", "OrphanedZones", "DiskLow",
]  # fmt: skip
HEADINGS = re.findall(r"^#+ (.+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)


def test_rules_are_valid(promtool):
    assert f"{len(EXPECTED)} rules found" in promtool("check", "rules", "--lint-fatal", RULES)


def test_alerts_fire_when_they_should(promtool):
    assert "SUCCESS" in promtool("test", "rules", TESTS.name, cwd=TESTS.parent)


def test_there_is_an_alert_for_each_problem():
    assert [name for name, _ in ALERTS] == EXPECTED


@pytest.mark.parametrize(("name", "rule"), ALERTS, ids=EXPECTED)
def test_alert_has_a_test_a_severity_and_a_runbook(name, rule):
    assert f"alertname: {name}\n" in TESTS.read_text()
    assert re.search(r"severity: (?:critical|warning)\n", rule)
    assert f"runbook_url: docs/operations.md#{name.lower()}" in rule
    assert name in HEADINGS


def test_every_metric_of_the_alerts_is_served(stack):
    named = {name for _, rule in ALERTS for name in metrics_in(rule)}
    assert named - stack.families() == set()


def test_prometheus_evaluates_every_alert(server):
    (group,) = server.get("rules")["groups"]
    assert [rule["name"] for rule in group["rules"]] == EXPECTED
    assert [rule["lastError"] for rule in group["rules"] if rule["health"] == "err"] == []
