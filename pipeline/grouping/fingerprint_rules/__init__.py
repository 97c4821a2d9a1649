"""Fingerprint rules: an operator decides what an event groups by, in place of its stack. See docs/spec/fingerprint-rules.md."""
