"""The scrubber of one project: walks an event once, and changes only the values in which a rule finds something.

Which rules apply to a value follows from its place: the keys on the way to it. Places are remembered, so that selectors
and patterns of keys are evaluated once for each place and not for each event.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Self

import msgspec

from pipeline.model.path import Path, path_keys
from pipeline.model.rule_file import Layer
from pipeline.scrubbing.defaults import from_relay
from pipeline.scrubbing.patterns import Haystack
from pipeline.scrubbing.places import Application, Place, Plan, Root, Trial
from pipeline.scrubbing.redaction import Remark, finds, join, redact, split
from pipeline.scrubbing.rules import Rule, RuleSpec, build_rule
from pipeline.scrubbing.scrubbing_file import ScrubbingFile, own_applications, read_scrubbing_file

_UNNOTED: Path = (None, "")
"""Where the paths of values begin that are notes themselves: what is taken out of them needs no note."""

_NEVER_PERSONAL = frozenset({"", "true", "false", "null", "undefined"})


class Scrubber:
    """Replaces secrets and personal data in events. Holds groups of rules; each group sees what the one before it left."""

    def __init__(self, groups: Iterable[Sequence[Application]]) -> None:
        self._roots = [Root(group) for group in groups if group]

    @classmethod
    def load(cls, layers: Sequence[Layer]) -> Self:
        """Read `scrubbing.toml` of each layer; the later layer's values win. Raises InvalidRulesError."""
        return cls.of(read_scrubbing_file(layers))

    @classmethod
    def of(cls, file: ScrubbingFile) -> Self:
        """Make the scrubber that a file describes: its own rules first, then the default ones. Raises ScrubbingRuleError."""
        groups = [own_applications(file.applications, file.rules), file.defaults().to_applications()]
        return cls(groups if file.enabled else [])

    @classmethod
    def from_relay(cls, settings: dict[str, Any] | None, pii_config: dict[str, Any] | None) -> Self:
        """Read what Sentry keeps for a project: its data scrubbing settings, and its advanced rules (`{rules, applications}`).

        Raises SelectorError, ScrubbingRuleError and msgspec.ValidationError for what cannot be used.
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
        return cls(groups)

    def scrub(self, event: dict[str, Any]) -> None:
        """Scrub a normalized event in place; what was taken out is noted in its `_meta`. Never raises for what an event holds."""
        for root in self._roots:
            _Scrubbing(event).run(root.place())


class _Scrubbing:
    """One pass over one event: first every text is gathered with the plan of its place, then they are searched together."""

    def __init__(self, event: dict[str, Any]) -> None:
        self.event = event
        self.found: defaultdict[Plan, list[tuple[Any, str | int, str, Path]]] = defaultdict(list)

    def run(self, place: Place) -> None:
        user = self.event.get("user")
        address = user.get("ip_address") if user else None
        was_address = isinstance(address, str) and _is_address(address)
        self._visit_object(self.event, place, None)
        self._visit_notes(place)
        for plan, found in self.found.items():
            trials = plan.worth_trying(Haystack("\n".join([text for _, _, text, _ in found])))
            if trials:
                for container, key, text, path in found:
                    self._search(plan, trials, container, key, text, path)
        if was_address:
            _keep_pseudonym(self.event.get("user") or {}, self._note)

    def _visit(self, container: Any, key: str | int, value: Any, place: Place, path: Path) -> None:
        """Look at one value; `path` is that of its container."""
        kind = type(value)
        if kind is str:
            plan = place.text_plan
            if plan is not None and value not in _NEVER_PERSONAL:
                self.found[plan].append((container, key, value, path))
        elif kind is dict:
            if place.field.by_type is not None:
                place = place.of_type(value.get("type"))
            if place.object_taken is None:
                self._visit_object(value, place, (path, key))
            else:
                self._take(container, key, path, place.object_taken)
        elif kind is list:
            rule = place.object_taken if place.field.is_pairs else place.array_taken
            if rule is None:
                self._visit_list(value, place, (path, key))
            else:
                self._take(container, key, path, rule)
        elif (kind is int or kind is float) and place.number_taken is not None:
            self._take(container, key, path, place.number_taken)

    def _visit_object(self, value: dict[str, Any], place: Place, path: Path) -> None:
        for key, known in place.known_fields:
            child = value.get(key)
            if child is not None:
                self._visit(value, key, child, known, path)
        if place.has_others:
            fields = place.field.fields
            for key, child in value.items():
                if child is not None and key not in fields:
                    self._visit(value, key, child, place.child(key), path)

    def _visit_list(self, value: list[Any], place: Place, path: Path) -> None:
        """Look at the items of a list; a list of pairs is seen as an object."""
        if (place.field.free or place.field.is_pairs) and value and all(map(_is_pair, value)):
            for index, pair in enumerate(value):
                if pair[1] is not None:
                    self._visit(pair, 1, pair[1], place.child(pair[0]), (path, index))
            return
        if place.root.tells_items_apart:
            for index, item in enumerate(value):
                if item is not None:
                    self._visit(value, index, item, place.item(index), path)
            return
        inner = place.item(0)
        only = inner.only
        for index, item in enumerate(value):
            if item is not None and not (only is not None and type(item) is dict and only.isdisjoint(item)):
                self._visit(value, index, item, inner, path)

    def _visit_notes(self, place: Place) -> None:
        """Look at the originals that normalization kept in `_meta` and `errors`: what is secret at a place is secret there."""
        meta = self.event.get("_meta")
        if type(meta) is dict:
            _visit_meta(meta, place, self._visit)
        for error in self.event.get("errors") or ():
            name, value = error.get("name"), error.get("value")
            if isinstance(name, str) and value is not None:
                where = place
                for part in name.split("."):
                    where = _below(where, part)
                self._visit(error, "value", value, where, _UNNOTED)

    def _search(self, plan: Plan, trials: Sequence[Trial], container: Any, key: str | int, text: str, path: Path) -> None:
        """Try patterns on one text, and put what is left of it in its place."""
        if not any(trial.always for trial in trials) and len(text) > 16:
            haystack = Haystack(text)
            trials = [trial for trial in trials if trial.pattern.may_match(haystack)]
        if not trials:
            return
        head, tail = _split_path(text) if plan.is_path else (text, "")
        noted = self._remarks(path, key)
        if not noted and not any(trial.always or finds(trial.pattern, head) for trial in trials):
            return  # four of five texts that a hint let through
        chunks = before = split(head, noted)
        for trial in trials:
            if trial.always and not trial.rule.hides:
                self._replace(container, key, path, head, "", join(chunks)[1])
                self._take(container, key, path, trial.rule)
                return
            chunks = redact(chunks, trial.pattern, trial.rule.redaction, trial.rule.id)
        if chunks is before:
            return
        result, remarks = join(chunks)
        if result != head:
            self._replace(container, key, path, head, result + tail, remarks)

    def _replace(self, container: Any, key: str | int, path: Path, before: str, after: str, remarks: list[Remark]) -> None:
        """Put a text in the place of another, and note where it was changed."""
        container[key] = after
        if remarks and _is_noted(path):
            note = self._note(path, key)
            note["rem"] = remarks
            note.setdefault("len", len(before))

    def _take(self, container: Any, key: str | int, path: Path, rule: Rule) -> None:
        """Take a value out whole."""
        container[key] = None
        if _is_noted(path):
            self._note(path, key).setdefault("rem", []).append([rule.id, "x"])

    def _remarks(self, path: Path, key: str | int) -> list[Remark]:
        """Give the remarks that a text has already, from being cut or from an earlier group of rules."""
        node: Any = self.event.get("_meta")
        if not node or not _is_noted(path):
            return []
        for part in (*path_keys(path), str(key), ""):
            node = node.get(part) if type(node) is dict else None
        remarks = node.get("rem") if type(node) is dict else None
        return remarks if type(remarks) is list else []

    def _note(self, path: Path, key: str | int) -> dict[str, Any]:
        """Give the `_meta` entry of a value, made where it is missing."""
        node = self.event
        for part in ("_meta", *path_keys(path), str(key), ""):
            child = node.get(part)
            if type(child) is not dict:
                child = node[part] = {}
            node = child
        return node


def _is_noted(path: Path) -> bool:
    """Say whether what is taken out at a path is to be noted."""
    while path is not None and path is not _UNNOTED:
        path = path[0]
    return path is None


def _visit_meta(meta: dict[str, Any], place: Place, visit: Any) -> None:
    """Follow `_meta` down along with the places that it speaks of."""
    for key, child in meta.items():
        if type(child) is not dict:
            continue
        if key:
            _visit_meta(child, _below(place, key), visit)
        elif child.get("val") is not None:
            visit(child, "val", child["val"], place, _UNNOTED)


def _below(place: Place, key: str) -> Place:
    """Give the place under a key that may be an index."""
    place = place.of_type(None)
    return place.item(int(key)) if place.field.items is not None and key.isdecimal() and len(key) < 6 else place.child(key)


def _is_pair(item: Any) -> bool:
    return type(item) is list and len(item) == 2 and type(item[0]) is str


def _split_path(text: str) -> tuple[str, str]:
    """Split a file's path before its name, which symbolication and grouping need."""
    end = max(text.rfind("/"), text.rfind("\\"))
    return (text[:end], text[end:]) if end > 0 else ("", text)


def _keep_pseudonym(user: dict[str, Any], note: Any) -> None:
    """Move an address that became a pseudonym to the user's id: users stay countable, and addresses stay addresses."""
    address = user.get("ip_address")
    if not address or any(user.get(name) for name in ("id", "username", "email")):
        return
    if _is_address(address):
        return
    user["id"] = user.pop("ip_address")
    noted = note((None, "user"), "ip_address")
    note((None, "user"), "id").update(noted)
    noted.clear()
    noted["rem"] = [["pii:ip_address", "x"]]


@lru_cache(maxsize=4_096)
def _is_address(text: str) -> bool:
    """Parse an address; they repeat, and normalization leaves none that is longer than an address can be."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
