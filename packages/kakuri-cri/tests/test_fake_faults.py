import pytest
from kakuri_cri.testing import Fault, Faults, Outcome, parse_faults
from kakuri_grpc import StatusCode


def test_script_has_a_fault_for_each_call():
    assert parse_faults("2*error(UNAVAILABLE)->delay(1500) -> 1*close") == [
        *[
            Fault(
                Outcome.ERROR,
                code=StatusCode.UNAVAILABLE,
                message="a fault of the test: UNAVAILABLE",
            )
        ]
        * 2,
        Fault(delay=1.5),
        Fault(Outcome.CLOSE),
    ]


def test_error_may_have_a_message():
    [fault] = parse_faults("finish-then-error(UNKNOWN: server is not initialized yet)")
    assert fault.outcome is Outcome.FINISH_THEN_ERROR
    assert fault.message == "server is not initialized yet"
    assert parse_faults("3*finish-then-close") == [Fault(Outcome.FINISH_THEN_CLOSE)] * 3


@pytest.mark.parametrize(
    "script",
    [
        *("", "error", "error()", "0*close", "-1*close", "close->", "delay(1.5)", "delay(-1)"),
        *("explode", "error(UNKNOWN))", "1 * close", "close->x"),
    ],
)
def test_invalid_fault_script_raises_value_error(script):
    with pytest.raises(ValueError, match="expected a fault like"):
        parse_faults(script)


@pytest.mark.parametrize("code", ["BROKEN", "OK"])
def test_code_that_is_not_an_error_of_grpc_raises_value_error(code):
    with pytest.raises(ValueError, match=f"expected the name of a gRPC status, got '{code}'"):
        parse_faults(f"error({code})")


def test_faults_apply_one_by_one():
    faults = Faults({"Version": "2*close"})
    assert repr(faults) == "<Faults left={'Version': 2}>"
    assert faults.take("Status") == Fault()
    assert faults.take("Version") == Fault(Outcome.CLOSE)
    assert faults.left("Version") == 1
    faults.set("Version", "delay(5)")
    assert faults.take("Version") == Fault(delay=0.005)
    assert faults.take("Version") == Fault()
    faults.set("Version", "close")
    faults.clear()
    assert faults.left("Version") == 0
