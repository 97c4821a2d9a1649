"""Fingerprint rules: what an operator says an event groups by, instead of its stack (spec/grouping.md, section 6.2)."""
