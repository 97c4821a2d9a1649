"""User: the one string that tells the users of a project apart."""

from __future__ import annotations

from typing import Any

_FIELDS = (("id", "id"), ("username", "username"), ("email", "email"), ("ip", "ip_address"))


def user_tag(event: dict[str, Any]) -> str | None:
    """Give the value of the `sentry:user` tag: `id:1`, `username:..`, `email:..` or `ip:..`, by the first that the event has."""
    user = event.get("user")
    if not isinstance(user, dict):
        return None
    for name, field in _FIELDS:
        value = user.get(field)
        if value is not None and value != "" and not isinstance(value, dict | list):
            return f"{name}:{value}"
    return None
