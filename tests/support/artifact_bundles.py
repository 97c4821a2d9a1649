"""Bundles for tests: zips with a manifest, as sentry-cli builds them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class BuiltFile(NamedTuple):
    """A file to put into a bundle."""

    url: str
    content: bytes
    type: str = "minified_source"
    headers: Mapping[str, str] = {}


def write_bundle(path: Path, files: list[BuiltFile], **manifest: Any) -> Path:
    """Write a bundle; `manifest` are its attributes (release, dist, ...)."""
    entries = {
        f"files/{number}": {"url": file.url, "type": file.type, "headers": dict(file.headers)}
        for number, file in enumerate(files)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, file in enumerate(files):
            archive.writestr(f"files/{number}", file.content)
        archive.writestr("manifest.json", json.dumps({**manifest, "files": entries}))
    return path


def rewrite_manifest(source: Path, target: Path, **changes: Any) -> Path:
    """Copy a bundle with another manifest; what is None is taken out of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename == "manifest.json":
                merged = {**json.loads(content), **changes}
                content = json.dumps({key: value for key, value in merged.items() if value is not None}).encode()
            new.writestr(info.filename, content)
    return target
