"""Configurations: the versions of the grouping algorithm. Each lists all of its behaviours, and none inherits from another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Configuration:
    """One version of the algorithm. A released configuration never changes. A change takes a copy under a new date."""

    id: str
    parameterization: str
    """The set of message patterns, a key of `REPLACERS` in `parameterization/messages.py`."""
    exception_order: Literal["stack-first", "type-first"]
    """The order of an exception's children: stack, type, value; or type, value, stack."""
    lone_script_frame: Literal["drop-url", "drop-nameless"]
    """Which stack of a single JavaScript frame without a function does not contribute.

    With `drop-url` it is a frame that points to a URL, which is what Sentry's code does, although its hint says the opposite.
    With `drop-nameless` it is a frame that does not point to a URL.
    """
    flag_unknown_variables: bool
    """Whether an unknown `{{ variable }}` of a fingerprint becomes `<unrecognized-variable-...>`. Otherwise it stays as text."""
    parameterize_fingerprints: bool
    """Whether a fingerprint value that equals a message of the event is parameterized as the message is."""
    parameterize_spawned_lines: bool
    """Whether numbers are replaced in the source line with which Python's multiprocessing starts a process."""
    strip_bundle_hashes: bool
    """Whether content hashes are removed from JavaScript file names: `app.3f2a91c.js` and `app.77b0e1d.js` are one file."""
    strip_generated_java_names: bool
    """Whether numbers and ids are removed from the names of Java lambdas and proxies."""


NEWSTYLE_2023 = Configuration(
    id="newstyle:2023-01-11",
    parameterization="2023-01-11",
    exception_order="stack-first",
    lone_script_frame="drop-url",
    flag_unknown_variables=False,
    parameterize_fingerprints=False,
    parameterize_spawned_lines=False,
    strip_bundle_hashes=False,
    strip_generated_java_names=False,
)
"""Sentry's configuration of that name. With `hash = "md5"` every hash is Sentry's own."""

PIPELINE_2026 = Configuration(
    id="pipeline:2026-11-22",
    parameterization="2026-11-22",
    exception_order="type-first",
    lone_script_frame="drop-nameless",
    flag_unknown_variables=True,
    parameterize_fingerprints=True,
    parameterize_spawned_lines=True,
    strip_bundle_hashes=True,
    strip_generated_java_names=True,
)
"""The project's own configuration. docs/adr/0002-default-grouping.md lists its changes and their reasons."""

CONFIGURATIONS: Mapping[str, Configuration] = {
    configuration.id: configuration for configuration in (NEWSTYLE_2023, PIPELINE_2026)
}
"""The configurations by the name that `grouping.toml` uses for `strategy`."""
