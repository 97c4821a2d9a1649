"""Removes content hashes from script names. Bundlers put them there, so each deploy would be a new group.

See docs/spec/grouping.md, "The project's own configuration".
"""

from __future__ import annotations

import re
from functools import lru_cache

_SUFFIX = r"(?:\.(?:min|chunk|bundle|esm|module|prod|worker|legacy))*(?:\.[cm]?[jt]sx?)?$"
_CANDIDATE = re.compile(rf"(?<=[^/.-])[.-]([A-Za-z0-9_]{{6,64}})(?={_SUFFIX})", re.ASCII)
_DASHED_CANDIDATE = re.compile(
    rf"(?<=[^/.-])[.-]((?=[A-Za-z0-9_]+-[A-Za-z0-9_]+{_SUFFIX})[A-Za-z0-9_-]{{8}})(?={_SUFFIX})", re.ASCII
)
"""Vite's hashes are URL-safe base64. One in ten contains a dash."""
_WHOLE = re.compile(rf"(^|/)([A-Za-z0-9_]{{8,64}})(?={_SUFFIX})", re.ASCII)

_HEX = re.compile(r"(?=[a-fA-F]*\d)(?:[0-9a-f]{6,64}|[0-9A-F]{6,64})")
_BASE64_LENGTHS = frozenset({8, *range(16, 23)})
"""The lengths of the hashes of letters and digits that esbuild, Rollup, Vite and webpack make."""

_WORD = r"(?:[A-Z]?[a-z]*(?:[A-Z][a-z]{2,})*\d{0,2}|[a-z]+\d[a-z]+|[A-Z]{2,}[a-z]*)"
_WORDS = re.compile(rf"{_WORD}(?:_{_WORD})*")
"""Names that a person gives a file, such as `CartPage`, `vendors2`, `utf8util`, `HTMLTags` and `user_api`."""
_ALL_KINDS = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)")

MAX_NAME_CHARS = 1_024
MAX_CACHED_FOLDERS = 4_096

_LANGUAGES = (
    "aa|ab|af|ak|am|an|ar|as|av|ay|az|ba|be|bg|bh|bi|bm|bn|bo|br|bs|ca|ce|ch|co|cs|cu|cv|cy|da|de|dv|dz|ee|el|en|eo|es|et|eu|fa"
    "|ff|fi|fj|fo|fr|fy|ga|gd|gl|gn|gu|gv|ha|he|hi|ho|hr|ht|hu|hy|hz|ia|id|ie|ig|ii|ik|is|it|iu|ja|jv|ka|kg|ki|kj|kk|kl|km|kn|ko"
    "|kr|ks|ku|kv|kw|ky|la|lb|lg|li|ln|lo|lt|lu|lv|mg|mh|mi|mk|ml|mn|mr|ms|mt|my|na|nb|nd|ne|ng|nl|nn|no|nr|nv|ny|oc|oj|om|or|os"
    "|pa|pi|pl|ps|pt|qu|rm|rn|ro|ru|rw|sa|sc|sd|se|sg|si|sk|sl|sm|sn|so|sq|sr|ss|st|su|sv|sw|ta|te|tg|th|ti|tk|tl|tn|to|tr|tt|tw"
    "|ty|ug|uk|ur|uz|ve|vi|vo|wa|wo|xh|yi|yo|za|zh|zu"
)
"""The codes of ISO 639-1, without `io` and `ts`, which are names of folders more often than languages."""
_SEGMENT_KINDS = {
    "locale": rf"(?:{_LANGUAGES})(?:[-_](?:[A-Z][a-z]{{3}}[-_])?(?:[A-Za-z]{{2}}|\d{{3}}))?",
    "hash": (
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=[a-f]*\d)[0-9a-f]{7,64}|(?=[A-F]*\d)[0-9A-F]{7,64}"
        r"|(?=[\w-]*\d)(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[\w-]{20,43}"
    ),
    "version": r"[vV]?\d+(?:\.\d+)+(?:[-+.][\w.+-]+)?|[vV]\d+|\d{3,}|\d{4}-\d{2}-\d{2}(?:[-T_][\w-]+)?",
}
_SEGMENT = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _SEGMENT_KINDS.items()), re.ASCII)
_VERSION_AT_END = re.compile(r"(?<=.)([@_-])[vV]?\d+(?:\.\d+)+(?:[-+][\w.+-]+)?$", re.ASCII)
_VERSION_OF_FILE = re.compile(rf"(?<=.)([@_.-])[vV]?\d+(?:\.\d+)+(?:-(?:alpha|beta|rc|next)[\d.]*)?(?={_SUFFIX})", re.ASCII)
_DIGIT = re.compile(r"\d")
_ONLY_HASH = re.compile(r"(?:[0-9a-f]{32,64}|[0-9A-F]{32,64})(?=\.\w{1,8}$|$)", re.ASCII)


