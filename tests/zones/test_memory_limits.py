"""Workloads that exceed their memory limit on a real kernel."""

GREEDY = "tail /dev/zero"


def test_memory_kill_of_the_workload_itself_is_its_reason(system):
    system.run("greedy", "tail", "/dev/zero", memory_mb=32)
    status = system.await_end("greedy")
    assert (status["reason"], status["exit_code"]) == ("OOMKilled", 137)


def test_memory_kill_of_a_child_is_not_the_reason_of_an_end_that_came_later(system):
    for code in (0, 3, 143):
        system.run(f"child-{code}", "sh", "-c", f"{GREEDY}; exit {code}", memory_mb=32)
    for code in (0, 3, 143):
        status = system.await_end(f"child-{code}")
        assert status["exit_code"] == code
        assert status.get("reason") == (None if code == 0 else "Error")
        assert "more memory than its limit" in status["message"]
