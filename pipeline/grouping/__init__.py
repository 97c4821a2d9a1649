"""Grouping: which events are the same problem, and why (spec/grouping.md).

`grouper.Grouper` is the way in. Events become trees of components (`component.py`), made by one strategy per interface
(`strategies/`); stack-trace rules (`enhancements/`) mark and drop frames; variants (`variants.py`) turn trees into hashes.
"""
