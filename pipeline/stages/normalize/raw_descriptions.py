"""Raw descriptions: the one text by which .NET, Unity and Unreal name an operating system or a runtime, taken apart.

See docs/spec/normalization.md, "Contexts", for the forms and for what differs from Relay.
"""

from __future__ import annotations

import re
from typing import Any

MAX_CHARACTERS = 500
"""A longer description is left alone. Those of SDKs have at most some 200 characters."""

_VERSION = r"\d+\.\d+(?:\.\d+)?"
_WINDOWS = re.compile(
    r"(?:Microsoft\s+)?Windows\s+(?:NT\s+)?(?:\d+\s+\()?(?P<version>(?P<release>\d+\.\d+)\.(?P<build>\d{1,9}))", re.ASCII
)
_APPLE = re.compile(rf"(?P<name>Mac OS X|macOS|iOS|iPadOS|tvOS|watchOS|visionOS) (?P<version>{_VERSION})", re.ASCII)
_APPLE_BUILD = re.compile(r" \((?P<build>[0-9A-Fa-f]{1,20})\)", re.ASCII)
_ANDROID = re.compile(r"Android (?:OS )?(?P<version>\d+(?:\.\d+){0,2}) / API-\d+", re.ASCII)
_LINUX_OF_UNITY = re.compile(
    rf"Linux (?P<kernel>{_VERSION}(?:\.[1-9]+)?) (?P<name>[A-Za-z]+) (?P<version>\d+(?:\.\d+){{0,2}})", re.ASCII
)
_KERNEL = re.compile(
    rf"(?P<name>Linux|Darwin|Unix|FreeBSD|OpenBSD|NetBSD|SunOS|AIX) (?P<kernel>{_VERSION}(?:\.[1-9]+)?)", re.ASCII
)
_DISTRIBUTION = re.compile(
    r"(?P<name>[A-Za-z]+(?: GNU/Linux| Linux)?)\s+v?(?P<version>\d+(?:[.-]\d+)*)(?: (?:LTS\b.*|\(.*\)|[A-Z].*))?", re.ASCII
)
_RUNTIME = re.compile(r"(?P<name>.+) (?P<version>\d+\.\d+(?:\.\d+){0,2})", re.ASCII)

_WINDOWS_BY_BUILD = (
    (range(2_600, 3_791), "XP"),
    (range(6_000, 6_004), "Vista"),
    (range(7_600, 7_602), "7"),
    (range(9_200, 9_201), "8"),
    (range(9_600, 9_601), "8.1"),
    (range(10_240, 19_046), "10"),
    (range(22_000, 27_000), "11"),
)
"""Builds and the name that people know them by. Servers share builds with the desktop and get its name."""
_FIRST_BUILD_OF_10 = 10_240

_NET_FRAMEWORK_BY_BUILD = (
    (378_389, "4.5"), (378_675, "4.5.1"), (379_893, "4.5.2"), (393_295, "4.6"), (394_254, "4.6.1"), (394_802, "4.6.2"),
    (460_798, "4.7"), (461_308, "4.7.1"), (461_808, "4.7.2"), (528_040, "4.8"), (533_320, "4.8.1"),
)  # fmt: skip
"""The lowest release key in the registry of Windows for each version, as Microsoft lists them."""
_LAST_NET_FRAMEWORK_BUILD = 533_999
"""A larger key belongs to a version that is not listed here."""


def name_system(context: dict[str, Any]) -> None:
    """Set name, version, build and kernel of a system from its raw description, if it has neither a name nor a version."""
    raw = context.get("raw_description")
    if type(raw) is not str or len(raw) > MAX_CHARACTERS or context.get("name") is not None or context.get("version") is not None:
        return
    if found := _WINDOWS.match(raw):
        context["name"] = "Windows"
        context["version"] = _windows_version(found["release"], int(found["build"])) or found["version"]
        context["build"] = context.get("build") or found["build"]
    elif found := _APPLE.match(raw):
        context["name"] = "macOS" if found["name"] == "Mac OS X" else found["name"]
        context["version"] = found["version"]
        if build := _APPLE_BUILD.match(raw, found.end()):
            context["build"] = build["build"]
    elif found := _LINUX_OF_UNITY.match(raw):
        context["name"], context["version"], context["kernel_version"] = found["name"], found["version"], found["kernel"]
    elif found := _KERNEL.match(raw):
        context["name"], context["kernel_version"] = found["name"], found["kernel"]
    elif found := _ANDROID.match(raw):
        context["name"], context["version"] = "Android", found["version"]
    elif raw == "Nintendo Switch":
        context["name"] = "Nintendo OS"
    elif found := _DISTRIBUTION.fullmatch(raw.strip()):
        context["name"], context["version"] = found["name"], found["version"]


def name_runtime(context: dict[str, Any]) -> None:
    """Set name and version of a runtime from its raw description, if it has neither.

    The version of a .NET Framework follows from its build, because its description holds the version of a file.
    """
    raw = context.get("raw_description")
    if type(raw) is str and len(raw) <= MAX_CHARACTERS and not context.get("name") and not context.get("version"):
        found = _RUNTIME.match(raw)
        if found:
            context["name"], context["version"] = found["name"], found["version"]
    name, build = context.get("name"), context.get("build")
    if type(name) is str and name.startswith(".NET Framework") and type(build) is str:
        version = _net_framework_version(build)
        if version is not None:
            context["version"] = version


def _windows_version(release: str, build: int) -> str | None:
    if build >= _FIRST_BUILD_OF_10 and release != "10.0":
        return None
    return next((name for builds, name in _WINDOWS_BY_BUILD if build in builds), None)


def _net_framework_version(build: str) -> str | None:
    if not build.isdecimal() or len(build) > 9 or int(build) > _LAST_NET_FRAMEWORK_BUILD:
        return None
    return next((version for lowest, version in reversed(_NET_FRAMEWORK_BY_BUILD) if int(build) >= lowest), None)
