import grpc
import pytest
from kakuri_sidecar.testing import Fault, Faults, Outcome, parse_faults


def test_a_script_gives_a_fault_for_each_call():
    assert parse_faults("2*error(UNAVAILABLE)->delay(1500) -> 1*close") == [
        *[
            Fault(
                Outcome.ERROR,
                code=grpc.StatusCode.UNAVAILABLE,
                words="a fault of the test: UNAVAILABLE",
            )
        ]
        * 2,
        Fault(delay=1.5),
        Fault(Outcome.CLOSE),
    ]


def test_an_error_can_have_words():
    [fault] = parse_faults("finish-then-error(UNKNOWN: server is not initialized yet)")
    assert fault.outcome is Outcome.FINISH_THEN_ERROR
    assert fault.words == "server is not initialized yet"
    assert parse_faults("3*finish-then-close") == [Fault(Outcome.FINISH_THEN_CLOSE)] * 3


@pytest.mark.parametrize(
    "script",
    [
        *("", "error", "error()", "0*close", "-1*close", "close->", "delay(1.5)", "delay(-1)"),
        *("explode", "error(UNKNOWN))", "1 * close", "close->x"),
    ],
)
def test_what_is_no_script_is_refused(script):
    with pytest.raises(ValueError, match="expected a fault like"):
        parse_faults(script)


@pytest.mark.parametrize("code", ["BROKEN", "OK"])
def test_a_code_is_one_of_grpc_and_no_success(code):
    with pytest.raises(ValueError, match=f"expected the name of a gRPC status, got '{code}'"):
        parse_faults(f"error({code})")


def test_faults_are_taken_one_by_one():
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
