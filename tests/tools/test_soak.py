"""Which measurements of a daemon the soak reports as faults."""

from types import SimpleNamespace

import pytest

from tests.soak.__main__ import LONG_SECONDS, SHORT_SECONDS, MonitoredDaemon


def daemon_of(tmp_path, answers=(0.01,)):
    """Return a daemon without faults."""
    log = tmp_path / "daemon.log"
    log.write_text("")
    daemon = MonitoredDaemon(SimpleNamespace(name="kakuri-agent", log=log), ("http",))
    daemon.answers["http"] = list(answers)
    daemon.status = 0
    return daemon


def faults_after(tmp_path, seconds, megabytes_per_second=0.0, answers=(0.01,)):
    """Return the faults of a daemon that was monitored for some seconds."""
    daemon = daemon_of(tmp_path, answers)
    daemon.megabytes = [(at / 2, 100 + megabytes_per_second * at / 2) for at in range(2 * seconds)]
    return daemon.faults(0, seconds, late=0.05)


@pytest.mark.parametrize("seconds", [SHORT_SECONDS, 5 * LONG_SECONDS])
def test_daemon_that_answers_with_flat_memory_has_no_faults(tmp_path, seconds):
    assert faults_after(tmp_path, seconds) == []


@pytest.mark.parametrize(
    ("seconds", "megabytes_per_second"), [(SHORT_SECONDS, 6), (5 * LONG_SECONDS, 0.1)]
)
def test_faults_name_memory_that_grows(tmp_path, seconds, megabytes_per_second):
    (fault,) = faults_after(tmp_path, seconds, megabytes_per_second)

    assert fault.startswith("agent grew from ")


@pytest.mark.parametrize(("seconds", "answer"), [(SHORT_SECONDS, 1.1), (5 * LONG_SECONDS, 0.3)])
def test_faults_name_slow_answers(tmp_path, seconds, answer):
    (fault,) = faults_after(tmp_path, seconds, answers=[answer] * 3)

    assert fault.startswith(f"agent took up to {answer * 1000:.0f} ms to answer http; 3 of 3")


def test_faults_of_a_short_run_allow_one_slow_answer_in_a_hundred(tmp_path):
    assert faults_after(tmp_path, SHORT_SECONDS, answers=[2.0] + [0.01] * 99) == []


def test_memory_that_swings_between_the_same_limits_has_no_faults(tmp_path):
    daemon = daemon_of(tmp_path)
    daemon.megabytes = [(at / 2, 60 + 16 * (at % 11)) for at in range(2 * SHORT_SECONDS)]
    assert daemon.faults(0, SHORT_SECONDS, late=0.05) == []


def test_growth_of_the_minimum_alone_is_not_a_fault_of_a_short_run(tmp_path):
    daemon = daemon_of(tmp_path)
    daemon.megabytes = [
        (at / 2, 200 if at % 11 == 0 else 40 + 2.6 * at) for at in range(2 * SHORT_SECONDS)
    ]
    assert daemon.faults(0, SHORT_SECONDS, late=0.05) == []
