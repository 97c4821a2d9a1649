from __future__ import annotations

from pipeline.model.byte_bounded_lru import ByteBoundedLru


def test_forgets_the_least_recently_used_within_its_bound() -> None:
    cache: ByteBoundedLru[bytes, int] = ByteBoundedLru(6_400)
    for number in range(64):
        cache.put(b"%d" % number, number, 100)
    assert cache.get(b"0") == 0

    cache.put(b"new", -1, 100)

    assert cache.get(b"0") == 0
    assert cache.get(b"1") is None
    assert cache.held_bytes == 6_400
    assert (cache.hits, cache.misses) == (2, 1)


def test_counts_a_value_once_however_often_it_is_put() -> None:
    cache: ByteBoundedLru[bytes, int] = ByteBoundedLru(6_400)
    cache.put(b"a", 1, 40)
    cache.put(b"a", 2, 60)

    assert cache.get(b"a") == 2
    assert cache.held_bytes == 60
    assert len(cache) == 1


def test_does_not_keep_a_giant() -> None:
    cache: ByteBoundedLru[bytes, int] = ByteBoundedLru(6_400, max_entry_bytes=100)
    cache.put(b"a", 1, 101)

    assert cache.get(b"a") is None
    assert cache.held_bytes == 0


def test_several_small_ones_go_before_the_bound_is_passed() -> None:
    cache: ByteBoundedLru[str, int] = ByteBoundedLru(10)
    for number, name in enumerate("abc"):
        cache.put(name, number, 3)
    assert cache.get("a") == 0
    cache.put("d", 3, 3)
    assert [name for name in "abcd" if cache.get(name) is not None] == ["a", "c", "d"]
    assert cache.held_bytes == 9


def test_a_value_may_grow_and_one_too_large_is_not_kept() -> None:
    cache: ByteBoundedLru[str, int] = ByteBoundedLru(10)
    cache.put("a", 0, 3)
    cache.put("b", 1, 3)
    cache.put("b", 1, 8)
    assert cache.get("a") is None
    cache.put("b", 1, 11)
    assert (len(cache), cache.held_bytes) == (0, 0)
