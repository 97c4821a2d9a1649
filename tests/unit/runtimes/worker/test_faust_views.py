from __future__ import annotations

import pytest

from pipeline.runtimes.worker.faust_views import slow_step


@pytest.mark.parametrize(
    ("step", "seconds", "redis_silent_s", "why"),
    [
        ("poll", 0.5, 0.0, ""),
        ("run", 3.0, 0.0, ""),
        ("commit", 1.0, 0.0, ""),
        ("commit", 3.0, 0.0, "kafka: a commit has taken 3 s so far"),
        ("run", 6.0, 0.0, "a batch has been in its stages for 6 s"),
        ("run", 2.0, 2.0, "redis: no answer for 2 s"),
        ("poll", 2.5, 2.5, "redis: no answer for 2 s"),
        ("run", 2.0, 0.5, ""),
    ],
)
def test_a_step_that_takes_long_is_named_by_what_it_waits_for(step: str, seconds: float, redis_silent_s: float, why: str) -> None:
    assert slow_step(step, seconds, redis_silent_s) == why
