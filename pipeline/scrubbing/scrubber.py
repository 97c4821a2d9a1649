"""The scrubber of one project: walks an event once, and changes only the values in which a rule finds something.

Which rules apply to a value follows from its position, the keys on the way to it (see field_positions.py).

This file is long because one class holds the walk and what is done at each kind of value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, Self

import msgspec

from pipeline.model.event import Event, as_json
from pipeline.model.event_path import EventPath, path_keys
from pipeline.model.ip_address import parse_ip
from pipeline.model.rule_file import Layer
from pipeline.scrubbing.defaults import from_relay
from pipeline.scrubbing.field_positions import Application, FieldPosition, FieldPositions, TextCheck, TextChecks
from pipeline.scrubbing.keyed_redaction import NEVER_PERSONAL, redact_values
from pipeline.scrubbing.keyed_texts import KeyedValue, cookie_values, form_values, json_values, looks_like_json
from pipeline.scrubbing.patterns import SearchedText, careful_patterns
from pipeline.scrubbing.redaction import Remark, finds, join, redact, split
from pipeline.scrubbing.rules import RuleSpec, ScrubbingRule, build_rule
from pipeline.scrubbing.scrubbing_file import ScrubbingFile, own_applications, read_scrubbing_file

_UNNOTED: EventPath = (None, "")
"""Root of the paths inside `_meta` and `errors`. What is removed there is not noted again."""

_BEGINNINGS = frozenset("{[ \t\r\n\ufeff")
_COOKIE_HEADERS = frozenset({"Cookie", "Set-Cookie"})


_VERSIONS = count()


class Scrubber:
    """Replaces secrets and personal data in events. Each group of applications works on the result of those before it."""

    def __init__(self, groups: Iterable[Sequence[Application]], *, own: int = 0) -> None:
        """Take groups of applications. The first `own` of them are a project's, whose rules also hold for keys in texts."""
        self._groups = [FieldPositions(group, looks_into_texts=at < own) for at, group in enumerate(groups) if group]
        self.version = next(_VERSIONS)
        """Differs for each scrubber: what one of them finds nothing in, another may."""

    @classmethod
    def load(cls, layers: Sequence[Layer]) -> Self:
        """Read `scrubbing.toml` of each layer. Values of a later layer win. Raises InvalidRulesError."""
        return cls.of(read_scrubbing_file(layers))

    @classmethod
    def of(cls, file: ScrubbingFile) -> Self:
        """Return the scrubber that a file describes: its own rules first, then the default ones. Raises ScrubbingRuleError."""
        groups = [own_applications(file.applications, file.rules), file.defaults().to_applications()]
        return cls([[_carefully(one) for one in group] for group in groups] if file.enabled else [], own=1)

    @classmethod
    def from_relay(cls, settings: dict[str, Any] | None, pii_config: dict[str, Any] | None) -> Self:
        """Read a project's settings in Sentry's form: data scrubbing settings, and advanced rules (`{rules, applications}`).

        Raises SelectorError, ScrubbingRuleError or msgspec.ValidationError if they cannot be used.
        """
        groups: list[Sequence[Application]] = []
        if pii_config:
            rules = msgspec.convert(pii_config.get("rules") or {}, dict[str, RuleSpec])
            for name, spec in rules.items():
                build_rule(name, spec)
            applications = msgspec.convert(pii_config.get("applications") or {}, dict[str, tuple[str, ...]])
            groups.append(own_applications(applications, rules))
        if settings:
            groups.append(from_relay(settings).to_applications())
        return cls(groups, own=1 if pii_config else 0)

    def scrub(self, event: Event) -> None:
        """Scrub a normalized event in place, and note in its `_meta` what was removed. Never raises for an event's content."""
        for positions in self._groups:
            scrubbing = _OwnScrubbing if positions.looks_into_texts else _Scrubbing
            scrubbing(as_json(event)).run(positions.event)


