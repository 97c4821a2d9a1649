from __future__ import annotations

import hashlib

import xxhash

from pipeline.grouping.component import Component
from pipeline.grouping.hashing import HASH_KINDS

MD5, XXH3 = HASH_KINDS["md5"], HASH_KINDS["xxh3_128"]


def test_md5_joins_leaves_as_sentry_does() -> None:
    assert MD5.hash_values(["a", 1, None]) == hashlib.md5(b"a1None", usedforsecurity=False).hexdigest()


def test_md5_of_nothing_is_the_fallback_of_sentry() -> None:
    assert MD5.hash_values([]) == "d41d8cd98f00b204e9800998ecf8427e"


def test_only_the_separated_hash_tells_neighbours_apart() -> None:
    assert MD5.hash_values(["ab", "c"]) == MD5.hash_values(["a", "bc"])
    assert XXH3.hash_values(["ab", "c"]) != XXH3.hash_values(["a", "bc"])
    assert XXH3.hash_values(["1:a"]) != XXH3.hash_values(["", "a"])


def test_a_lone_surrogate_becomes_a_question_mark() -> None:
    assert MD5.hash_values(["\ud800x"]) == MD5.hash_values(["?x"])
    assert XXH3.hash_values(["\ud800x"]) == XXH3.hash_values(["?x"])


def test_leaves_are_hashed_depth_first_without_what_does_not_contribute() -> None:
    tree = Component(
        "app",
        [Component("frame", ["a", Component("module", ["dropped"], contributes=False)]), Component("frame", ["b"])],
    )

    assert tree.digest(XXH3) == xxhash.xxh3_128_hexdigest(b"1:a1:b")


def test_a_flattened_tree_hashes_and_compares_like_the_tree() -> None:
    inner = Component("frame", [Component("module", ["m"]), Component("function", ["f"], contributes=False, hint="why")])
    tree = Component("stacktrace", [inner])

    for kind in (MD5, XXH3):
        flat = tree.flattened(kind, comparable=True)
        assert flat.digest(kind) == tree.digest(kind)
        assert flat.identity() == tree.identity()
        assert Component("exception", [flat, "x"]).digest(kind) == Component("exception", [tree, "x"]).digest(kind)
        assert Component("exception", [flat, "x"]).identity() == Component("exception", [tree, "x"]).identity()
