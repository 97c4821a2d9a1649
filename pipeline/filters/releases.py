"""Releases: the parts of `package@version`, and the order of versions."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RESTRICTED = frozenset({".", "..", "latest"})
_MAX_LENGTH = 250

_VERSION = re.compile(
    r"(?P<major>\d{1,18})(?:\.(?P<minor>\d{1,18}))?(?:\.(?P<patch>\d{1,18}))?(?:\.(?P<revision>\d{1,18}))?"
    r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?|(?P<glued>[a-zA-Z][0-9A-Za-z-]*(?:\.[0-9A-Za-z-]+)*))?"
    r"(?:\+(?P<build>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?",
    re.ASCII,
)
_PACKAGED = re.compile(r"(@?[^@]+)@(.+)", re.DOTALL)
_HASH = re.compile(r"[0-9a-fA-F]{12}|[0-9a-fA-F]{16}|[0-9a-fA-F]{20}|[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")


class ReleaseError(ValueError):
    """A text is not a valid release. The message says why."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of one to four numbers. `components` is how many were written; the rest are 0."""

    numbers: tuple[int, int, int, int]
    components: int
    pre: str | None
    build: str | None
    raw: tuple[str | None, str | None, str | None, str | None]
    short: str
    """The version as written, without the build."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release. `version` is None if `version_text` is not a version. `build_hash` is None if it contains no commit hash."""

    package: str | None
    version_text: str
    version: Version | None
    build_hash: str | None
    text: str

    @property
    def description(self) -> str:
        """The short name for people."""
        if self.version is not None:
            build = self.build_hash[:12] if self.build_hash else self.version.build
            return f"{self.version.short} ({build})" if build else self.version.short
        return self.build_hash[:12] if self.build_hash else self.text


def parse_release(text: str) -> Release:
    """Return the parts of a release. Only a release with a package has a version. Raises ReleaseError.

    >>> parse_release("shop@1.2.0+7").description
    '1.2.0 (7)'
    """
    text = text.strip()
    if text.lower() in _RESTRICTED:
        raise ReleaseError("invalid release: restricted release name")
    if len(text) > _MAX_LENGTH:
        raise ReleaseError("invalid release: release name too long")
    if any(character in text for character in "\r\n\t\f/\\"):
        raise ReleaseError("invalid release: bad characters in release name")
    match = _PACKAGED.fullmatch(text)
    if match is None:
        return Release(None, text, None, _build_hash(text), text)
    package, written = match.groups()
    version = parse_version(written)
    return Release(package, written, version, _build_hash(written) or _build_hash((version and version.build) or ""), text)


def _build_hash(text: str) -> str | None:
    return text if _HASH.fullmatch(text) else None


def parse_version(text: str) -> Version | None:
    """Return the parsed version, or None if the text is not a version."""
    match = _VERSION.fullmatch(text)
    if match is None or _HASH.fullmatch(text):
        return None
    glued = match["glued"]
    raw = match["major"], match["minor"], match["patch"], match["revision"]
    major, minor, patch, revision = (int(part or 0) for part in raw)
    components = sum(part is not None for part in raw)
    if glued and components < 2:
        return None
    return Version(
        (major, minor, patch, revision), components, match["pre"] or glued, match["build"], raw, text.partition("+")[0]
    )


def compare_versions(first: str, second: str) -> int | None:
    """Return -1, 0 or 1 as the first version is lower, equal or higher, or None if either text is not a version.

    A package in front is ignored. Numbers are compared first, then a pre-release comes before its release, then the texts of
    the pre-release and of the build decide.
    """
    one, other = (parse_version(_version_text(text)) for text in (first, second))
    if one is None or other is None:
        return None
    return _order(_key(one), _key(other))


def _version_text(text: str) -> str:
    match = _PACKAGED.fullmatch(text)
    return match[2] if match else text


def _key(version: Version) -> tuple[object, ...]:
    return (version.numbers, version.pre is None, version.pre or "", version.build or "")


def _order(first: tuple[object, ...], second: tuple[object, ...]) -> int:
    return (first > second) - (first < second)
