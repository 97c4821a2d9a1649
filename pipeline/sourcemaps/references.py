"""How a built file names its map and its debug id (spec/javascript.md section 1, "Map reference")."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote_to_bytes

_DEBUG_ID = re.compile(r"([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})(?:-?([0-9a-f]{1,8}))?")

_MAX_REFERENCE = 4_096


class InvalidDataUrlError(ValueError):
    """A `data:` URL that does not decode."""


def normalize_debug_id(value: object) -> str | None:
    """Write a debug id the one way: lower case, dashes, an appendix only where it is not zero. None for anything else."""
    return _normalized(value) if isinstance(value, str) and len(value) < 64 else None


@lru_cache(maxsize=4_096)
def _normalized(text: str) -> str | None:
    """Read a debug id. All events of a release name the same ones."""
    match = _DEBUG_ID.fullmatch(text.strip().lower())
    if match is None:
        return None
    *parts, appendix = match.groups()
    age = int(appendix or "0", 16)
    return "-".join(parts) + (f"-{age:x}" if age else "")


def find_map_reference(minified: bytes, headers: Mapping[str, str]) -> str | None:
    """Give the reference to the map as written; a header wins over the last comment. `headers` have lower-case names."""
    reference = headers.get("sourcemap") or headers.get("x-sourcemap") or find_map_comment(minified)
    if reference is not None and len(reference) > _MAX_REFERENCE and not reference.startswith("data:"):
        return None
    return reference


def find_map_comment(minified: bytes) -> str | None:
    """Read the last `//# sourceMappingURL=` (or `//@ `), without query and fragment."""
    value = _last_comment(minified, b"sourceMappingURL=", (b"//# ", b"//@ "))
    if not value or value.startswith("data:"):
        return value
    return value.split("?", 1)[0].split("#", 1)[0] or None


def find_debug_id_comment(minified: bytes) -> str | None:
    """Read the last `//# debugId=`, normalized."""
    return normalize_debug_id(_last_comment(minified, b"debugId=", (b"//# ",)))


def _last_comment(text: bytes, key: bytes, openers: tuple[bytes, ...]) -> str | None:
    end = len(text)
    while (at := text.rfind(key, 0, end)) >= 0:
        if text[max(at - 4, 0) : at] in openers:
            line_end = text.find(b"\n", at)
            rest = text[at + len(key) : line_end if line_end >= 0 else len(text)].split(maxsplit=1)
            return rest[0].decode("utf-8", "replace") if rest else None
        end = at
    return None


def without_guard(source_map: bytes) -> bytes:
    """Leave out the first line of a map where it is the guard against being run as a script."""
    return source_map.partition(b"\n")[2] if source_map.startswith(b")]}") else source_map


def decode_data_url(url: str) -> bytes | None:
    """Decode a `data:` URL, percent-encoded, and base64 where it says so; None for any other URL. Raises InvalidDataUrlError.

    As browsers read base64: its padding may be missing as a whole, and blanks in it do not count.
    """
    if not url.startswith("data:"):
        return None
    kind, comma, data = url[len("data:") :].partition(",")
    if not comma:
        raise InvalidDataUrlError("a data: URL without a comma")
    content = unquote_to_bytes(data)
    if not kind.rstrip().lower().endswith(";base64"):
        return content
    text = b"".join(content.split())
    if b"=" not in text:
        text += b"=" * (-len(text) % 4)
    try:
        return b64decode(text, validate=True)
    except binascii.Error as error:
        raise InvalidDataUrlError(f"base64: {error}") from None
