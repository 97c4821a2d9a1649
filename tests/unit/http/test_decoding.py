from __future__ import annotations

import gzip
import itertools
import random
import zlib
from collections.abc import Callable

import brotli
import pytest
from backports import zstd

from pipeline.http.answers import RefusedRequestError, body_too_large
from pipeline.http.decoding import PIECE_BYTES, decoded, limited, parse_encodings

ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: bytes(brotli.compress(data, quality=4)),
    "zstd": zstd.compress,
}
NOISE = random.Random(5).randbytes(300_000)
BODY = NOISE + b"a" * 700_000 + NOISE


def split(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("size", [1_000, 65_536, 10_000_000])
def test_each_encoding(encoding: str, size: int) -> None:
    pieces = list(decoded(split(ENCODERS[encoding](BODY), size), [encoding]))
    assert b"".join(pieces) == BODY
    assert max(map(len, pieces)) <= 2 * PIECE_BYTES


@pytest.mark.parametrize("chain", list(itertools.permutations(ENCODERS, 2)))
def test_chains(chain: tuple[str, ...]) -> None:
    data = BODY
    for name in chain:
        data = ENCODERS[name](data)
    assert b"".join(decoded(split(data, 5_000), parse_encodings(", ".join(chain)))) == BODY


def test_deflate_without_its_header_and_several_members() -> None:
    bare = zlib.compressobj(wbits=-15)
    assert b"".join(decoded([bare.compress(BODY) + bare.flush()], ["deflate"])) == BODY
    assert b"".join(decoded([gzip.compress(b"one") + gzip.compress(b"two")], ["gzip"])) == b"onetwo"
    assert b"".join(decoded([zstd.compress(b"one") + zstd.compress(b"two")], ["zstd"])) == b"onetwo"


@pytest.mark.parametrize("encoding", ENCODERS)
def test_damaged_and_cut_bodies_are_refused(encoding: str) -> None:
    whole = ENCODERS[encoding](NOISE)
    for damaged in (whole[:-5], b"\xff" * 100, whole[:100], b"x"):
        with pytest.raises(RefusedRequestError) as refused:
            b"".join(decoded(split(damaged, 1_000), [encoding]))
        assert refused.value.status == 400


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_bomb_stops_at_the_limit(encoding: str) -> None:
    bomb = ENCODERS[encoding](bytes(50_000_000))
    pieces = limited(decoded([bomb], [encoding]), 1_000_000, body_too_large)
    sizes: list[int] = []
    with pytest.raises(RefusedRequestError) as refused:
        sizes.extend(len(piece) for piece in pieces)
    assert refused.value.status == 413
    assert sum(sizes) <= 1_000_000


@pytest.mark.parametrize("header", ["", "UTF-8", "identity", " , "])
def test_no_encoding(header: str) -> None:
    assert parse_encodings(header) == ()


def test_other_encodings_and_towers_of_them_are_refused() -> None:
    with pytest.raises(RefusedRequestError) as refused:
        parse_encodings("compress")
    assert refused.value.status == 415
    with pytest.raises(RefusedRequestError):
        parse_encodings(",".join(["gzip"] * 5))
    assert parse_encodings("GZIP, br") == ("gzip", "br")
