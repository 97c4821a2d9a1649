"""Default rules: what scrubbing removes without any configuration, and the settings that change it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from pipeline.scrubbing.field_positions import Application
from pipeline.scrubbing.patterns import Pattern
from pipeline.scrubbing.redaction import Redaction
from pipeline.scrubbing.rules import RuleSpec, ScrubbingRule, resolve
from pipeline.scrubbing.selectors import SelectorError, parse_selector

_PROTECTED = (
    "debug_meta.** || $frame.filename || $frame.abs_path || $logentry.formatted || $error.value || $http.headers.user-agent"
)
"""Fields that default rules leave alone, because errors are found and grouped by them. The message has weaker rules of its
own."""

_MESSAGE_RULES = ("@email:replace", "@creditcard:replace", "@iban:replace", "@usssn:replace", "@bearer:replace")

_COOKIES = (
    "sentrysid", "sudo", "su", "session", "__session", "sessionid", "user_session", "symfony", "phpsessid", "fasthttpsessionid",
    "mysession", "irissessionid", "_vercel_jwt", "csrf",
    "xsrf", "_xsrf", "_csrf", "csrf-token", "csrf_token", "xsrf-token", "xsrf_token", "fastcsrf",
    "_iris_csrf",
)  # fmt: skip
"""Names of session and CSRF cookies."""

_ADDRESSES = "$http.env.REMOTE_ADDR || $user.ip_address || $sdk.client_ip"

SENSITIVE_FIELDS_RULE = "strip-fields"


class DefaultRules(msgspec.Struct, frozen=True):
    """Which default rules apply.

    The values of keys that contain one of `sensitive_fields` are removed too. Those of keys in `safe_fields` stay.
    """

    scrub_data: bool = True
    scrub_defaults: bool = True
    scrub_ip_addresses: bool = False
    sensitive_fields: tuple[str, ...] = ()
    safe_fields: tuple[str, ...] = ()
    ignore_case: bool = False
    """Whether `sensitive_fields` ignore case. They do in rule files, and do not in settings in Sentry's form."""

    def applications(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Return pairs of a selector and the names of the rules for what it selects."""
        general: list[str] = []
        if self.scrub_data and self.scrub_defaults:
            general.append("@common:filter")
            yield "$logentry.formatted", _MESSAGE_RULES
            yield " || ".join(f"*.cookies.{name}" for name in _COOKIES), ("@anything:filter",)
        if self.scrub_data and any(name.strip() for name in self.sensitive_fields):
            general.append(SENSITIVE_FIELDS_RULE)
        if self.scrub_ip_addresses:
            general.append("@ip:replace")
            yield _ADDRESSES, ("@anything:remove",)
        if general:
            safe = "".join(f" && !{_quoted(name.strip())}" for name in self.safe_fields if name.strip())
            yield f"($string || $number || $array || $object) && !({_PROTECTED}){safe}", tuple(general)

    def to_applications(self) -> list[Application]:
        """Return the parsed selectors with the rules that they apply."""
        words = "|".join(re.escape(name.strip()) for name in self.sensitive_fields if name.strip())
        own: dict[str, RuleSpec | ScrubbingRule] = {}
        if words:
            regex = re.compile(
                words, re.IGNORECASE if self.ignore_case else 0
            )  # words without wildcards, for which `re` is linear too, and three times as fast
            pattern = Pattern(regex, whole_text=True, key=regex)
            own[SENSITIVE_FIELDS_RULE] = ScrubbingRule(SENSITIVE_FIELDS_RULE, (pattern,), Redaction("replace"))
        return [Application(parse_selector(selector), resolve(names, own)) for selector, names in self.applications()]


def _quoted(name: str) -> str:
    """Return a selector for a safe field. The field is used as it is if it parses as a selector, else as a quoted key."""
    try:
        parse_selector(name)
    except SelectorError:
        return "'" + name.replace("'", "''") + "'"
    return f"({name})"


def from_relay(settings: dict[str, Any]) -> DefaultRules:
    """Read the settings of a project in Sentry's form (`scrubData`, `sensitiveFields`, ...)."""

    def names(key: str) -> Sequence[str]:
        return tuple(name for name in settings.get(key) or () if isinstance(name, str))

    return DefaultRules(
        scrub_data=bool(settings.get("scrubData", False)),
        scrub_defaults=bool(settings.get("scrubDefaults", False)),
        scrub_ip_addresses=bool(settings.get("scrubIpAddresses", False)),
        sensitive_fields=tuple(names("sensitiveFields")),
        safe_fields=tuple(names("excludeFields")),
    )
