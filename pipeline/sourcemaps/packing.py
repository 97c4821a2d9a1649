"""Makes bundles from a folder of built files, or from a bundle that gets another release (docs/spec/source-maps.md)."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO
from urllib.parse import quote, unquote

import orjson

from pipeline.sourcemaps.bundle import MANIFEST, MAX_MANIFEST_BYTES, DamagedBundleError, open_zip, read_member
from pipeline.sourcemaps.map_references import (
    InvalidDataUrlError,
    decode_data_url,
    find_debug_id_comment,
    find_map_comment,
    normalize_debug_id,
    without_byte_order_mark,
    without_guard,
)
from pipeline.sourcemaps.urls import join_source

CODE_SUFFIXES = (".js", ".cjs", ".mjs", ".bundle", ".jsbundle")
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every file in a bundle, so that the same files make the same bundle."""


class NothingToFindByError(ValueError):
    """The bundle has neither a release nor debug ids, so no event could find it."""


@dataclass(slots=True)
class Packed:
    """The content of a new bundle: the URLs of its files, how many have a debug id, and warnings."""

    files: list[str] = field(default_factory=list)
    with_debug_id: int = 0
    warnings: list[str] = field(default_factory=list)


class UnusableUrlPrefixError(ValueError):
    """No frame can be in a file below this URL. The message says what to write instead."""


_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)(.*)", re.DOTALL)
_HOST = re.compile(r"(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?::\d+)?|[A-Za-z0-9.-]+:\d+|localhost")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def normalize_url_prefix(prefix: str) -> str:
    """Return a URL prefix as frames name it: `~/folder` for any host, or a whole URL. Raises UnusableUrlPrefixError.

    A path applies to any host. A home folder is treated as `~`, because shells expand `~` without quotes.

    >>> normalize_url_prefix("/static/")
    '~/static'
    """
    text = prefix.strip().replace("\\", "/")
    if "?" in text or "#" in text:
        raise UnusableUrlPrefixError("a URL prefix has no ? and no #: write only the folder, such as ~/static")
    home = str(Path.home()).rstrip("/")
    if home and (text == home or text.startswith(home + "/")):
        text = "~" + text[len(home) :]
    url = _URL.fullmatch(text)
    if url is not None:
        scheme, host, path = url[1].lower(), url[2].lower(), url[3]
        if scheme in _DEFAULT_PORTS and not host:
            raise UnusableUrlPrefixError(f"{prefix} names no host: write {scheme}://HOST/FOLDER, or ~/FOLDER for any host")
        host = host.removesuffix(_DEFAULT_PORTS.get(scheme, ":"))
        return f"{scheme}://{host}{_clean_path(path)}"
    first = text.lstrip("/").split("/", 1)[0]
    if text.startswith("//") or (not text.startswith(("/", ".")) and _HOST.fullmatch(first)):
        rest = text.lstrip("/")
        raise UnusableUrlPrefixError(f"{prefix} begins with a host: write https://{rest}, or ~/FOLDER for any host")
    if ":" in first:
        raise UnusableUrlPrefixError(f"{prefix} is no URL: write SCHEME://HOST/FOLDER, or ~/FOLDER for any host")
    return "~" + _clean_path(text.removeprefix("~"))


def _clean_path(path: str) -> str:
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise UnusableUrlPrefixError("a URL prefix has no `..`: write the folder as browsers see it, such as ~/static")
    return "".join(f"/{part}" for part in parts)


