"""The nouns: what flows through the stages, and where it can end. Parse and print, no I/O."""
