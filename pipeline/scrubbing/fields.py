"""Fields: which values of an event may hold personal data, and the names of their types in selectors.

Scrubbing never looks at values that are not listed here: ids, types, levels, function names, versions, the event's own id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.scrubbing.selectors import Pii

_NO_TYPES: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `fields` are those of a known object, `items` the elements of a list, `other` stands for any key not listed.

    A `free` value may have any form, and every value in it is as likely to be personal as the field itself.
    `is_pairs` marks lists of [key, value], which selectors see as objects. `is_path` marks file paths, whose last part stays.
    `is_form` marks values whose texts may be forms or bodies, `has_cookie_headers` headers beside a field `cookies`.
    """

    pii: Pii = Pii.NEVER
    types: frozenset[str] = _NO_TYPES
    fields: Mapping[str, Field] = field(default_factory=dict)
    items: Field | None = None
    other: Field | None = None
    free: bool = False
    is_pairs: bool = False
    is_path: bool = False
    is_form: bool = False
    has_cookie_headers: bool = False
    by_type: Mapping[str, Field] | None = None
    """The fields of an object by its `type`, or else by its key. Objects of another type have the field `other`."""


def _named(type_: str, /, *, other: Field | None = None, **fields: Field) -> Field:
    return Field(types=frozenset({type_}), fields=fields, other=other)


def _values(item: Field) -> Field:
    return Field(fields={"values": Field(items=item)})


_TEXT = Field(Pii.LIKELY)
_FREE = Field(Pii.LIKELY, free=True)
_HEADERS = Field(Pii.LIKELY, free=True, is_pairs=True, has_cookie_headers=True)
_FORM = Field(Pii.LIKELY, free=True, is_form=True)
_FORM_PAIRS = Field(Pii.LIKELY, free=True, is_pairs=True, is_form=True)
_MAYBE = Field(Pii.MAYBE, free=True)
_PATH = Field(Pii.MAYBE, is_path=True)
_HIDDEN = Field()

_TEXTS_AROUND = dict.fromkeys(("pre_context", "post_context"), Field(items=_TEXT))
_FRAME = _named("frame", vars=_FREE, filename=_PATH, abs_path=_PATH, module=Field(Pii.MAYBE))
_STACKTRACE = _named("stacktrace", frames=Field(items=_FRAME))
_EXCEPTION = _named(
    "exception",
    value=_TEXT,
    stacktrace=_STACKTRACE,
    raw_stacktrace=_STACKTRACE,
    mechanism=Field(fields={"description": _TEXT, "data": _FREE}),
)
_HIDDEN_NAMES = {"type": _HIDDEN, "name": _HIDDEN, "version": _HIDDEN}
_CONTEXT = Field(fields={"type": _HIDDEN}, other=_MAYBE)
_CONTEXTS = {
    **dict.fromkeys(("culture", "flags", "gpu", "monitor", "otel", "unity"), _CONTEXT),
    **dict.fromkeys(("browser", "os", "runtime"), Field(fields=_HIDDEN_NAMES, other=_MAYBE)),
    "app": Field(fields={"type": _HIDDEN, "app_identifier": _HIDDEN, "app_name": _HIDDEN, "view_names": _HIDDEN}, other=_MAYBE),
    "device": Field(fields={"type": _HIDDEN, "model": _HIDDEN, "device_unique_identifier": _TEXT}, other=_MAYBE),
    "feedback": Field(),
    "profile": Field(),
    "replay": Field(),
    "response": Field(fields={"type": _HIDDEN, "cookies": _FORM_PAIRS, "headers": _HEADERS, "data": _FORM}, other=_MAYBE),
    "trace": Field(
        fields={**dict.fromkeys(("type", "op", "trace_id", "span_id", "parent_span_id", "status"), _HIDDEN), "data": _FREE},
        other=_MAYBE,
    ),
}

_IMAGE = Field(fields={"code_file": _PATH, "debug_file": _PATH})

_USER = _named(
    "user",
    **dict.fromkeys(("id", "email", "username", "name", "ip_address", "sentry_user"), _TEXT),
    segment=_HIDDEN,
    data=_FREE,
    geo=Field(fields=dict.fromkeys(("city", "country_code", "region", "subdivision"), _TEXT)),
    other=_TEXT,
)

_REQUEST = _named(
    "request",
    url=Field(Pii.MAYBE),
    fragment=_TEXT,
    data=_FORM,
    env=_FREE,
    headers=_HEADERS,
    **dict.fromkeys(("query_string", "cookies"), _FORM_PAIRS),
)

EVENT = _named(
    "event",
    server_name=_TEXT,
    extra=_FREE,
    tags=Field(Pii.MAYBE, free=True, is_pairs=True),
    user=_USER,
    request=_REQUEST,
    logentry=_named("logentry", formatted=Field(Pii.LIKELY, frozenset({"message"})), params=_FREE),
    breadcrumbs=_values(_named("breadcrumb", message=_TEXT, data=_FREE)),
    exception=_values(_EXCEPTION),
    stacktrace=_STACKTRACE,
    template=_named("templateinfo", **dict.fromkeys(("filename", "abs_path", "context_line"), _TEXT), **_TEXTS_AROUND),
    threads=_values(_named("thread", stacktrace=_STACKTRACE, raw_stacktrace=_STACKTRACE)),
    debug_meta=Field(fields={"images": Field(items=Field(by_type={"sourcemap": _HIDDEN}, other=_IMAGE))}),
    sdk=_named("sdk", client_ip=_TEXT),
    contexts=Field(other=Field(by_type=_CONTEXTS, other=_FREE)),
    csp=Field(fields=dict.fromkeys(("effective_directive", "blocked_uri", "document_uri", "source_file", "referrer"), _TEXT)),
)
