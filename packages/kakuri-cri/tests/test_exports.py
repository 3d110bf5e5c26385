"""The public names, so that a change of them is a decision."""

import kakuri_cri


def test_exports():
    assert sorted(kakuri_cri.__all__) == [
        "CallRefused",
        "CallTimeout",
        "CallUnanswered",
        "Channel",
        "ChannelError",
        "CriError",
        "Events",
        "GrpcChannel",
        "MAX_RECEIVED",
        "NameReserved",
        "NotFound",
        "ProbeResult",
        "Runtime",
        "RuntimeUnavailable",
        "StartUnderWay",
        "Timeouts",
        "Unimplemented",
        "__version__",
    ]
    for name in kakuri_cri.__all__:
        assert getattr(kakuri_cri, name) is not None
