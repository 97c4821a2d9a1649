"""Releases: `package@version` taken apart, and versions put in order."""

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
    """A text that is no release; the text says why."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of one to four numbers. `components` says how many were written; the rest are 0."""

    numbers: tuple[int, int, int, int]
    components: int
    pre: str | None
    build: str | None
    raw: tuple[str | None, str | None, str | None, str | None]
    short: str
    """The version as written, without its build."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release: `version` is None where `version_text` is no version, `build_hash` where it is no commit's hash."""

    package: str | None
    version_text: str
    version: Version | None
    build_hash: str | None
    text: str

    @property
    def description(self) -> str:
        """Give the name that people see."""
        if self.version is not None:
            build = self.build_hash[:12] if self.build_hash else self.version.build
            return f"{self.version.short} ({build})" if build else self.version.short
        return self.build_hash[:12] if self.build_hash else self.text


def parse_release(text: str) -> Release:
    """Take a release apart. Only one with a package is read as a version. Raises ReleaseError."""
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
    """Read a version; None for a text that is none."""
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
    """Compare two versions, with or without their package: -1, 0 or 1; None where either is no version.

    Numbers count first; a pre-release comes before its release, equal ones are ordered by the text of pre-release, then of build.
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
