"""Settings for tests that run zones on a fake container runtime."""

from typing import Any

from kakuri_cri import Timeouts

from kakuri_zones._settings import MonitorTimes, PullLimits, RetryTimes, Settings


def quick_settings(**fields: Any) -> Settings:
    """Return settings whose pauses and intervals are milliseconds, so that tests do not wait.

    Args:
        fields: Fields of `Settings`, which replace the quick ones. `cri` is required, such as
            `FakeCri.endpoint` of `kakuri_cri.testing`.
    """
    quick: dict[str, Any] = {
        "pulls": PullLimits(
            timeout=20, first_retry=0.01, retry_window=0.05, progress_interval=0.01
        ),
        "timeouts": Timeouts(usual=10, run_pod_sandbox=10),
        "monitor": MonitorTimes(
            interval=0.05, without_events=0.02, gap=0.002, provisional=0.01, resubscribe=0.01,
            retry_events=0.1,
        ),
        "retries": RetryTimes(first=0.02, longest=0.05),
        "orphan_grace": 0.15,
        "end_delay": 0.05,
        "cancel_timeout": 5.0,
        "heartbeat": 0.1,
        "rotate_interval": 0.02,
        "isolation_interval": 3600.0,  # tests that count calls have those of their own alone
    }  # fmt: skip
    return Settings(**{**quick, **fields})
