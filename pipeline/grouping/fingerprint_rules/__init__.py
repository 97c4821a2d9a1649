"""Fingerprint rules, by which an operator decides what an event groups by instead of its stack.

See docs/spec/fingerprint-rules.md.
"""
