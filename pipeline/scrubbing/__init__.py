"""Scrubbing: which values of an event must not be stored, and what is stored instead (docs/spec/scrubbing.md)."""
