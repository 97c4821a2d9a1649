"""Grouping: which events are the same problem, and why (spec/grouping.md)."""
