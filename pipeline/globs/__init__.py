"""Globs: the patterns with `*`, `?`, `[ab]` and `{x,y}` of filters, stack-trace rules and fingerprint rules.

`parser` reads a pattern, `glob` compiles it and matches values, `check` names patterns that are too costly or match nothing.
"""
