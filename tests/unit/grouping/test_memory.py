from __future__ import annotations

from pipeline.grouping.memory import MAX_SHARE, Memory


def test_forgets_the_least_recently_used_within_its_bound() -> None:
    memory: Memory[int] = Memory(MAX_SHARE * 100)
    for number in range(MAX_SHARE):
        memory.put(b"%d" % number, number, 100)
    assert memory.get(b"0") == 0

    memory.put(b"new", -1, 100)

    assert memory.get(b"0") == 0
    assert memory.get(b"1") is None
    assert memory.used_bytes == MAX_SHARE * 100
    assert (memory.hits, memory.misses) == (2, 1)


def test_counts_a_value_once_however_often_it_is_put() -> None:
    memory: Memory[int] = Memory(MAX_SHARE * 100)
    memory.put(b"a", 1, 40)
    memory.put(b"a", 2, 60)

    assert memory.get(b"a") == 2
    assert memory.used_bytes == 60
    assert len(memory) == 1


def test_does_not_keep_a_giant() -> None:
    memory: Memory[int] = Memory(MAX_SHARE * 100)
    memory.put(b"a", 1, 101)

    assert memory.get(b"a") is None
    assert memory.used_bytes == 0
