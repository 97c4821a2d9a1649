"""`scrubbing.toml`: the scrubbing rules of a project."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence

import msgspec

from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.rule_file import Layer, RuleFile, find_key, read_layers
from pipeline.scrubbing.defaults import DefaultRules
from pipeline.scrubbing.field_positions import Application
from pipeline.scrubbing.rules import BUILT_IN, BUILT_IN_GROUPS, RuleSpec, ScrubbingRuleError, build_rule, resolve
from pipeline.scrubbing.selectors import SelectorError, parse_selector


class ScrubbingFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of `scrubbing.toml`. With an empty file the default rules apply."""

    enabled: bool = True
    """false turns all scrubbing off, including the rules of this file."""
    default_rules: bool = True
    """Remove the values of keys such as password and token, and values such as card numbers."""
    ip_addresses: bool = False
    """Remove the user's IP address, and IP addresses in texts."""
    sensitive_fields: tuple[str, ...] = ()
    """Values of keys that contain one of these are removed too."""
    safe_fields: tuple[str, ...] = ()
    """Keys whose values the default rules never change."""
    rules: dict[str, RuleSpec] = {}
    """Own rules by name, as in Sentry's advanced data scrubbing."""
    applications: dict[str, tuple[str, ...]] = {}
    """Names of rules by the selector of what they apply to."""

    def defaults(self) -> DefaultRules:
        """Return the default rules that apply."""
        return DefaultRules(
            scrub_defaults=self.default_rules,
            scrub_ip_addresses=self.ip_addresses,
            sensitive_fields=self.sensitive_fields,
            safe_fields=self.safe_fields,
            ignore_case=True,
        )


def read_scrubbing_file(layers: Sequence[Layer]) -> ScrubbingFile:
    """Read the file of each layer and check its rules and selectors. Values of a later layer win. Raises InvalidRulesError."""
    result = read_layers("scrubbing.toml", layers, ScrubbingFile)
    for layer in layers:
        if "scrubbing.toml" in layer:
            _check(read_layers("scrubbing.toml", [layer], ScrubbingFile), layer, {*BUILT_IN, *BUILT_IN_GROUPS, *result.rules})
    return result


def _check(own: ScrubbingFile, layer: Layer, known: Collection[str]) -> None:
    """Check the rules, the selectors and the names of rules in one file. `known` are all names.

    Raises InvalidRulesError with the line of each mistake.
    """
    file = layer["scrubbing.toml"]
    errors = []
    for name, spec in own.rules.items():
        try:
            build_rule(name, spec)
        except ScrubbingRuleError as error:
            errors.append(RuleError(file.path, find_key(file.text, name), None, f"rule {name}: {error}"))
        inner = (*spec.rules, *([spec.rule] if spec.rule else []))
        errors += [_unknown(file, missing, f"rule {name}", known) for missing in inner if missing not in known]
    for selector, names in own.applications.items():
        errors += [_unknown(file, missing, f"selector {selector}", known) for missing in names if missing not in known]
        try:
            parse_selector(selector)
        except SelectorError as error:
            line = next((number for number, text in enumerate(file.text.splitlines(), 1) if selector in text), None)
            errors.append(RuleError(file.path, line, None, f"selector: {error}"))
    if errors:
        raise InvalidRulesError(errors)


def _unknown(file: RuleFile, name: str, where: str, known: Collection[str]) -> RuleError:
    """Return the mistake of a name that is no rule's. Without it, nothing would be scrubbed there, and nobody would know."""
    line = next(
        (number for number, text in enumerate(file.text.splitlines(), 1) if f'"{name}"' in text or f"'{name}'" in text), None
    )
    near = difflib.get_close_matches(name, sorted(known), 1)
    return RuleError(
        file.path, line, None, f"{where}: there is no rule {name!r}" + (f"; did you mean {near[0]}?" if near else "")
    )


def own_applications(applications: Mapping[str, Sequence[str]], rules: Mapping[str, RuleSpec]) -> list[Application]:
    """Return the applications of a project's own rules. Raises SelectorError and ScrubbingRuleError."""
    return [Application(parse_selector(selector), resolve(tuple(names), rules)) for selector, names in applications.items()]
