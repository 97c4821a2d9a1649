"""The nouns: what flows through the stages, and where it can end. Parse and encode, no I/O."""