def strip_file_version(name: str) -> str:
    """Return a file's name without its version. A name that is only a long hash becomes `<hash>`, whichever the file is.

    >>> strip_file_version("jquery-3.6.0.min.js"), strip_file_version("0123456789abcdef0123456789abcdef.php")
    ('jquery-<version>.min.js', '<hash>.php')
    """
    if len(name) > MAX_NAME_CHARS or not _DIGIT.search(name):
        return name
    return _VERSION_OF_FILE.sub(r"\1<version>", _ONLY_HASH.sub("<hash>", name) if _ONLY_HASH.match(name) else name)


def strip_segments(path: str) -> str:
    """Return a module's path without the versions, locales, build numbers and hashes that its segments hold.

    A segment that is nothing else becomes `<version>`, `<locale>` or `<hash>`; of `name@1.2.3` the name stays. The last
    segment is the module's own name, of which only a version behind the name goes. A path longer than `MAX_NAME_CHARS` is
    returned unchanged.

    >>> strip_segments("client/1.853.0/de-AT/build/cart")
    'client/<version>/<locale>/build/cart'
    """
    if len(path) > MAX_NAME_CHARS:
        return path
    folders, _, name = path.rpartition("/")
    return f"{_without_variables_in(folders)}/{strip_file_version(name)}"


@lru_cache(MAX_CACHED_FOLDERS)
def _without_variables_in(folders: str) -> str:
    return "/".join(map(_without_variables, folders.split("/")))


def _without_variables(segment: str) -> str:
    found = _SEGMENT.fullmatch(segment)
    return f"<{found.lastgroup}>" if found is not None else _VERSION_AT_END.sub(r"\1<version>", segment)


def strip_bundle_hash(name: str) -> str:
    """Return a script's name without the content hash at its end.

    A name that is only a hash becomes `<hash>`. A name longer than `MAX_NAME_CHARS` is returned unchanged. Case matters.

    >>> strip_bundle_hash("app.3f2a91c.js"), strip_bundle_hash("app-77b0e1d.js")
    ('app.js', 'app.js')
    """
    if len(name) > MAX_NAME_CHARS:
        return name
    found = _CANDIDATE.search(name)
    if found is not None and _is_hash(found[1]):
        return name[: found.start()] + name[found.end() :]
    dashed = _DASHED_CANDIDATE.search(name)
    if dashed is not None and _ALL_KINDS.match(dashed[1]):
        return name[: dashed.start()] + name[dashed.end() :]
    if found is not None:
        return name
    found = _WHOLE.search(name)
    if found is not None and _HEX.fullmatch(found[2]):
        return f"{name[: found.start(2)]}<hash>{name[found.end(2) :]}"
    return name


def _is_hash(text: str) -> bool:
    if _HEX.fullmatch(text):
        return True
    return len(text) in _BASE64_LENGTHS and not _WORDS.fullmatch(text)
