"""Debug images: the libraries and source maps of the program, with the ids under which their symbols are found."""

from __future__ import annotations

from typing import Any

from pipeline.model.event_path import EventPath
from pipeline.model.ids import parse_debug_id
from pipeline.stages.normalize.remarks import Remarks
from pipeline.stages.normalize.shapes import array, record
from pipeline.stages.normalize.values import address, boolean, string, unsigned


def _debug_id(value: Any, path: EventPath, remarks: Remarks) -> str | None:
    result = parse_debug_id(value)
    if result is None and value is not None:
        remarks.invalid(path, "invalid debug identifier", value)
    return result


_NATIVE_IMAGES = {"apple": "macho"} | {name: name for name in ("symbolic", "elf", "macho", "pe", "pe_dotnet", "wasm")}
_OTHER_IMAGES = frozenset({"sourcemap", "jvm", "proguard"})

_ALIASES = {"debug_id": ("uuid", "id"), "code_file": ("name",)}


def _code_id(value: Any, path: EventPath, remarks: Remarks) -> str | None:
    code_id: str | None = string(value, path, remarks)
    return code_id and code_id.lower()


_image_fields = record(
    {
        "type": string,
        "debug_id": _debug_id,
        "code_id": _code_id,
        "code_file": string,
        "debug_file": string,
        "debug_checksum": string,
        "arch": string,
        "image_addr": address,
        "image_size": unsigned,
        "image_vmaddr": address,
        "in_app": boolean,
    },
    "debug image",
    aliases={alias: name for name, aliases in _ALIASES.items() for alias in aliases},
)
_mapping_fields = record({"type": string, "uuid": _debug_id, "debug_id": _debug_id}, "debug image")


def _image(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
    """Parse one image: a library, or the map of a minified file."""
    if value is None:
        return None
    kind = value.get("type") if type(value) is dict else None
    if type(kind) is not str or (kind not in _NATIVE_IMAGES and kind not in _OTHER_IMAGES):
        remarks.invalid(path, "unsupported debug image type", value)
        return None
    fields = _mapping_fields if kind == "proguard" else _image_fields
    result: dict[str, Any] = fields(value, path, remarks) or {}
    if kind in _NATIVE_IMAGES:
        result["type"] = _NATIVE_IMAGES[kind]
    for name in _REQUIRED.get(kind, ("debug_id", "code_file")):
        if result.get(name) is None and all(value.get(alias) is None for alias in (name, *_ALIASES.get(name, ()))):
            remarks.error((path, name), "missing_attribute")
    return result


_REQUIRED = {"proguard": ("uuid",), "jvm": ("debug_id",)}
"""Fields that an image of a kind must have. Images of all other kinds need both."""
_sdk_info_fields = record(
    {"sdk_name": string, "version_major": unsigned, "version_minor": unsigned, "version_patchlevel": unsigned}, "systemsdkinfo"
)
debug_meta = record({"sdk_info": _sdk_info_fields, "images": array(_image)}, "debugmeta")
