"""Grouping: which events are the same problem, and why. See docs/spec/grouping.md.

Start at `grouper.Grouper`. A strategy for each interface (`strategies/`) turns an event into trees of components
(`component.py`). Stack-trace rules (`stacktrace_rules/`) decide which frames belong to the app and which contribute. Variants
(`variants.py`) turn the trees into hashes, and fingerprint rules (`fingerprint_rules/`) can replace them. `parameterization/`
replaces numbers and ids in messages, and `explain/` shows how a hash came about.
"""
