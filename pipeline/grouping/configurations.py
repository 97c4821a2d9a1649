"""Configurations: a grouping algorithm's version as a record of named behaviours. Each stands alone; none inherits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Configuration:
    """One version of the algorithm. Hashes of a released configuration never change: change a copy under a new date."""

    id: str
    parameterization: str
    """The set of message patterns (`parameterization.py`)."""
    exception_order: Literal["stack-first", "type-first"]
    """The order of an exception's leaves: stack, type, value; or type, value, stack."""
    lone_script_frame: Literal["drop-url", "drop-nameless"]
    """Which stack of one JavaScript frame without a function is too little to group by.

    `drop-url` drops one that points to a URL (what the published code does, against its own hint);
    `drop-nameless` drops one that points to nothing.
    """
    flag_unknown_variables: bool
    """A fingerprint's unknown `{{ variable }}` becomes `<unrecognized-variable-...>` instead of staying as text."""
    parameterize_fingerprints: bool
    """A fingerprint's value that is the event's message is parameterized as the message itself would be."""
    parameterize_spawned_lines: bool
    """The source line with which Python's multiprocessing starts a process has its file numbers parameterized."""
    strip_bundle_hashes: bool
    """`app.3f2a91c.js` and `app.77b0e1d.js` are one JavaScript file."""
    strip_generated_java_names: bool
    """Numbers and ids in the names of Java lambdas and proxies are dropped."""


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
"""Sentry's, hash for hash."""

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
"""Our own: docs/adr/0002-default-grouping.md says what it changes and why."""

CONFIGURATIONS: Mapping[str, Configuration] = {
    configuration.id: configuration for configuration in (NEWSTYLE_2023, PIPELINE_2026)
}
"""By the name that `grouping.toml` uses as `strategy`."""
