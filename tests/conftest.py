"""Settings of all tests."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings
from support.clickhouse import chdb

__all__ = ["chdb"]

settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")
"""A property holds on a busy machine too; how long it takes is measured by tests/bench."""


def pytest_configure() -> None:
    """Heed interrupts, and so let programs that tests start heed them: a shell's background job ignores them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