class _Scrubbing:
    """One pass over one event. It gathers all texts by the checks that apply to them, then searches those texts together."""

    def __init__(self, event: dict[str, Any]) -> None:
        self.event = event
        self.found: defaultdict[TextChecks, list[tuple[Any, str | int, str, EventPath]]] = defaultdict(list)

    def run(self, event_position: FieldPosition) -> None:
        user = self.event.get("user")
        address = user.get("ip_address") if user else None
        was_address = isinstance(address, str) and parse_ip(address) is not None
        self._visit_object(self.event, event_position, None)
        self._visit_notes(event_position)
        for text_checks, found in self.found.items():
            checks = text_checks.worth_trying(SearchedText("\n".join([text for _, _, text, _ in found])))
            if checks:
                for container, key, text, path in found:
                    self._search(text_checks, checks, container, key, text, path)
        if was_address:
            _keep_pseudonym(self.event.get("user") or {}, self._note)

    def _visit(self, container: Any, key: str | int, value: Any, position: FieldPosition, path: EventPath) -> None:
        """Look at one value. `path` is that of its container."""
        kind = type(value)
        if kind is str:
            checks = position.text_checks
            if checks is not None and value not in NEVER_PERSONAL:
                self.found[checks].append((container, key, value, path))
        elif kind is dict:
            if position.field.by_type is not None:
                position = position.of_type(value.get("type"))
            if position.object_rule is None:
                self._visit_object(value, position, (path, key))
            else:
                self._remove(container, key, path, position.object_rule)
        elif kind is list:
            rule = position.object_rule if position.field.is_pairs else position.array_rule
            if rule is None:
                self._visit_list(value, position, (path, key))
            else:
                self._remove(container, key, path, rule)
        elif (kind is int or kind is float) and position.number_rule is not None:
            self._remove(container, key, path, position.number_rule)

    def _visit_object(self, value: dict[str, Any], position: FieldPosition, path: EventPath) -> None:
        for key, known in position.known_fields:
            child = value.get(key)
            if child is not None:
                self._visit(value, key, child, known, path)
        if position.has_others:
            fields = position.field.fields
            for key, child in value.items():
                if child is not None and key not in fields:
                    self._visit(value, key, child, position.child(key), path)

    def _visit_list(self, value: list[Any], position: FieldPosition, path: EventPath) -> None:
        """Look at the items of a list. A list of pairs is treated as an object."""
        field = position.field
        if field.is_pairs or (field.free and value and any(map(_is_pair, value))):
            self._visit_pairs(value, position, path)
            return
        if position.tree.tells_items_apart:
            for index, item in enumerate(value):
                if item is not None:
                    self._visit(value, index, item, position.item(index), path)
            return
        inner = position.item(0)
        only = inner.only
        for index, item in enumerate(value):
            if item is not None and not (only is not None and type(item) is dict and only.isdisjoint(item)):
                self._visit(value, index, item, inner, path)

    def _visit_pairs(self, value: list[Any], position: FieldPosition, path: EventPath) -> None:
        """Look at the values of pairs by their keys. An item that is not a pair is treated as an item of a list.

        In data of free form, in a list that also has other items, an item counts as a pair only if a rule cares about its key.
        """
        field = position.field
        is_certain = field.is_pairs or all(map(_is_pair, value))
        for index, item in enumerate(value):
            if _is_pair(item):
                inner = position.child(item[0])
                if is_certain or inner.key:
                    if field.has_cookie_headers and item[0] in _COOKIE_HEADERS and type(item[1]) is str:
                        self._hide_cookies(item, position, (path, index))
                    if item[1] is not None:
                        self._visit(item, 1, item[1], inner, (path, index))
                    continue
            elif field.is_pairs and type(item) is list and len(item) == 2 and item[1] is not None:
                self._visit(item, 1, item[1], position.child(self._refused_name(path, index)), (path, index))
                continue
            if item is not None:
                self._visit(value, index, item, position.item(index), path)

    def _refused_name(self, path: EventPath, index: int) -> str:
        """Return the name of a pair that normalization refused, as `_meta` keeps it, or an empty text."""
        node: Any = self.event.get("_meta")
        for part in (*path_keys(path), str(index), "0", ""):
            node = node.get(part) if type(node) is dict else None
        name = node.get("val") if type(node) is dict else None
        return name if isinstance(name, str) else ""

    def _hide_cookies(self, pair: list[Any], headers: FieldPosition, path: EventPath) -> None:
        """Apply the rules about cookies to a header that was left as text, because not all of it is cookies."""
        parent = headers.parent
        if parent is not None:
            cookies = parent.child("cookies")
            self._hide(pair, 1, pair[1], [(cookies, value) for value in cookie_values(pair[1])], headers, path)

    def _hide(
        self,
        container: Any,
        key: str | int,
        text: str,
        found: list[tuple[FieldPosition, KeyedValue]],
        position: FieldPosition,
        path: EventPath,
    ) -> str:
        own = position.text_checks
        redacted = redact_values(text, self._remarks(path, key), found, own.checks if own else ())
        if redacted is None:
            return text
        result, remarks = redacted
        if result != text:
            self._replace(container, key, path, text, result, remarks)
        return result

    def _visit_notes(self, position: FieldPosition) -> None:
        """Look at the original values in `_meta` and `errors`, with the rules of the positions that they came from."""
        meta = self.event.get("_meta")
        if type(meta) is dict:
            _visit_meta(meta, position, self._visit)
        for error in self.event.get("errors") or ():
            name, value = error.get("name"), error.get("value")
            if isinstance(name, str) and value is not None:
                where = position
                for part in name.split("."):
                    where = _below(where, part)
                self._visit(error, "value", value, where, _UNNOTED)

    def _search(
        self, text_checks: TextChecks, checks: Sequence[TextCheck], container: Any, key: str | int, text: str, path: EventPath
    ) -> None:
        """Apply patterns to one text, and store the result."""
        if not any(check.takes_all for check in checks) and len(text) > 16:
            searched = SearchedText(text)
            checks = [check for check in checks if check.pattern.may_match(searched)]
        if not checks:
            return
        head, tail = _split_path(text) if text_checks.is_path else (text, "")
        noted = self._remarks(path, key)
        if not noted and not any(check.takes_all or finds(check.pattern, head) for check in checks):
            return  # the case for four of five texts that passed `may_match`
        chunks = before = split(head, noted)
        for check in checks:
            if check.takes_all and not check.rule.hides:
                self._replace(container, key, path, head, "", join(chunks)[1])
                self._remove(container, key, path, check.rule)
                return
            chunks = redact(chunks, check.pattern, check.rule.redaction, check.rule.id)
        if chunks is before:
            return
        result, remarks = join(chunks)
        if result != head:
            self._replace(container, key, path, head, result + tail, remarks)

    def _replace(self, container: Any, key: str | int, path: EventPath, before: str, after: str, remarks: list[Remark]) -> None:
        """Store the new text of a value, and note what was changed in it."""
        container[key] = after
        if remarks and _is_noted(path):
            note = self._note(path, key)
            note["rem"] = remarks
            note.setdefault("len", len(before))

    def _remove(self, container: Any, key: str | int, path: EventPath, rule: ScrubbingRule) -> None:
        """Set a value to null, and note the rule that removed it."""
        container[key] = None
        if _is_noted(path):
            self._note(path, key).setdefault("rem", []).append([rule.id, "x"])

    def _remarks(self, path: EventPath, key: str | int) -> list[Remark]:
        """Return the remarks that a text has from normalization or from an earlier group of rules."""
        node: Any = self.event.get("_meta")
        if not node or not _is_noted(path):
            return []
        for part in (*path_keys(path), str(key), ""):
            node = node.get(part) if type(node) is dict else None
        remarks = node.get("rem") if type(node) is dict else None
        return remarks if type(remarks) is list else []

    def _note(self, path: EventPath, key: str | int) -> dict[str, Any]:
        """Return the `_meta` entry of a value, created if it is missing."""
        node = self.event
        for part in ("_meta", *path_keys(path), str(key), ""):
            child = node.get(part)
            if type(child) is not dict:
                child = node[part] = {}
            node = child
        return node


