from __future__ import annotations

from pipeline.runtimes.dead_letter_limit import DeadLetterLimit
from pipeline.settings.schema import DeadLetterSettings

SETTINGS = DeadLetterSettings(max_ratio=0.25, window_s=60.0, min_count=10)


def test_a_few_never_stop_anything() -> None:
    assert not DeadLetterLimit(SETTINGS).would_exceed(9, 9, 0.0)


def test_the_ratio_is_that_of_the_window() -> None:
    limit = DeadLetterLimit(SETTINGS)
    limit.add(1_000, 0, 0.0)
    assert not limit.would_exceed(250, 250, 30.0)
    assert limit.would_exceed(250, 250, 61.0)


def test_batches_add_up() -> None:
    limit = DeadLetterLimit(SETTINGS)
    for second in range(5):
        assert not limit.would_exceed(8, 2, float(second))
        limit.add(8, 2, float(second))
    assert limit.would_exceed(8, 8, 6.0)


def test_a_clean_batch_is_let_through_even_then() -> None:
    limit = DeadLetterLimit(SETTINGS)
    limit.add(20, 20, 0.0)
    assert not limit.would_exceed(5, 0, 1.0)


def test_a_halt_does_not_end_by_waiting_however_small_the_batch() -> None:
    limit = DeadLetterLimit(SETTINGS)
    limit.add(9, 9, 0.0)
    for hours in range(3):
        assert limit.would_exceed(1, 1, hours * 3_600.0)
    assert not limit.would_exceed(1, 0, 4 * 3_600.0), "mended"
    limit.add(1, 0, 4 * 3_600.0)
    assert not limit.would_exceed(1, 1, 4 * 3_600.0), "a new window"


def test_what_is_left_of_it_in_a_batch_that_keeps_the_ratio_passes() -> None:
    limit = DeadLetterLimit(SETTINGS)
    limit.add(9, 9, 0.0)
    assert limit.would_exceed(9, 9, 1.0)
    assert not limit.would_exceed(8, 1, 2.0)


def test_a_ratio_of_one_never_stops() -> None:
    assert not DeadLetterLimit(DeadLetterSettings(max_ratio=1.0, min_count=1)).would_exceed(100, 100, 0.0)