def pack_folder(
    folder: Path, target: BinaryIO, *, release: str | None, dist: str | None, url_prefix: str, max_file_bytes: int
) -> Packed:
    """Write a bundle of a build folder's code, its maps, and the sources whose text the maps do not carry.

    The URL of a file is `url_prefix` and its path in the folder. Nothing outside the folder is read, even if a map names it.
    Raises NothingToFindByError, UnusableUrlPrefixError, and FileNotFoundError if the folder holds no code.
    """
    folder = folder.resolve()
    packed = Packed()
    entries: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, entry in _entries(folder, normalize_url_prefix(url_prefix), max_file_bytes, packed):
            member = f"files/_/_/{path.relative_to(folder).as_posix()}"
            if member not in entries:
                entries[member] = entry
                archive.writestr(zipfile.ZipInfo(member, _EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
        if not any(entry["type"] == "minified_source" for entry in entries.values()):
            raise FileNotFoundError(f"{folder} holds no file that ends in {', '.join(CODE_SUFFIXES)}")
        manifest: dict[str, Any] = {"files": entries}
        manifest |= {name: value for name, value in (("release", release), ("dist", dist)) if value is not None}
        archive.writestr(zipfile.ZipInfo(MANIFEST, _EPOCH), orjson.dumps(manifest), zipfile.ZIP_DEFLATED)
    packed.files = [entry["url"] for entry in entries.values()]
    packed.with_debug_id = sum("debug-id" in entry["headers"] for entry in entries.values())
    if release is None and not packed.with_debug_id:
        raise NothingToFindByError("the files have no debug ids, so a release is needed: no event could find them otherwise")
    return packed


def _entries(folder: Path, prefix: str, max_file_bytes: int, packed: Packed) -> Iterator[tuple[Path, dict[str, Any]]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    code = [path for path in files if path.suffix in CODE_SUFFIXES]
    debug_ids: dict[Path, str] = {}
    for path in (*code, *(path for path in files if path.suffix == ".map")):
        url = f"{prefix}/{path.relative_to(folder).as_posix()}"
        size = path.stat().st_size
        if size > max_file_bytes:
            packed.warnings.append(f"{url}: {size} bytes; workers leave files above {max_file_bytes} alone")
        headers: dict[str, str] = {}
        if path.suffix in CODE_SUFFIXES:
            content = path.read_bytes()
            debug_id, map_path = find_debug_id_comment(content), _map_of(path, content, headers, url, packed)
            if debug_id is not None and map_path is not None:
                debug_ids[map_path] = debug_id
            yield path, _entry("minified_source", url, headers, debug_id)
        else:
            raw = _read_map(path, url, packed)
            debug_id = normalize_debug_id(raw.get("debug_id") or raw.get("debugId")) or debug_ids.get(path.resolve())
            yield path, _entry("source_map", url, headers, debug_id)
            yield from _sources(folder, path, raw, url)


def _entry(file_type: str, url: str, headers: dict[str, str], debug_id: str | None) -> dict[str, Any]:
    return {"type": file_type, "url": url, "headers": headers | ({"debug-id": debug_id} if debug_id is not None else {})}


def _map_of(path: Path, content: bytes, headers: dict[str, str], url: str, packed: Packed) -> Path | None:
    """Return the map of a built file: the one that its comment names, else the one beside it, which then gets a header."""
    reference = find_map_comment(content)
    if reference is not None and _is_inline(reference):
        return None
    beside = path.with_name(f"{path.name}.map")
    if reference is not None and (reference.startswith("/") or "://" in reference):
        # The worker looks there first, then beside the file.
        return _existing(path.parent, reference.rpartition("/")[2]) or (beside.resolve() if beside.is_file() else None)
    named = _existing(path.parent, reference) if reference is not None else None
    if named is not None:
        return named
    if beside.is_file():
        headers["sourcemap"] = quote(beside.name)
        return beside.resolve()
    missing = "no sourceMappingURL" if reference is None else f"names the map {reference[:200]}, which is not there"
    packed.warnings.append(f"{url}: {missing}, and no map beside it")
    return None


def _is_inline(reference: str) -> bool:
    try:
        return decode_data_url(reference) is not None
    except InvalidDataUrlError:
        return False


def _existing(folder: Path, name: str) -> Path | None:
    """Return the file that a build names, as it is written or percent-encoded, with the slashes of any system; else None.

    A build may name anything, such as a path that is too long or has a NUL in it.
    """
    name = name.replace("\\", "/")
    for each in (name, unquote(name)):
        with suppress(OSError, ValueError):
            path = (folder / each).resolve()
            if path.is_file():
                return path
    return None


def _read_map(path: Path, url: str, packed: Packed) -> dict[str, Any]:
    try:
        raw = orjson.loads(without_guard(without_byte_order_mark(path.read_bytes())))
    except orjson.JSONDecodeError as error:
        packed.warnings.append(f"{url}: not a source map: {error}")
        return {}
    return raw if isinstance(raw, dict) else {}


def _sources(folder: Path, map_path: Path, raw: dict[str, Any], map_url: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Return the source files in the folder that a map names without carrying their text."""
    names, contents = raw.get("sources"), raw.get("sourcesContent")
    contents = contents if isinstance(contents, list) else []
    for number, name in enumerate(names if isinstance(names, list) else ()):
        if not isinstance(name, str) or (number < len(contents) and contents[number] is not None):
            continue
        if "://" in name or PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute():
            continue
        path = _existing(map_path.parent, name)
        if path is not None and path.is_relative_to(folder):
            yield path, _entry("source", join_source(map_url, name), {}, None)


def rebind_bundle(source: BinaryIO, target: BinaryIO, *, release: str | None, dist: str | None, max_file_bytes: int) -> Packed:
    """Write a copy of a bundle, with another release or dist if they are given. Files above the limit are left out.

    Raises DamagedBundleError and NothingToFindByError.
    """
    packed = Packed()
    with open_zip(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        manifest = orjson.loads(read_member(old, MANIFEST, MAX_MANIFEST_BYTES))
        entries = manifest.get("files") if isinstance(manifest, dict) else None
        if not isinstance(entries, dict):
            raise DamagedBundleError(f"{MANIFEST}: no `files`")
        manifest |= {name: value for name, value in (("release", release), ("dist", dist)) if value is not None}
        for member, entry in entries.items():
            try:
                content = read_member(old, member, max_file_bytes)
            except DamagedBundleError as error:
                packed.warnings.append(str(error))
                continue
            new.writestr(zipfile.ZipInfo(member, _EPOCH), content, zipfile.ZIP_DEFLATED)
            if isinstance(entry, dict):
                packed.files.append(str(entry.get("url")))
                packed.with_debug_id += _has_debug_id(entry)
        new.writestr(zipfile.ZipInfo(MANIFEST, _EPOCH), orjson.dumps(manifest), zipfile.ZIP_DEFLATED)
    if not manifest.get("release") and not packed.with_debug_id:
        raise NothingToFindByError("the bundle has neither a release nor debug ids, so a release is needed")
    return packed


def _has_debug_id(entry: dict[str, Any]) -> bool:
    headers = entry.get("headers")
    return isinstance(headers, dict) and any(str(name).lower() == "debug-id" for name in headers)