class _OwnScrubbing(_Scrubbing):
    """A pass with a project's own rules, which also hold for the keys in texts."""

    def _visit(self, container: Any, key: str | int, value: Any, position: FieldPosition, path: EventPath) -> None:
        if type(value) is str and position.looks_into_texts:
            value = self._hide_keyed(container, key, value, position, path)
        super()._visit(container, key, value, position, path)

    def _hide_keyed(self, container: Any, key: str | int, text: str, position: FieldPosition, path: EventPath) -> str:
        """Apply rules about keys to the values in a text that has keys. Return what is left of the text."""
        form = position.form
        if form is not None:
            found = [(form, value) for value in form_values(text)]
            if form.key == "cookies":
                found += [(form, value) for value in cookie_values(text)]
            if form is position or looks_like_json(text):
                found += [(position.as_structure, value) for value in json_values(text)]
        elif text[:1] in _BEGINNINGS and looks_like_json(text):
            found = [(position.as_structure, value) for value in json_values(text)]
        else:
            return text
        return self._hide(container, key, text, found, position, path) if found else text


def _carefully(application: Application) -> Application:
    """Replace Relay's patterns by those that leave alone what only looks like a secret."""
    rules = tuple(replace(rule, patterns=careful_patterns(rule.patterns)) for rule in application.rules)
    return Application(application.selector, rules)


def _is_noted(path: EventPath) -> bool:
    """Whether a removal at this path is noted."""
    while path is not None and path is not _UNNOTED:
        path = path[0]
    return path is None


def _visit_meta(meta: dict[str, Any], position: FieldPosition, visit: Any) -> None:
    """Walk `_meta` along with the positions of the values that it describes."""
    for key, child in meta.items():
        if type(child) is not dict:
            continue
        if key:
            _visit_meta(child, _below(position, key), visit)
        elif child.get("val") is not None:
            visit(child, "val", child["val"], position, _UNNOTED)


def _below(position: FieldPosition, key: str) -> FieldPosition:
    """Return the position under a key of `_meta`, which may be an index."""
    position = position.of_type(None)
    return (
        position.item(int(key)) if position.field.items is not None and key.isdecimal() and len(key) < 6 else position.child(key)
    )


def _is_pair(item: Any) -> bool:
    return type(item) is list and len(item) == 2 and type(item[0]) is str


def _split_path(text: str) -> tuple[str, str]:
    """Split a file's path before its name. The name stays, because symbolication and grouping need it."""
    end = max(text.rfind("/"), text.rfind("\\"))
    return (text[:end], text[end:]) if end > 0 else ("", text)


def _keep_pseudonym(user: dict[str, Any], note: Any) -> None:
    """Move a pseudonym that replaced the user's address to the user's id.

    So users can still be counted, and the address field only holds addresses.
    """
    address = user.get("ip_address")
    if not address or any(user.get(name) for name in ("id", "username", "email")):
        return
    if parse_ip(address) is not None:
        return
    user["id"] = user.pop("ip_address")
    noted = note((None, "user"), "ip_address")
    note((None, "user"), "id").update(noted)
    noted.clear()
    noted["rem"] = [["pii:ip_address", "x"]]
