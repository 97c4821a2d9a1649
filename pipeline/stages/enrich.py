"""Enrich: add the sender's browser, system and device, from client hints and the User-Agent header, and the derived tags."""

from __future__ import annotations

import re
from typing import Any

from pipeline.model.event import Event, sent_headers
from pipeline.model.item import Item
from pipeline.model.user_agent import UserAgent, parse_user_agent
from pipeline.stages.contract import Context
from pipeline.stages.derived_tags import set_derived_tags

_BRAND = re.compile(r'"([^"]{1,100})"\s*;\s*v\s*=\s*"([^"]{1,50})"')
_APPLE_MODEL = re.compile(r"([A-Za-z]{1,30})\d{1,4},\d{1,4}", re.ASCII)
_FROZEN = {("Windows", "10"), ("Mac OS X", "10.15.7")}
"""Versions of systems that browsers report for later ones too."""


def enrich_event(item: Item[Event], ctx: Context) -> Item[Event]:  # noqa: ARG001 -- every stage has this form
    """Add contexts that the request's headers name, and the tags that follow from the event.

    Takes    normalized, scrubbed events. Returns all of them; rejects nothing.
    Cost     a few look-ups, no I/O. Running twice gives the same result.
    """
    add_client_contexts(item.event)
    name_device_family(item.event)
    set_derived_tags(item.event)
    return item


def add_client_contexts(event: Event) -> None:
    """Add the contexts `browser`, `device` and `os` or `client_os`, unless the sender set them.

    The user's system is `os` if the program runs in the browser. Otherwise `os` is the server's, and the user's is `client_os`.
    """
    headers = dict(sent_headers(event))
    if not headers:
        return
    header = headers.get("user-agent")
    agent = parse_user_agent(header) if header else UserAgent()
    contexts = event.setdefault("contexts", {})
    system = "os" if event.get("platform") == "javascript" else "client_os"
    for name, context in (
        ("browser", _browser(headers, agent)),
        (system, _system(headers, agent)),
        ("device", _device(headers, agent)),
    ):
        if context and not contexts.get(name):
            contexts[name] = context


def name_device_family(event: Event) -> None:
    """Set the family of a device of which only the model is known, so that models of one family are found together.

    It is the word before the numbers of Apple's identifiers (`iPhone14,5`), else the first word of the model (`Pixel 7 Pro`), as
    the SDKs for Apple's systems and for Android have it.
    """
    device = (event.get("contexts") or {}).get("device")
    if not device or device.get("family"):
        return
    model = device.get("model")
    if isinstance(model, str) and model.strip():
        found = _APPLE_MODEL.fullmatch(model)
        device["family"] = found[1] if found else model.split()[0]


def _browser(headers: dict[str, str], agent: UserAgent) -> dict[str, Any] | None:
    name, version = _hinted_browser(headers.get("sec-ch-ua")) or (agent.browser, agent.browser_version)
    return _named("browser", name, version)


def _hinted_browser(hint: str | None) -> tuple[str, str] | None:
    """Return name and version of the browser's brand. The hint also lists a made-up brand and the engine, which are left out."""
    brands = [(name, version) for name, version in _BRAND.findall((hint or "")[:1000]) if "brand" not in name.lower()]
    if not brands:
        return None
    name, version = next(((name, version) for name, version in brands if name != "Chromium"), brands[0])
    return name.removeprefix("Google "), version


def _system(headers: dict[str, str], agent: UserAgent) -> dict[str, Any] | None:
    hint = headers.get("sec-ch-ua-platform", "").strip('"')
    if hint:
        return _named("os", hint, headers.get("sec-ch-ua-platform-version", "").strip('"') or None)
    version = agent.os_version
    return _named("os", agent.os, f">={version}" if (agent.os, version) in _FROZEN else version)


def _named(kind: str, name: str | None, version: str | None) -> dict[str, Any] | None:
    if not name:
        return None
    context = {"name": name, kind: f"{name} {version}" if version else name, "type": kind}
    if version:
        context["version"] = version
    return context


def _device(headers: dict[str, str], agent: UserAgent) -> dict[str, Any] | None:
    model = headers.get("sec-ch-ua-model", "").strip('"')
    if model:
        return {"name": model, "model": model, "type": "device"}
    if not agent.device_family:
        return None
    known = {"family": agent.device_family, "brand": agent.device_brand, "model": agent.device_model, "type": "device"}
    return {key: value for key, value in known.items() if value}
