"""Configurations: the versions of the grouping algorithm. Each lists all of its behaviours, and none inherits from another."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Configuration:
    """One version of the algorithm. A released configuration never changes. A change takes a copy under a new date."""

    id: str
    bases_until: dt.date
    """The newest base rules of this date or before are in force, unless `grouping.toml` names others. See `rules/bases`."""
    parameterization: str
    """The set of message patterns, named by its date. See `parameterization/messages.py`."""
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
    generated_names: str | None
    """The table of names that compilers and runtimes make, a key of `TABLES` in `strategies/generated_names.py`.

    It replaces what is built in about such names for Java, Ruby and PHP. None: the built-in rules apply.
    """
    nameless_script_frames: Literal["count", "drop"]
    """Whether a JavaScript frame without any contributing part makes its stack contribute (`count`) or not (`drop`)."""
    revive_recursion: bool
    """Whether a rule with `+group` brings back the repetitions of a frame that calls itself."""
    skip_wrappers: bool
    """Whether exceptions that carry no information are left out if others carry some. See `strategies/wrappers.py`."""
    stack_of_named_thread: bool
    """Whether an exception without a stack that names its thread is grouped by that thread's stack."""
    strip_variable_segments: bool
    """Whether versions, locales, build numbers and hashes are removed from every segment of a module that is a path."""
    engine_words: str | None
    """The table of equal errors in the words of JavaScript engines, a key of `TABLES` in `strategies/engine_words.py`."""
    library_stacks: Literal["alone", "with-message"]
    """What a stack groups by if every frame is known to be a library's: its frames alone, or the message too."""
    kept_values: frozenset[str] = frozenset()
    """The operator's choice, from `grouping.toml`: the kinds of values that messages keep."""
    in_app_of_sender: bool = False
    """The operator's choice, from `grouping.toml`: whether `in_app` stays as it was sent and rules do not change it."""

    @property
    def digest(self) -> bytes:
        """Return a key that differs between configurations with different results for a stack. Cached stacks are keyed by it."""
        return f"{self.id} {sorted(self.kept_values)} {self.in_app_of_sender}".encode()


NEWSTYLE_2023 = Configuration(
    id="newstyle:2023-01-11",
    bases_until=dt.date(2026, 11, 22),
    parameterization="2023-01-11",
    exception_order="stack-first",
    lone_script_frame="drop-url",
    flag_unknown_variables=False,
    parameterize_fingerprints=False,
    parameterize_spawned_lines=False,
    strip_bundle_hashes=False,
    strip_generated_java_names=False,
    generated_names=None,
    nameless_script_frames="count",
    revive_recursion=True,
    skip_wrappers=False,
    stack_of_named_thread=False,
    strip_variable_segments=False,
    engine_words=None,
    library_stacks="alone",
)
"""Sentry's configuration of that name. With `hash = "md5"` every hash is Sentry's own."""

PIPELINE_2026 = Configuration(
    id="pipeline:2026-11-22",
    bases_until=dt.date(2026, 11, 22),
    parameterization="2026-11-22",
    exception_order="type-first",
    lone_script_frame="drop-nameless",
    flag_unknown_variables=True,
    parameterize_fingerprints=True,
    parameterize_spawned_lines=True,
    strip_bundle_hashes=True,
    strip_generated_java_names=True,
    generated_names=None,
    nameless_script_frames="count",
    revive_recursion=True,
    skip_wrappers=False,
    stack_of_named_thread=False,
    strip_variable_segments=False,
    engine_words=None,
    library_stacks="alone",
)
"""The project's own configuration. docs/adr/0002-default-grouping.md lists its changes and their reasons."""

PIPELINE_2026_12 = Configuration(
    id="pipeline:2026-12-01",
    bases_until=dt.date(2026, 12, 1),
    parameterization="2026-12-01",
    exception_order="type-first",
    lone_script_frame="drop-nameless",
    flag_unknown_variables=True,
    parameterize_fingerprints=True,
    parameterize_spawned_lines=True,
    strip_bundle_hashes=True,
    strip_generated_java_names=True,
    generated_names="2026-12-01",
    nameless_script_frames="drop",
    revive_recursion=False,
    skip_wrappers=True,
    stack_of_named_thread=True,
    strip_variable_segments=True,
    engine_words="2026-12-01",
    library_stacks="with-message",
)
"""Differences that come from compilers, deployments and engines no longer split groups. docs/grouping.md lists them."""

CONFIGURATIONS: Mapping[str, Configuration] = {
    configuration.id: configuration for configuration in (NEWSTYLE_2023, PIPELINE_2026, PIPELINE_2026_12)
}
"""The configurations by the name that `grouping.toml` uses for `strategy`."""
