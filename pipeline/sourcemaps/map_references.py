"""Reads how a built file names its map and its debug id (docs/spec/source-maps.md, "Finding the map")."""

from __future__ import annotations

import binascii
import codecs
from base64 import b64decode
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from pipeline.model.ids import parse_debug_id
from pipeline.sourcemaps.comment_search import find_last_comment

_MAX_REFERENCE = 4_096


class InvalidDataUrlError(ValueError):
    """A `data:` URL that cannot be decoded."""


def normalize_debug_id(value: object) -> str | None:
    """Parse a debug id as build tools write it, with blanks around it or without. None for anything else.

    >>> normalize_debug_id(" DFB8E43AF2423D73A4538AEB6A777EF7-0")
    'dfb8e43a-f242-3d73-a453-8aeb6a777ef7'
    """
    return parse_debug_id(value.strip()) if isinstance(value, str) else None


def find_map_reference(minified: bytes, headers: Mapping[str, str]) -> str | None:
    """Return the reference to the map as it is written, or None. A header wins over the last comment.

    The names of `headers` are in lower case.
    """
    reference = headers.get("sourcemap") or headers.get("x-sourcemap") or find_map_comment(minified)
    if reference is not None and len(reference) > _MAX_REFERENCE and not reference.startswith("data:"):
        return None
    return reference


def find_map_comment(minified: bytes) -> str | None:
    """Return the value of the last `//# sourceMappingURL=` or `//@ sourceMappingURL=`, without query and fragment, or None."""
    value = find_last_comment(minified, b"sourceMappingURL=", b"#@")
    if not value or value.startswith("data:"):
        return value
    return value.split("?", 1)[0].split("#", 1)[0] or None


def find_debug_id_comment(minified: bytes) -> str | None:
    """Return the value of the last `//# debugId=`, normalized, or None."""
    return normalize_debug_id(find_last_comment(minified, b"debugId=", b"#"))


def urls_beside(built_url: str, reference: str) -> list[str]:
    """Return further URLs of a map that is not where the built file says: beside the file, by the same name or the file's name.

    >>> urls_beside("https://example.com/js/app.js?v=1", "https://maps.internal/app.map")
    ['https://example.com/js/app.map', 'https://example.com/js/app.js.map']
    """
    path = built_url.split("#", 1)[0].split("?", 1)[0]
    folder, slash, _ = path.rpartition("/")
    return list(dict.fromkeys((folder + slash + reference.rpartition("/")[2], f"{path}.map")))


def without_byte_order_mark(content: bytes) -> bytes:
    """Return a file in UTF-8 without a byte order mark. A file in UTF-16 that begins with one is converted."""
    if content.startswith(codecs.BOM_UTF8):
        return content[len(codecs.BOM_UTF8) :]
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace").encode("utf-8", "replace")
    return content


def without_guard(source_map: bytes) -> bytes:
    """Return a map without its first line if that is `)]}'`, the guard against being run as a script."""
    return source_map.partition(b"\n")[2] if source_map.startswith(b")]}") else source_map


def decode_data_url(url: str) -> bytes | None:
    """Return the content of a `data:` URL, percent-encoded or base64; None for any other URL. Raises InvalidDataUrlError.

    Base64 is read as browsers do: all of its padding may be missing, and blanks in it are skipped.
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
