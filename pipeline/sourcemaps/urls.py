"""URLs and paths of JavaScript files: joining them, the candidates of a look-up, and the readable part of a bundler's names.

See docs/spec/source-maps.md, "Finding the built file", "Finding the map" and "What the frame says".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote

_SCHEME_AND_HOST = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*:)//([^/?#]*)")
_BUNDLER_SCHEMES = ("webpack:", "turbopack:")


def join_urls(base: str, reference: str) -> str:
    """Return `reference` resolved against the file at `base`, which may be a URL or a plain path.

    >>> join_urls("https://example.com/static/app.js", "../maps/app.js.map")
    'https://example.com/maps/app.js.map'
    """
    if "://" in reference or reference.startswith(_BUNDLER_SCHEMES):
        return reference
    reference = reference.removeprefix("~")
    origin, scheme, base_path = _split_origin(base)
    if reference.startswith("//") and scheme:
        return f"{scheme}{reference}"
    path, tail = _split_tail(reference)
    if not path.startswith("/"):
        path = base_path.rpartition("/")[0] + "/" + path if "/" in base_path or origin else path
    return origin + _normalize_path(path, drop_above_root=scheme in {"http:", "https:"}, rooted=bool(origin)) + tail


def _split_origin(url: str) -> tuple[str, str, str]:
    """Return (scheme://host, scheme, path without query and fragment). The first two are empty for a plain path."""
    match = _SCHEME_AND_HOST.match(url)
    if match is None:
        return "", "", url
    return match.group(0), match.group(1), _split_tail(url[match.end() :])[0]


def _split_tail(url: str) -> tuple[str, str]:
    """Return what comes before the query or fragment, and the rest."""
    ends = [index for index in (url.find("?"), url.find("#")) if index >= 0]
    end = min(ends, default=len(url))
    return url[:end], url[end:]


def _normalize_path(path: str, *, drop_above_root: bool, rooted: bool) -> str:
    absolute = path.startswith("/") or rooted
    kept: list[str] = []
    for segment in path.split("/"):
        if segment in {"", "."}:
            continue
        if segment == "..":
            if kept and kept[-1] != "..":
                kept.pop()
                continue
            if drop_above_root:
                continue
        kept.append(segment)
    return ("/" if absolute else "") + "/".join(kept)


def strip_hostname(url: str) -> str:
    """Return the path of a URL. `~` stands for any scheme and host."""
    if url.startswith("~"):
        return url[1:]
    match = _SCHEME_AND_HOST.match(url)
    return url if match is None else url[match.end() :]


def candidate_urls(url: str) -> list[str]:
    """Return the names under which a file may have been uploaded, the best first.

    >>> candidate_urls("https://example.com/app.js?v=1#top")
    ['https://example.com/app.js?v=1', 'https://example.com/app.js', '~/app.js?v=1', '~/app.js']
    """
    with_query = url.split("#", 1)[0]
    without_query = with_query.split("?", 1)[0]
    relative = (f"~{strip_hostname(candidate)}" for candidate in (with_query, without_query))
    return unique((with_query, without_query, *relative))


def lookup_urls(url: str) -> list[str]:
    """Return the names that a file is looked up by: those of `candidate_urls`, then names that mean the same file.

    Browsers report paths percent-encoded, but files are uploaded under their plain names. For a program that a user has
    installed, only the path inside the program counts.

    >>> lookup_urls("https://example.com/%5Bid%5D.js")[2:]
    ['https://example.com/[id].js', '~/[id].js']
    >>> lookup_urls("file:///C:/Users/jane/shop/resources/app.asar/dist/main.js")[2:]
    ['app:///dist/main.js', '~/dist/main.js']
    """
    candidates = candidate_urls(url)
    inside = path_in_program(url)
    if inside is not None:
        candidates += [f"app:///{inside}", f"~/{inside}"]
    if _WINDOWS_DRIVE.match(url):
        candidates.append(path_below_any_host(url))
    return unique((*candidates, *map(decode_url, candidates)))


_WINDOWS_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def path_below_any_host(url: str) -> str:
    r"""Return the name of a file that fits any host, without query. A drive of Windows counts as a host.

    >>> path_below_any_host("https://example.com/static/app.js?v=1")
    '~/static/app.js'
    >>> path_below_any_host("C:\\shop\\dist\\app.js")
    '~/shop/dist/app.js'
    """
    return "~" + url[2:].replace("\\", "/") if _WINDOWS_DRIVE.match(url) else candidate_urls(url)[-1]


def decode_url(url: str) -> str:
    """Return a URL or path without percent-encoding, in the composed form of Unicode. Invalid encodings stay as they are."""
    if "%" in url:
        try:
            url = unquote(url, errors="strict")
        except UnicodeDecodeError:
            return url
    return url if url.isascii() else unicodedata.normalize("NFC", url)


_INSIDE_PROGRAM = re.compile(
    r"^(?:file:|app:|/|[A-Za-z]:).*/(?:app\.asar(?:\.unpacked)?|resources/app|[^/]+\.app|android_asset)/(.+)$"
)


def path_in_program(url: str) -> str | None:
    """Return the path of a file inside an installed program (of Electron, Apple or Android), or None for other files."""
    match = _INSIDE_PROGRAM.match(url.replace("\\", "/").split("?", 1)[0].split("#", 1)[0])
    return match.group(1) if match is not None else None


def unique(values: Iterable[str]) -> list[str]:
    """Return the values without repetitions, in their order."""
    return list(dict.fromkeys(values))


def is_web_url(url: str) -> bool:
    """Whether a URL is one of http or https."""
    return url.startswith(("http://", "https://"))


_WEBPACK_NAMESPACE = re.compile(r"^webpack://[^/]+/(?=\./)")


def clean_webpack_name(source: str) -> str:
    """Return the readable part of a `webpack:` source: `webpack://ns/./x` is `./x`, and what follows `/~/` is a module."""
    if not source.startswith(("webpack:", "webpack-internal:")):
        return source
    _, found, module = source.partition("/~/")
    if found:
        return f"~/{module}"
    for prefix in ("webpack-internal:///", "webpack:///"):
        if source.startswith(prefix):
            return source[len(prefix) :]
    return _WEBPACK_NAMESPACE.sub("", source)


def clean_turbopack_name(source: str) -> str:
    """Return the readable part of a `turbopack:` source: `turbopack:///[project]/x` is `x`."""
    return source.removeprefix("turbopack:///").removeprefix("[project]/") if source.startswith("turbopack:///") else source


_WINDOWS_ROOT = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def _with_slashes(source: str) -> str:
    """Return a source's name with slashes for backslashes.

    Engines add a slash to a `sourceRoot` even if it ends in a backslash.
    """
    return source.replace("\\/", "/").replace("\\", "/") if "\\" in source else source


def join_source(source_base: str, source: str) -> str:
    r"""Return the URL or path of a map's source. Backslashes become slashes, and a path with a drive of Windows is absolute.

    >>> join_source("https://example.com/static/app.js.map", "..\\src\\app.js")
    'https://example.com/src/app.js'
    >>> join_source("https://example.com/static/app.js.map", "C:\\shop\\src\\app.js")
    'C:/shop/src/app.js'
    """
    path = _with_slashes(source)
    if _WINDOWS_ROOT.match(source):
        return path[:2] + _normalize_path(path[2:], drop_above_root=True, rooted=path[1] == ":")
    return join_urls(source_base, path)


def clean_source_name(source: str) -> str:
    """Return the `filename` of a frame whose map names `source`."""
    return clean_turbopack_name(clean_webpack_name(_with_slashes(source)))


_LEADING_FOLDER = re.compile(
    r"(?:java)?scripts?|js|build|static|node_modules|bower_components|[_.~].*|v?(?:\d+\.)*\d+|[a-f0-9]{7,8}|[a-f0-9]{32}|[a-f0-9]{40}",
    re.IGNORECASE,
)
_HASH_FOLDER = re.compile(r"[a-f0-9]{32}(?:[a-f0-9]{8})?", re.IGNORECASE)
_TRAILING_HASH = re.compile(r"[-.][a-f0-9]{7,}$", re.IGNORECASE)
_ANY_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:(?://[^/?#]*)?")


def generate_module(url: str) -> str:
    """Return the `module` of a file: its path without host, extension, build folders, versions and hashes."""
    path = _split_tail(_ANY_SCHEME.sub("", url))[0]
    folders, slash, name = path.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    path = folders + slash + (stem if dot and stem.strip(".") else name)
    path = path.removesuffix(".min")
    segments = path.split("/")
    for index, segment in enumerate(segments):
        if _HASH_FOLDER.fullmatch(segment):
            return "/".join(segments[index + 1 :])
    first = 0
    while first < len(segments) - 1 and (not segments[first] or _LEADING_FOLDER.fullmatch(segments[first])):
        first += 1
    return _TRAILING_HASH.sub("", "/".join(segments[first:])) or "<unknown module>"


_IN_MODULES_OF_APP = re.compile(r"\bnode_modules/")


def is_in_app(abs_path: str, filename: str) -> bool | None:
    """Whether a resolved frame is in the application's own code. None if its path does not tell."""
    if abs_path.startswith("webpack:"):
        return not (filename.startswith("~/") or "/node_modules/" in filename)
    if abs_path.startswith("app:"):
        return _IN_MODULES_OF_APP.search(filename) is None
    return False if "/node_modules/" in abs_path else None
