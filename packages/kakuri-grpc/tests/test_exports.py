"""The public names, so that a change of them is a decision."""

import kakuri_grpc


def test_exports():
    assert sorted(kakuri_grpc.__all__) == [
        "AlreadyExists",
        "Backoff",
        "Call",
        "Cancelled",
        "Channel",
        "ChannelState",
        "DeadlineExceeded",
        "FailedPrecondition",
        "GRPCError",
        "InvalidArgument",
        "Keepalive",
        "Limits",
        "LocalError",
        "MessageTooLarge",
        "Metadata",
        "Method",
        "NotFound",
        "PermissionDenied",
        "Processed",
        "ResourceExhausted",
        "Server",
        "ServerCall",
        "StatusCode",
        "StatusError",
        "Unauthenticated",
        "Unavailable",
        "Unimplemented",
        "__version__",
        "status_error",
    ]
    for name in kakuri_grpc.__all__:
        assert getattr(kakuri_grpc, name) is not None
