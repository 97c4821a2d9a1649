"""Replaces ids, dates and numbers in messages by their kind, so that messages about the same problem are equal.

The patterns are dated sets. A released set never changes, because every change regroups events.
"""
